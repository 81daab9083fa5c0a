"""What every connector has to do; a new one is one more rig in `vehicles/tests/rigs.py`."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vehicles.connectors.base import Response, VehicleError
from vehicles.tests.rigs import RIGS, RealRig, Rig, rigs_with
from vehicles.tests.targets import KeptAttempt, Target, execute, failure

ENGINE = {"ecuAddress": "0x10"}
READ_VIN = ENGINE | {"dataId": "0xF190"}
ONE_CODE = ENGINE | {"dtcCode": "P0420"}
UNKNOWN_CODE = ENGINE | {"dtcCode": "U3FFF"}


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    made = RIGS[request.param]()
    yield made
    await made.close()


def can(fault: str) -> pytest.MarkDecorator:
    """Run a test with the connectors whose vehicles can have this fault."""
    return pytest.mark.parametrize("rig", rigs_with(fault), indirect=True)


async def codes_read(rig: Rig, number: int = 0) -> list[str]:
    *codes, _ = await execute(rig.connector, rig.vehicle(number), "ReadDTC", ENGINE)
    return [code.response["dtcCode"] for code in codes]


# Responses


async def test_the_stored_codes_come_one_by_one_and_then_a_summary(rig: Rig) -> None:
    *codes, summary = await execute(rig.connector, rig.vehicle(), "ReadDTC", ENGINE)

    assert [code.response["type"] for code in codes] == ["dtc"] * len(codes)
    assert {"P0420"} <= {code.response["dtcCode"][:5] for code in codes}
    assert summary.response == {
        "type": "summary",
        "ecuAddress": "0x10",
        "dtcCount": len(codes),
    }


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ReadDTC", ENGINE),
        ("ClearDTC", ENGINE),
        ("ClearDTC", ONE_CODE),
        ("ReadDataByID", READ_VIN),
    ],
)
async def test_the_last_response_alone_is_final(
    rig: Rig, name: str, params: dict[str, Any]
) -> None:
    *earlier, last = await execute(rig.connector, rig.vehicle(), name, params)

    assert last.is_final
    assert not any(response.is_final for response in earlier)
    assert all(can_be_stored(response.response) for response in [*earlier, last])


async def test_an_identifier_is_read_with_its_bytes_and_its_meaning(rig: Rig) -> None:
    reading, data = await execute(rig.connector, rig.vehicle(), "ReadDataByID", READ_VIN)

    vin = rig.vehicle().vin
    assert reading.response == {"type": "reading", "ecuAddress": "0x10", "dataId": "0xF190"}
    assert data.response == {
        "type": "data",
        "dataId": "0xF190",
        "name": "VIN",
        "value": vin,
        "unit": "",
        "raw": vin.encode().hex().upper(),
    }


async def test_cleared_codes_stay_cleared(rig: Rig) -> None:
    await execute(rig.connector, rig.vehicle(), "ClearDTC", ENGINE)

    assert await rig.stored() == []
    assert await codes_read(rig) == []


async def test_one_code_is_cleared_and_the_others_stay(rig: Rig) -> None:
    before = await rig.stored()

    await execute(rig.connector, rig.vehicle(), "ClearDTC", ONE_CODE)

    assert await rig.stored() == [code for code in before if not code.startswith("P0420")]


async def test_a_request_that_is_not_safe_to_repeat_is_announced_once(rig: Rig) -> None:
    attempt = KeptAttempt()

    await execute(rig.connector, rig.vehicle(), "ClearDTC", ENGINE, attempt)

    assert len(attempt.announced) == 1


async def test_a_read_is_never_announced(rig: Rig) -> None:
    attempt = KeptAttempt()

    await execute(rig.connector, rig.vehicle(), "ReadDTC", ENGINE, attempt)

    assert attempt.announced == []


async def test_nothing_is_sent_when_the_claim_is_lost(rig: Rig) -> None:
    class LostClaim(Exception):
        pass

    class LostAttempt(KeptAttempt):
        async def about_to_send(self, before: list[str] | None = None) -> None:
            raise LostClaim

    with pytest.raises(LostClaim):
        await execute(rig.connector, rig.vehicle(), "ClearDTC", ENGINE, LostAttempt())

    assert await rig.stored()


# Refused, unreachable, malformed


async def test_clearing_a_code_that_is_not_stored_is_refused_for_certain(rig: Rig) -> None:
    before = await rig.stored()

    error = await failure(rig.connector, rig.vehicle(), "ClearDTC", UNKNOWN_CODE)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "U3FFF" in str(error)
    assert await rig.stored() == before


async def test_an_unknown_identifier_is_refused_by_name(rig: Rig) -> None:
    params = ENGINE | {"dataId": "0x1234"}

    error = await failure(rig.connector, rig.vehicle(), "ReadDataByID", params)

    assert error.error_code == "vehicle_refused"
    assert "NRC 0x31 requestOutOfRange" in str(error)


@can("unreachable")
async def test_an_unreachable_vehicle_was_sent_nothing(rig: Rig) -> None:
    vehicle, attempt = rig.vehicle(), KeptAttempt()
    rig.break_("unreachable")

    error = await failure(rig.connector, vehicle, "ClearDTC", ENGINE, attempt)

    assert error.error_code == "vehicle_unreachable"
    assert str(error).endswith(".")
    assert attempt.announced == []


@can("malformed")
async def test_a_malformed_response_is_told_or_cannot_be_stored(rig: Rig) -> None:
    vehicle = rig.vehicle()
    rig.break_("malformed")

    [result] = await asyncio.gather(
        execute(rig.connector, vehicle, "ReadDTC", ENGINE), return_exceptions=True
    )

    if isinstance(result, VehicleError):
        assert result.error_code == "malformed_answer"
    else:
        assert isinstance(result, list)
        assert not can_be_stored(result[0].response)


def can_be_stored(response: object) -> bool:
    """Return whether Postgres' jsonb takes it."""
    try:
        text = json.dumps(response, allow_nan=False, ensure_ascii=False).encode().decode()
    except (TypeError, ValueError):
        return False
    return isinstance(response, dict) and r"\u0000" not in text


# Deadlines and cancelling


@can("silent")
async def test_a_silent_vehicle_can_be_left_at_any_time_and_used_again(rig: Rig) -> None:
    vehicle = rig.vehicle()
    before = await rig.stored()
    rig.break_("silent")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await execute(rig.connector, vehicle, "ReadDTC", ENGINE)
    rig.repair()

    assert [code for code in await codes_read(rig) if code in before] == before


@can("silent")
async def test_a_silent_vehicle_holds_up_no_other(rig: Rig) -> None:
    hanging, other = rig.vehicle(0), rig.vehicle(1)
    rig.break_("silent", 0)
    waiting = asyncio.create_task(execute(rig.connector, hanging, "ReadDTC", ENGINE))
    await asyncio.sleep(0)
    await rig.hang(0)

    responses = await execute(rig.connector, other, "ReadDTC", ENGINE)

    assert responses[-1].is_final
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


@can("silent")
async def test_a_cancelled_command_lets_the_cancellation_pass(rig: Rig) -> None:
    vehicle = rig.vehicle()
    rig.break_("silent")
    task = asyncio.create_task(execute(rig.connector, vehicle, "ReadDTC", ENGINE))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


# Outcomes


@can("cut before")
async def test_a_connection_cut_before_sending_leaves_nothing_sent(rig: RealRig) -> None:
    vehicle, attempt = rig.vehicle(), KeptAttempt()
    rig.break_("cut before")

    error = await failure(rig.connector, vehicle, "ClearDTC", ENGINE, attempt)

    assert error.error_code == "vehicle_unreachable"
    assert attempt.announced == []
    assert rig.clears() == 0


@pytest.mark.parametrize(
    ("fault", "code"),
    [("cut after a clear", "vehicle_unreachable"), ("malformed clear", "malformed_answer")],
)
@can("cut after a clear")
async def test_a_lost_response_is_settled_by_reading_back(
    rig: RealRig, fault: str, code: str
) -> None:
    vehicle, attempt = rig.vehicle(), KeptAttempt()
    before = await rig.stored()
    rig.break_(fault)

    error = await failure(rig.connector, vehicle, "ClearDTC", ENGINE, attempt)
    rig.repair()
    [known] = attempt.announced
    responses = await rig.connector.read_back(vehicle, "ClearDTC", ENGINE, known, KeptAttempt())

    assert (error.error_code, error.is_certain) == (code, False)
    assert known == before
    assert responses
    assert responses[-1].response["verified"] is True
    assert responses[-1].response["before"] == before
    assert rig.clears() == 1


@can("cut after a clear")
async def test_a_clear_that_was_never_sent_is_not_told_as_done(rig: RealRig) -> None:
    vehicle = rig.vehicle()
    before = await rig.stored()

    with pytest.raises(VehicleError) as caught:
        await rig.connector.read_back(vehicle, "ClearDTC", ENGINE, before, KeptAttempt())

    assert caught.value.error_code == "outcome_unknown"
    assert rig.clears() == 0


@can("wrong vehicle")
async def test_another_vehicle_at_the_address_is_sent_nothing(rig: RealRig) -> None:
    vehicle, attempt = rig.vehicle(), KeptAttempt()
    await execute(rig.connector, vehicle, "ReadDTC", ENGINE)
    rig.break_("wrong vehicle")

    error = await failure(rig.connector, vehicle, "ClearDTC", ENGINE, attempt)

    assert error.error_code == "wrong_vehicle"
    assert attempt.announced == []
    assert rig.clears() == 0


# Probes


async def test_a_healthy_vehicle_is_connected(rig: Rig) -> None:
    probe = await rig.connector.probe(rig.vehicle())

    assert (probe.status, probe.problem, probe.vin) == ("connected", "", rig.vehicle().vin)


@can("wrong vehicle")
async def test_another_vehicle_at_the_address_is_an_error(rig: Rig) -> None:
    vehicle = rig.vehicle()
    rig.break_("wrong vehicle")

    probe = await rig.connector.probe(vehicle)

    assert probe.status == "error"
    assert vehicle.vin in probe.problem


@can("cut before")
async def test_a_vehicle_that_is_gone_is_disconnected(rig: Rig) -> None:
    vehicle = rig.vehicle()
    rig.break_("unreachable")

    probe = await rig.connector.probe(vehicle)

    assert probe.status == "disconnected"
    assert probe.problem


# Many at once


async def test_fifty_vehicles_at_once_each_answer_for_themselves(rig: Rig) -> None:
    async def read_and_clear(vehicle: Target) -> tuple[Response, Response]:
        *_, data = await execute(rig.connector, vehicle, "ReadDataByID", READ_VIN)
        *_, cleared = await execute(rig.connector, vehicle, "ClearDTC", ENGINE)
        return data, cleared

    fleet = [rig.vehicle(number) for number in range(50)]
    before = [len(await rig.stored(number)) for number in range(50)]

    results = await asyncio.gather(*map(read_and_clear, fleet))

    assert [data.response["value"] for data, _ in results] == [vehicle.vin for vehicle in fleet]
    assert [cleared.response["clearedCount"] for _, cleared in results] == before
    assert [await rig.stored(number) for number in range(50)] == [[]] * 50
