"""The DoIP connector before gateways that answer anything, right or wrong."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from vehicles.connectors.base import Response, VehicleError
from vehicles.connectors.doip import connection
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.hostile import (
    ECU,
    GATEWAY,
    OTHER_ECU,
    TESTER,
    Answer,
    HostileGateway,
    acknowledgement,
    activation,
    always,
    diagnostic,
    frame,
    gateway,
    negative_acknowledgement,
)
from vehicles.tests.targets import VIN, KeptAttempt, Target, TargetEcu, execute, failure

ENGINE = {"ecuAddress": "0x10"}
READ_VIN = ENGINE | {"dataId": "0xF190"}
START = ENGINE | {"routineId": "0x0203", "action": "start"}
PENDING = diagnostic(b"\x7f\x22\x78")
VIN_RESPONSE = diagnostic(b"\x62\xf1\x90" + VIN.encode())


@pytest.fixture
async def connector() -> AsyncIterator[DoipConnector]:
    doip = DoipConnector()
    yield doip
    await doip.close()


async def ends_with(answer: Answer, name: str, params: dict[str, Any]) -> VehicleError:
    """Return the error of a command before a gateway that answers so, and check for leaks."""
    doip = DoipConnector()
    async with gateway(answer) as hostile:
        error = await failure(doip, hostile.vehicle, name, params)
        await doip.close()
        await hostile.all_closed()
    return error


# Hostile responses


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


# Activation and identification


@pytest.mark.parametrize("code", [0x00, 0x02, 0x04, 0x05, 0x06, 0x07, 0x11, 0x42])
async def test_a_gateway_that_denies_activation_is_refused_and_in_error(
    connector: DoipConnector, code: int
) -> None:
    async with gateway(always(), activation(code)) as hostile:
        error = await failure(connector, hostile.vehicle, "ReadDTC", ENGINE)
        probe = await connector.probe(hostile.vehicle)

    assert (error.error_code, probe.status) == ("vehicle_refused", "error")
    assert "activation" in probe.problem
    assert hostile.requests == []


async def test_a_gateway_that_says_nothing_is_unreachable(connector: DoipConnector) -> None:
    async with gateway(always(), b"") as hostile:
        probe = await connector.probe(hostile.vehicle)

    assert probe.status == "disconnected"
    assert "did not answer" in probe.problem


async def test_a_closed_port_is_disconnected(connector: DoipConnector) -> None:
    async with gateway(always()) as hostile:
        vehicle = hostile.vehicle

    probe = await connector.probe(vehicle)

    assert probe.status == "disconnected"
    assert "accepts no connection" in probe.problem


def checks_vin(hostile: HostileGateway) -> Target:
    settings = {**hostile.vehicle.connector_settings, "check_vin": True}
    return replace(hostile.vehicle, connector_settings=settings)


async def test_the_vin_is_read_from_an_ecu_if_the_gateway_tells_none(
    connector: DoipConnector,
) -> None:
    async def answer(uds: bytes, ecu: int) -> list[bytes]:
        return [VIN_RESPONSE if ecu == ECU else b""]

    async with gateway(answer) as hostile:
        ecus = hostile.vehicle.configured_ecus[::-1]
        vehicle = replace(checks_vin(hostile), configured_ecus=ecus)
        probe = await connector.probe(vehicle)
        await execute(connector, vehicle, "ReadDataByID", READ_VIN)

    assert (probe.status, probe.vin) == ("connected", VIN)
    assert [ecu for ecu, _ in hostile.requests] == [OTHER_ECU, ECU] * 2 + [ECU]


async def test_another_vin_is_the_wrong_vehicle_and_nothing_else_is_sent(
    connector: DoipConnector,
) -> None:
    other = diagnostic(b"\x62\xf1\x90" + b"1HGBH41JXMN109186")
    async with gateway(always(other)) as hostile:
        attempt = KeptAttempt()
        error = await failure(connector, checks_vin(hostile), "ClearDTC", ENGINE, attempt)
        probe = await connector.probe(checks_vin(hostile))

    assert (error.error_code, probe.status) == ("wrong_vehicle", "error")
    assert "1HGBH41JXMN109186" in str(error)
    assert {uds for _, uds in hostile.requests} == {b"\x22\xf1\x90"}
    assert attempt.announced == []


async def test_a_vehicle_that_tells_no_vin_is_in_error(connector: DoipConnector) -> None:
    async with gateway(always(diagnostic(b"\x7f\x22\x31"))) as hostile:
        probe = await connector.probe(checks_vin(hostile))

    assert probe.status == "error"
    assert "check_vin" in probe.problem


async def test_the_probe_of_a_vehicle_with_its_ecus_says_which_answer(
    connector: DoipConnector,
) -> None:
    async def answer(_uds: bytes, ecu: int) -> list[bytes]:
        return [diagnostic(b"\x7e\x00")] if ecu == ECU else []

    async with gateway(answer) as hostile:
        probe = await connector.probe(hostile.vehicle, with_ecus=True)

    assert probe.found == {
        "gateway": f"0x{GATEWAY:04X}",
        "ecus": ["0x10"],
        "silent_ecus": ["0x18"],
    }


# Response pending


async def test_response_pending_is_told_as_progress_once_a_second(
    connector: DoipConnector,
) -> None:
    async with gateway(
        always(acknowledgement(), PENDING, PENDING, PENDING, VIN_RESPONSE)
    ) as hostile:
        attempt = KeptAttempt()
        responses = await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN, attempt)

    kinds = [response.response["type"] for response in responses]
    assert kinds == ["reading", "progress", "data"]
    assert responses[1].response == {"type": "progress", "ecuAddress": "0x10", "pendingCount": 1}
    assert [exchange.pending_count for exchange in attempt.exchanges] == [3]


async def test_endless_response_pending_ends_by_the_deadline_of_the_caller(
    connector: DoipConnector,
) -> None:
    async with gateway(always(*[PENDING] * 10_000)) as hostile:
        responses = connector.execute(hostile.vehicle, "ReadDataByID", READ_VIN, KeptAttempt())
        async with aclosing(responses):
            kinds = [(await anext(responses)).response["type"] for _ in range(2)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(responses)
        await hostile.all_closed()

    assert kinds == ["reading", "progress"]


async def test_a_flood_of_messages_holds_up_no_other_vehicle(connector: DoipConnector) -> None:
    flood = frame(0x8002, struct.pack("!HHB", ECU, TESTER, 0)) * 500

    async def endless(_uds: bytes, _ecu: int) -> list[bytes]:
        return [flood * 100]

    async with gateway(endless) as hostile, gateway(always(VIN_RESPONSE)) as good:
        flooded = asyncio.create_task(failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN))
        responses = await execute(connector, good.vehicle, "ReadDataByID", READ_VIN)
        assert not flooded.done()
        error = await flooded

    assert responses[-1].is_final
    assert error.error_code == "vehicle_unreachable"


# Sessions


class SessionEcu:
    """Starts a routine in its extended session only."""

    def __init__(self, session_response: bytes = b"\x50\x03\x00\x32\x01\xf4") -> None:
        self.is_extended = False
        self.started = 0
        self._session_response = session_response

    async def answer(self, uds: bytes, _ecu: int) -> list[bytes]:
        if uds == b"\x10\x03":
            self.is_extended = self._session_response[0] == 0x50
            return [diagnostic(self._session_response)]
        if not self.is_extended:
            return [diagnostic(b"\x7f\x31\x7f")]
        self.started += 1
        return [diagnostic(b"\x71" + uds[1:4] + b"\x2a")]


async def test_a_service_of_the_extended_session_is_repeated_there_once(
    connector: DoipConnector,
) -> None:
    ecu, attempt = SessionEcu(), KeptAttempt()
    async with gateway(ecu.answer) as hostile:
        [routine] = await execute(connector, hostile.vehicle, "RoutineControl", START, attempt)

    assert routine.response == {
        "type": "routine",
        "ecuAddress": "0x10",
        "routineId": "0x0203",
        "action": "start",
        "raw": "2A",
    }
    assert attempt.requests == ["31010203", "1003", "31010203"]
    assert attempt.announced == [None]
    assert ecu.started == 1


async def test_a_session_that_is_refused_ends_the_command_for_certain(
    connector: DoipConnector,
) -> None:
    async with gateway(SessionEcu(b"\x7f\x10\x22").answer) as hostile:
        error = await failure(connector, hostile.vehicle, "RoutineControl", START)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "0x22 conditionsNotCorrect" in str(error)
    assert [uds for _, uds in hostile.requests] == [b"\x31\x01\x02\x03", b"\x10\x03"]


async def advance(responses: AsyncIterator[Response]) -> Response:
    return await anext(responses)


async def test_a_long_run_keeps_its_session_alive(
    connector: DoipConnector,
) -> None:
    ecu, kept = SessionEcu(), asyncio.Event()

    async def answer(uds: bytes, address: int) -> list[bytes]:
        if uds == b"\x3e\x80":
            kept.set()
            return [acknowledgement(), diagnostic(b"\x7f\x3e\x21")]
        if ecu.is_extended:
            return [diagnostic(b"\x7f\x31\x78")]
        return await ecu.answer(uds, address)

    async with gateway(answer) as hostile:
        responses = connector.execute(hostile.vehicle, "RoutineControl", START, KeptAttempt())
        async with aclosing(responses):
            progress = await anext(responses)
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(advance(responses))
                await kept.wait()
                waiting.cancel()

    assert progress.response["type"] == "progress"


async def test_keeping_the_session_does_not_lose_half_a_message(
    connector: DoipConnector,
) -> None:
    ecu, response = SessionEcu(), diagnostic(b"\x71\x01\x02\x03\x2a")

    async def answer(uds: bytes, address: int) -> list[bytes]:
        if uds == b"\x3e\x80":
            return [response[8:]]
        return [response[:8]] if ecu.is_extended else await ecu.answer(uds, address)

    async with gateway(answer) as hostile:
        patient = {**hostile.vehicle.connector_settings, "response_timeout": 30}
        vehicle = replace(hostile.vehicle, connector_settings=patient)
        [routine] = await execute(connector, vehicle, "RoutineControl", START)

    assert routine.response["raw"] == "2A"


# Outcomes of what is not safe to repeat


async def clear(connector: DoipConnector, answer: Answer) -> tuple[VehicleError, KeptAttempt]:
    attempt = KeptAttempt()
    async with gateway(answer) as hostile:
        error = await failure(connector, hostile.vehicle, "ClearDTC", ENGINE, attempt)
    return error, attempt


def clearing(*frames: bytes) -> Answer:
    async def answer(uds: bytes, _ecu: int) -> list[bytes]:
        if uds[0] == 0x14:
            return list(frames)
        return [diagnostic(b"\x59\x02\xff\x04\x20\x13\x2f\x03\x00\x00\x50")]

    return answer


async def test_the_codes_stored_before_are_kept_before_a_clear_is_sent(
    connector: DoipConnector,
) -> None:
    attempt = KeptAttempt()
    async with gateway(clearing(diagnostic(b"\x54"))) as hostile:
        [cleared] = await execute(connector, hostile.vehicle, "ClearDTC", ENGINE, attempt)

    assert attempt.announced == [["P0420-13"]]
    assert attempt.requests == ["1902FF", "14FFFFFF", "1902FF"]
    assert cleared.response == {
        "type": "cleared",
        "ecuAddress": "0x10",
        "clearedCount": 0,
        "before": ["P0420-13"],
        "remaining": ["P0420-13"],
        "verified": False,
    }


@pytest.mark.parametrize(
    ("frames", "code", "is_certain"),
    [
        pytest.param([diagnostic(b"\x7f\x14\x22")], "vehicle_refused", True, id="refused"),
        pytest.param(
            [negative_acknowledgement(6)], "vehicle_unreachable", True, id="not delivered"
        ),
        pytest.param(
            [negative_acknowledgement(8)], "vehicle_unreachable", False, id="half delivered"
        ),
        pytest.param([diagnostic(b"\x7f\x14\x25")], "vehicle_refused", False, id="subnet silent"),
        pytest.param([acknowledgement()], "vehicle_unreachable", False, id="silence"),
        pytest.param([diagnostic(b"\x62")], "malformed_answer", False, id="malformed"),
    ],
)
async def test_a_failed_clear_says_whether_it_was_certainly_not_carried_out(
    connector: DoipConnector, frames: list[bytes], code: str, is_certain: bool
) -> None:
    error, attempt = await clear(connector, clearing(*frames))

    assert (error.error_code, error.is_certain) == (code, is_certain)
    assert attempt.requests.count("14FFFFFF") == 1


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([acknowledgement()], id="acknowledged before"),
        pytest.param([diagnostic(b"\x7f\x31\x78")], id="pending before"),
    ],
)
async def test_a_negative_acknowledgement_of_a_delivered_request_proves_nothing(
    connector: DoipConnector, frames: list[bytes]
) -> None:
    answer = always(*frames, negative_acknowledgement(0x05))
    async with gateway(answer) as hostile:
        error = await failure(connector, hostile.vehicle, "RoutineControl", START)
        await failure(connector, hostile.vehicle, "RoutineControl", START)

    assert (error.error_code, error.is_certain) == ("vehicle_unreachable", False)
    assert hostile.connections == 2  # the response to the first may still come


async def test_a_negative_acknowledgement_of_what_keeps_the_session_proves_nothing(
    connector: DoipConnector,
) -> None:
    is_in_session = False

    async def answer(uds: bytes, _ecu: int) -> list[bytes]:
        nonlocal is_in_session
        if uds[:1] == b"\x3e":
            return [negative_acknowledgement(0x05)]
        if uds[:1] == b"\x10":
            is_in_session = True
            return [diagnostic(b"\x50\x03\x00\x32\x01\xf4")]
        return [] if is_in_session else [diagnostic(b"\x7f\x31\x7f")]

    async with gateway(answer) as hostile:
        settings = {**hostile.vehicle.connector_settings, "response_timeout": 30}
        vehicle = replace(hostile.vehicle, connector_settings=settings)
        error = await failure(connector, vehicle, "RoutineControl", START)

    assert (error.error_code, error.is_certain) == ("vehicle_unreachable", False)


async def test_a_code_that_is_not_stored_is_refused_and_nothing_is_sent(
    connector: DoipConnector,
) -> None:
    attempt, params = KeptAttempt(), ENGINE | {"dtcCode": "p0300"}
    async with gateway(clearing(diagnostic(b"\x54"))) as hostile:
        error = await failure(connector, hostile.vehicle, "ClearDTC", params, attempt)

    assert error.error_code == "vehicle_refused"
    assert "P0300" in str(error)
    assert (attempt.requests, attempt.announced) == (["1902FF"], [])


async def test_a_code_without_failure_type_stands_for_each_stored_code_of_that_base(
    connector: DoipConnector,
) -> None:
    stored = {b"\x04\x20\x00": 0x2F, b"\x04\x20\x13": 0x08, b"\x01\x71\x00": 0x04}

    async def answer(uds: bytes, _ecu: int) -> list[bytes]:
        if uds[0] == 0x14:
            del stored[uds[1:]]
            return [diagnostic(b"\x54")]
        records = b"".join(code + bytes([status]) for code, status in stored.items())
        return [diagnostic(b"\x59\x02\xff" + records)]

    attempt = KeptAttempt()
    async with gateway(answer) as hostile:
        params = ENGINE | {"dtcCode": "P0420"}
        [cleared] = await execute(connector, hostile.vehicle, "ClearDTC", params, attempt)

    assert cleared.response["before"] == ["P0420-00", "P0420-13", "P0171-00"]
    assert cleared.response["remaining"] == ["P0171-00"]
    assert (cleared.response["clearedCount"], cleared.response["verified"]) == (2, True)
    assert attempt.announced == [["P0420-00", "P0420-13", "P0171-00"]]


async def test_reading_back_sends_nothing_that_changes_anything(
    connector: DoipConnector,
) -> None:
    async with gateway(always(diagnostic(b"\x59\x02\xff"))) as hostile:
        attempt = KeptAttempt()
        responses = await connector.read_back(
            hostile.vehicle, "ClearDTC", ENGINE, ["P0420-13"], attempt
        )

    assert responses == [
        Response(
            {
                "type": "cleared",
                "ecuAddress": "0x10",
                "clearedCount": 1,
                "before": ["P0420-13"],
                "remaining": [],
                "verified": True,
            },
            is_final=True,
        )
    ]
    assert attempt.requests == ["1902FF"]


async def test_codes_that_are_still_stored_leave_the_outcome_unknown(
    connector: DoipConnector,
) -> None:
    async with gateway(clearing()) as hostile:
        with pytest.raises(VehicleError) as caught:
            await connector.read_back(
                hostile.vehicle, "ClearDTC", ENGINE, ["P0420-13"], KeptAttempt()
            )

    assert caught.value.error_code == "outcome_unknown"
    assert "P0420-13" in str(caught.value)
    assert {uds[0] for _, uds in hostile.requests} == {0x19}


@pytest.mark.parametrize("name", ["RoutineControl", "ECUReset"])
async def test_routines_and_resets_cannot_be_read_back(connector: DoipConnector, name: str) -> None:
    async with gateway(always()) as hostile:
        assert await connector.read_back(hostile.vehicle, name, START, None, KeptAttempt()) is None

    assert hostile.connections == 0


async def test_written_data_is_read_back_by_its_identifier(connector: DoipConnector) -> None:
    params = ENGINE | {"dataId": "0xf198", "data": "41424344"}
    async with gateway(always(diagnostic(b"\x62\xf1\x98ABCD"))) as hostile:
        responses = await connector.read_back(
            hostile.vehicle, "WriteDataByID", params, None, KeptAttempt()
        )

    assert responses
    assert responses[0].response["type"] == "written"


# Evidence, addresses, connections


async def test_each_exchange_is_kept_with_its_bytes_and_the_name_of_a_refusal(
    connector: DoipConnector,
) -> None:
    attempt = KeptAttempt()
    async with gateway(always(diagnostic(b"\x7f\x22\x31"))) as hostile:
        await failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN, attempt)

    [exchange] = attempt.exchanges
    assert (exchange.ecu_address, exchange.service) == ("0x10", "ReadDataByIdentifier")
    assert (exchange.request, exchange.response) == ("22F190", "7F2231")
    assert (exchange.nrc, exchange.nrc_name) == ("0x31", "requestOutOfRange")


async def test_a_request_without_response_is_kept_too(connector: DoipConnector) -> None:
    attempt = KeptAttempt()
    async with gateway(always()) as hostile:
        await failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN, attempt)

    [exchange] = attempt.exchanges
    assert (exchange.response, exchange.nrc, exchange.nrc_name) == (None, None, "")


@pytest.mark.parametrize(
    ("typed", "spelled", "logical"),
    [
        ("0x10", "0x10", ECU),
        ("0x0010", "0x10", ECU),
        ("0xab", "0x00AB", 0x00AB),
        ("0xac", "0xAC", 0x00AC),
        ("0x00ac", "0xAC", 0x00AC),
        ("0x1018", "0x1018", OTHER_ECU),
    ],
)
async def test_an_address_is_spelled_one_way_and_stands_for_one_ecu(
    connector: DoipConnector, typed: str, spelled: str, logical: int
) -> None:
    async def answer(_uds: bytes, ecu: int) -> list[bytes]:
        return [diagnostic(b"\x59\x02\xff", source=ecu)]

    async with gateway(answer) as hostile:
        ecus = (*hostile.vehicle.configured_ecus, TargetEcu("0x00aB"))
        vehicle = replace(hostile.vehicle, configured_ecus=ecus)
        [summary] = await execute(connector, vehicle, "ReadDTC", {"ecuAddress": typed})

    assert summary.response["ecuAddress"] == spelled
    assert [ecu for ecu, _ in hostile.requests] == [logical]


async def test_an_open_connection_is_used_again(connector: DoipConnector) -> None:
    async with gateway(always(VIN_RESPONSE)) as hostile:
        for _ in range(3):
            await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert hostile.connections == 1


async def test_a_connection_is_not_used_again_while_a_late_response_may_come(
    connector: DoipConnector,
) -> None:
    answers = iter([[], [VIN_RESPONSE]])

    async def answer(_uds: bytes, _ecu: int) -> list[bytes]:
        return next(answers)

    async with gateway(answer) as hostile:
        await failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN)
        await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert hostile.connections == 2


async def test_a_response_that_comes_twice_answers_no_later_request(
    connector: DoipConnector,
) -> None:
    async def twice(uds: bytes, _ecu: int) -> list[bytes]:
        return [diagnostic(b"\x62" + uds[1:] + b"A")] * 2

    async with gateway(twice) as hostile:
        for data_id in ("0xF187", "0xF189"):
            params = ENGINE | {"dataId": data_id}
            *_, data = await execute(connector, hostile.vehicle, "ReadDataByID", params)
            assert data.response["dataId"] == data_id

    assert hostile.connections == 1


async def test_an_idle_connection_is_closed_and_forgotten(
    connector: DoipConnector,
) -> None:
    async with gateway(always(VIN_RESPONSE)) as hostile:
        await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)
        assert hostile.open
        await hostile.all_closed()

    assert connector._gateways._gateways == {}


async def test_a_gateway_serves_its_vehicles_one_after_the_other(
    connector: DoipConnector,
) -> None:
    active = most = 0

    async def answer(_uds: bytes, _ecu: int) -> list[bytes]:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        active -= 1
        return [VIN_RESPONSE]

    async with gateway(answer) as hostile, asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN))

    assert (most, hostile.connections, len(hostile.requests)) == (1, 1, 10)


async def test_leaving_while_waiting_for_a_gateway_does_not_cut_the_command_that_holds_it(
    connector: DoipConnector,
) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(_uds: bytes, _ecu: int) -> list[bytes]:
        is_asked.set()
        await may_answer.wait()
        return [diagnostic(b"\x71\x01\x02\x03")]

    async with gateway(answer) as hostile:
        settings = {**hostile.vehicle.connector_settings, "response_timeout": 30}
        vehicle = replace(hostile.vehicle, connector_settings=settings)
        command = asyncio.create_task(execute(connector, vehicle, "RoutineControl", START))
        await is_asked.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await connector.probe(vehicle, with_ecus=True)
        may_answer.set()
        responses = await command

    assert responses[-1].is_final


@pytest.mark.parametrize("check_vin", [True, False])
async def test_a_vehicle_that_a_command_holds_is_connected_without_another_request(
    connector: DoipConnector, check_vin: bool
) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(uds: bytes, _ecu: int) -> list[bytes]:
        if uds == b"\x22\xf1\x87":
            is_asked.set()
            await may_answer.wait()
            return [diagnostic(b"\x62\xf1\x87A")]
        return [VIN_RESPONSE]

    async with gateway(answer) as hostile:
        vehicle = checks_vin(hostile) if check_vin else hostile.vehicle
        settings = {**vehicle.connector_settings, "response_timeout": 30}
        vehicle = replace(vehicle, connector_settings=settings)
        params = ENGINE | {"dataId": "0xF187"}
        command = asyncio.create_task(execute(connector, vehicle, "ReadDataByID", params))
        await is_asked.wait()
        probe = await connector.probe(vehicle)
        may_answer.set()
        responses = await command

    assert (probe.status, probe.problem) == ("connected", "")
    assert responses[-1].is_final
    assert hostile.connections == 1


async def test_a_gateway_that_is_busy_with_another_tester_is_tried_again(
    connector: DoipConnector,
) -> None:
    async with gateway(always(VIN_RESPONSE), activation(0x03), activation()) as hostile:
        responses = await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert responses[-1].is_final
    assert hostile.connections == 2


async def test_a_connection_that_died_while_idle_is_opened_again(
    connector: DoipConnector,
) -> None:
    is_dead = False

    async def answer(_uds: bytes, _ecu: int) -> list[bytes] | None:
        nonlocal is_dead
        is_dead = not is_dead
        return [VIN_RESPONSE] if is_dead else None

    async with gateway(answer) as hostile:
        await connector.probe(checks_vin(hostile))
        probe = await connector.probe(checks_vin(hostile))

    assert probe.status == "disconnected"
    assert hostile.connections == 2


async def test_an_alive_check_is_answered(connector: DoipConnector) -> None:
    async with gateway(always(frame(0x0007, b""), VIN_RESPONSE)) as hostile:
        responses = await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert responses[-1].is_final


@asynccontextmanager
async def one_ecu_silent() -> AsyncIterator[HostileGateway]:
    async def answer(uds: bytes, ecu: int) -> list[bytes]:
        if ecu == ECU:
            return []
        if uds[0] == 0x19:
            return [diagnostic(b"\x59\x02\xff\x07\x00\x00\x2f", source=ecu)]
        if uds == b"\x22\xf1\x87":
            return [diagnostic(b"\x62\xf1\x87AB-1", source=ecu)]
        return [diagnostic(b"\x7f\x22\x31", source=ecu)]

    async with gateway(answer) as hostile:
        yield hostile


async def test_a_scan_goes_on_after_an_ecu_that_does_not_answer(connector: DoipConnector) -> None:
    async with one_ecu_silent() as hostile:
        engine, transmission, scan = await execute(connector, hostile.vehicle, "ScanVehicle", {})

    assert [uds for ecu, uds in hostile.requests if ecu == ECU] == [b"\x22\xf1\x90"]
    assert engine.response["reachable"] is False
    assert "did not answer" in engine.response["problem"]
    assert transmission.response["identification"] == {"0xF187": "AB-1"}
    assert [code["dtcCode"] for code in transmission.response["dtcs"]] == ["P0700-00"]
    assert scan == Response(
        {"type": "scan", "ecuCount": 2, "reachableCount": 1, "dtcCount": 1}, is_final=True
    )


async def test_a_vehicle_without_ecus_cannot_be_scanned(connector: DoipConnector) -> None:
    async with gateway(always()) as hostile:
        vehicle = replace(hostile.vehicle, configured_ecus=())
        error = await failure(connector, vehicle, "ScanVehicle", {})

    assert error.error_code == "vehicle_refused"
    assert hostile.connections == 0


async def test_identifiers_of_a_snapshot_end_at_the_first_of_unknown_length(
    connector: DoipConnector,
) -> None:
    record = b"\x01\x03\xf4\x0c\x0c\x80\x47\x11\x01\x02\xf4\x05\x7f"
    response = diagnostic(b"\x59\x04\x04\x20\x13\x2f" + record)
    async with gateway(always(response)) as hostile:
        params = ENGINE | {"dtcCode": "P0420-13", "recordNumber": 1}
        [snapshot] = await execute(connector, hostile.vehicle, "ReadDTCSnapshot", params)

    assert hostile.requests == [(ECU, b"\x19\x04\x04\x20\x13\x01")]
    assert snapshot.is_final
    assert snapshot.response["recordNumber"] == 1
    assert snapshot.response["data"] == [
        {"dataId": "0xF40C", "name": "Engine speed", "value": 800, "unit": "rpm", "raw": "0C80"},
        {"dataId": "0x4711", "name": "", "value": "0102F4057F", "unit": "", "raw": "0102F4057F"},
    ]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, "host"),
        ({"host": ""}, "host"),
        ({"host": "10.0.0.1\n"}, "host"),
        ({"host": "http://10.0.0.1"}, "host"),
        ({"host": "a" * 254}, "host"),
        ({"host": "car", "port": 0}, "port"),
        ({"host": "car", "port": "13400"}, "port"),
        ({"host": "car", "source_address": "0xE00"}, "source_address"),
        ({"host": "car", "activation_type": 256}, "activation_type"),
        ({"host": "car", "check_vin": 1}, "check_vin"),
        ({"host": "car", "response_timeout": 0}, "response_timeout"),
        ({"host": "car", "colour": "red"}, "colour"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], wrong: str) -> None:
    [error] = Draft202012Validator(DoipConnector.settings_schema).iter_errors(settings)

    assert wrong in error.path or wrong in error.message


@pytest.mark.parametrize("host", ["10.0.0.1", "car-7.fleet.example", "fe80::1%eth0", "2001:db8::1"])
def test_a_name_or_an_address_of_the_gateway_is_enough(host: str) -> None:
    assert Draft202012Validator(DoipConnector.settings_schema).is_valid({"host": host})


def test_the_largest_message_is_64_kib_and_its_addresses() -> None:
    assert connection.MAX_PAYLOAD_BYTES == 64 * 1024 + 4
