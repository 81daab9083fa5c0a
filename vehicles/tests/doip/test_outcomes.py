"""Outcomes of what is not safe to repeat."""

from dataclasses import replace

import pytest

from vehicles.connectors.base import Response, VehicleError
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.doip.exchanges import ENGINE, START
from vehicles.tests.hostile import (
    Answer,
    acknowledgement,
    always,
    diagnostic,
    gateway,
    negative_acknowledgement,
)
from vehicles.tests.targets import KeptAttempt, execute, failure


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
