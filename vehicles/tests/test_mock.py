import asyncio
import json
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
from django.test import override_settings

from vehicles.connectors.base import Connector, Response, VehicleError
from vehicles.connectors.mock import MockConnector
from vehicles.tests import targets
from vehicles.tests.targets import MOCKED, Target, failure, responses, stored_codes

ENGINE = {"ecuAddress": "0x10"}
AN_HOUR = 3600


class SkippingSelector(selectors.DefaultSelector):
    """Counts the time that a loop wants to wait, instead of waiting."""

    skipped_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.skipped_seconds += timeout or 0
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = SkippingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.skipped_seconds


def seconds_taken(execution: Coroutine[Any, Any, Any]) -> float:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(asyncio.wait_for(execution, AN_HOUR))
        return runner.get_loop().time()


async def execute(
    connector: Connector, command_name: str, params: Mapping[str, Any]
) -> list[Response]:
    return await targets.execute(connector, MOCKED, command_name, params)


# Cancelling


async def test_a_clear_that_is_cancelled_before_its_response_cleared_nothing() -> None:
    mock = MockConnector(latency_seconds=AN_HOUR)
    await cancel_once_waiting(execute(mock, "ClearDTC", ENGINE))
    mock.latency_seconds = 0

    assert "P0420" in await stored_codes(mock, ENGINE)


async def cancel_once_waiting(execution: Coroutine[Any, Any, Any]) -> None:
    task = asyncio.create_task(execution)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Every command


async def test_a_command_that_the_mock_does_not_know_gets_a_generic_response() -> None:
    assert await execute(MockConnector(), "FlashLights", {"times": 3}) == [
        Response(
            {"type": "generic", "command_name": "FlashLights", "params": {"times": 3}},
            is_final=True,
        )
    ]


@pytest.mark.parametrize(
    ("command_name", "params"),
    [
        ("ReadDTC", ENGINE),
        ("ClearDTC", ENGINE),
        ("ClearDTC", ENGINE | {"dtcCode": "P0420"}),
        ("ReadDataByID", ENGINE | {"dataId": "0x010C"}),
        ("ReadDTCSnapshot", ENGINE | {"dtcCode": "P0420"}),
        ("WriteDataByID", ENGINE | {"dataId": "0xF187", "data": "4142"}),
        ("RoutineControl", ENGINE | {"routineId": "0x0203", "action": "start"}),
        ("ECUReset", ENGINE | {"resetType": "soft"}),
        ("ScanVehicle", {}),
        ("FlashLights", {}),
    ],
)
async def test_the_last_response_alone_is_final(command_name: str, params: dict[str, Any]) -> None:
    *earlier, last = await execute(MockConnector(), command_name, params)

    assert last.is_final
    assert not any(response.is_final for response in earlier)


@pytest.mark.parametrize(
    ("command_name", "params"),
    [("ReadDTC", ENGINE), ("ReadDataByID", ENGINE | {"dataId": "0x010C"})],
)
async def test_the_seed_decides_on_codes_and_values(
    command_name: str, params: dict[str, Any]
) -> None:
    async def history(seed: int) -> list[Any]:
        mock = MockConnector(seed=seed)
        return [await responses(mock, command_name, params) for _ in range(5)]

    assert await history(seed=7) == await history(seed=7)
    assert await history(seed=7) != await history(seed=8)


async def test_trouble_codes_are_the_same_in_every_process_without_a_seed_too() -> None:
    assert await responses(MockConnector(), "ReadDTC", ENGINE) == await responses(
        MockConnector(), "ReadDTC", ENGINE
    )


async def test_vehicles_differ_in_their_codes() -> None:
    fleet = [Target(vin=f"1HGBH41JXMN10918{digit}", connector="mock") for digit in range(10)]

    codes = [await stored_codes(MockConnector(seed=7), ENGINE, vehicle) for vehicle in fleet]

    assert len(set(map(tuple, codes))) > 1


# Latency and faults


@pytest.mark.parametrize(
    ("command_name", "params", "response_count"),
    [
        ("ClearDTC", ENGINE, 1),
        ("ReadDataByID", ENGINE | {"dataId": "0x010C"}, 2),
    ],
)
def test_every_response_takes_its_latency(
    command_name: str, params: dict[str, Any], response_count: int
) -> None:
    execution = execute(MockConnector(latency_seconds=0.5), command_name, params)

    assert seconds_taken(execution) == pytest.approx(0.5 * response_count)


def test_a_timeout_never_responds() -> None:
    with pytest.raises(TimeoutError):
        seconds_taken(execute(MockConnector(timeout_rate=1), "ReadDTC", ENGINE))


async def test_a_timeout_can_be_cancelled_and_changes_nothing() -> None:
    mock = MockConnector(timeout_rate=1)
    await cancel_once_waiting(execute(mock, "ClearDTC", ENGINE))
    mock.timeout_rate = 0

    assert "P0420" in await stored_codes(mock, ENGINE)


def test_an_unreachable_vehicle_says_so_at_once() -> None:
    async def reach() -> None:
        error = await failure(mock, MOCKED, "ReadDTC", ENGINE)
        assert error.error_code == "vehicle_unreachable"
        assert "cannot be reached" in str(error)

    mock = MockConnector(unreachable_rate=1, latency_seconds=10)
    assert seconds_taken(reach()) == 0


async def test_a_malformed_response_cannot_be_stored() -> None:
    mock = MockConnector(malformed_rate=1, seed=7)

    executed = [await execute(mock, "ReadDTC", ENGINE) for _ in range(50)]

    assert all(len(only) == 1 and only[0].is_final for only in executed)
    assert not any(can_be_stored(only[0].response) for only in executed)
    assert len({repr(only[0].response) for only in executed}) > 3


def can_be_stored(response: object) -> bool:
    """Return whether Postgres' jsonb takes it."""
    try:
        text = json.dumps(response, allow_nan=False, ensure_ascii=False).encode().decode()
    except (TypeError, ValueError):
        return False
    return isinstance(response, dict) and r"\u0000" not in text


async def test_a_rate_between_hits_some_commands_in_the_same_order_for_a_seed() -> None:
    async def faults(mock: MockConnector) -> list[bool]:
        return [await is_unreachable(mock) for _ in range(50)]

    hits = await faults(MockConnector(unreachable_rate=0.5, seed=7))

    assert {True, False} == set(hits)
    assert hits == await faults(MockConnector(unreachable_rate=0.5, seed=7))


async def is_unreachable(mock: MockConnector) -> bool:
    try:
        await execute(mock, "ReadDTC", ENGINE)
    except VehicleError:
        return True
    return False


@override_settings(
    MOCK_VEHICLE_LATENCY_SECONDS=0.25,
    MOCK_VEHICLE_TIMEOUT_RATE=0.1,
    MOCK_VEHICLE_UNREACHABLE_RATE=0.2,
    MOCK_VEHICLE_MALFORMED_RATE=0.3,
    MOCK_VEHICLE_SEED=42,
)
def test_the_settings_reach_the_mock() -> None:
    mock = MockConnector.from_settings()

    assert mock.latency_seconds == 0.25
    assert mock.timeout_rate == 0.1
    assert mock.unreachable_rate == 0.2
    assert mock.malformed_rate == 0.3
    assert mock.seed == 42
