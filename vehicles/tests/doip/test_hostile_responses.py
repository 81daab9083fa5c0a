"""Hostile and malformed responses of DoIP vehicles."""

import asyncio
import struct
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vehicles.connectors.base import VehicleError
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.doip.exchanges import (
    ENGINE,
    READ_VIN,
    START,
    VIN_RESPONSE,
    ends_with,
)
from vehicles.tests.hostile import (
    OTHER_ECU,
    acknowledgement,
    always,
    diagnostic,
    frame,
    gateway,
    negative_acknowledgement,
)
from vehicles.tests.targets import VIN, execute


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([], "vehicle_unreachable", id="nothing"),
        pytest.param([acknowledgement()], "vehicle_unreachable", id="acknowledgement alone"),
        pytest.param([diagnostic(b"")], "malformed_answer", id="empty"),
        pytest.param([diagnostic(b"\x62")], "malformed_answer", id="too short"),
        pytest.param([diagnostic(b"\x62\xf1\x87AB")], "malformed_answer", id="other identifier"),
        pytest.param([diagnostic(b"\x59\x02\xff")], "malformed_answer", id="other service"),
        pytest.param([diagnostic(b"\x7f\x19\x31")], "malformed_answer", id="refuses another one"),
        pytest.param([diagnostic(b"\x7f\x22")], "malformed_answer", id="half a refusal"),
        pytest.param([diagnostic(b"\x7f\x22\x00")], "vehicle_refused", id="refusal without reason"),
        pytest.param([diagnostic(b"\x7f\x7f\x7f")], "malformed_answer", id="nonsense refusal"),
        pytest.param([diagnostic(b"\xff" * 64)], "malformed_answer", id="noise"),
        pytest.param(
            [diagnostic(b"\x62\xf1\x90" + VIN.encode(), source=OTHER_ECU)],
            "vehicle_unreachable",
            id="another ECU",
        ),
        pytest.param([frame(0x8001, b"\x10")], "malformed_answer", id="too short for addresses"),
        pytest.param([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "malformed_answer", id="not DoIP"),
        pytest.param(
            [struct.pack("!BBHL", 2, 0xFD, 0x8001, 2**32 - 1)], "malformed_answer", id="4 GiB"
        ),
        pytest.param([frame(0x4711, b"?")], "vehicle_unreachable", id="unknown message"),
        pytest.param([frame(0x0000, b"\x02")], "vehicle_unreachable", id="message not accepted"),
        pytest.param([negative_acknowledgement(3)], "vehicle_unreachable", id="not delivered"),
        pytest.param([VIN_RESPONSE[:20]], "vehicle_unreachable", id="half a message"),
    ],
)
async def test_a_response_that_is_wrong_ends_the_command_with_a_code_and_a_sentence(
    frames: list[bytes], code: str
) -> None:
    error = await ends_with(always(*frames), "ReadDataByID", READ_VIN)

    assert error.error_code == code
    assert str(error).endswith(".")
    assert len(str(error).split()) < 30


async def test_a_peer_that_closes_in_the_middle_of_a_message_is_unreachable() -> None:
    async def close(_uds: bytes, _ecu: int) -> None:
        return None

    error = await ends_with(close, "ReadDataByID", READ_VIN)

    assert error.error_code == "vehicle_unreachable"
    assert "broke" in str(error)


@pytest.mark.parametrize("size", [2001 * 4, 64 * 1024 - 4])
async def test_more_trouble_codes_than_an_ecu_can_have_are_malformed(size: int) -> None:
    codes = diagnostic(b"\x59\x02\xff" + b"\x04\x20\x00\x2f" * (size // 4))

    error = await ends_with(always(codes), "ReadDTC", ENGINE)

    assert error.error_code == "malformed_answer"


async def test_an_identifier_of_64_kib_arrives_whole(connector: DoipConnector) -> None:
    data = b"\x00\x01" * 32_000
    async with gateway(always(diagnostic(b"\x62\xf1\x90" + data))) as hostile:
        *_, last = await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert last.response["raw"] == data.hex().upper()


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    payload=st.binary(max_size=64), service=st.sampled_from([0x59, 0x62, 0x54, 0x6E, 0x71, 0x51])
)
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ReadDTC", ENGINE),
        ("ReadDTCSnapshot", ENGINE | {"dtcCode": "P0420-00"}),
        ("ClearDTC", ENGINE),
        ("ReadDataByID", READ_VIN),
        ("WriteDataByID", READ_VIN | {"data": "00"}),
        ("RoutineControl", START),
        ("ECUReset", ENGINE | {"resetType": "soft"}),
        ("ScanVehicle", {}),
    ],
)
def test_no_response_whatever_leaves_a_traceback(
    name: str, params: dict[str, Any], service: int, payload: bytes
) -> None:
    async def run() -> None:
        doip = DoipConnector()
        answer = always(acknowledgement(), diagnostic(bytes([service]) + payload))
        async with gateway(answer) as hostile:
            with suppress(VehicleError):
                vehicle = replace(
                    hostile.vehicle, configured_ecus=hostile.vehicle.configured_ecus[:1]
                )
                responses = await execute(doip, vehicle, name, params)
                assert responses[-1].is_final
            await doip.close()
            await hostile.all_closed()

    asyncio.run(run())
