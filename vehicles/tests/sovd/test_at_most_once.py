"""Changes that are sent at most once."""

import asyncio
from typing import Any

import pytest

from vehicles.connectors.base import VehicleError
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.sovd.requests import ECU, ONE_CODE, RESET, START, WRITE
from vehicles.tests.sovd_vehicle import (
    SovdVehicle,
)
from vehicles.tests.targets import KeptAttempt, failure

CHANGES = [
    pytest.param("ClearDTC", ECU, id="ClearDTC"),
    pytest.param("ClearDTC", ONE_CODE, id="one code"),
    pytest.param("WriteDataByID", WRITE, id="WriteDataByID"),
    pytest.param("RoutineControl", START, id="RoutineControl"),
    pytest.param("ECUReset", RESET, id="ECUReset"),
]


@pytest.mark.parametrize(
    ("fault", "carried_out"),
    [
        ("cut before a clear", 0),
        ("cut after a clear", 1),
        ("malformed clear", 1),
        ("silent after a clear", 1),
    ],
)
@pytest.mark.parametrize(("name", "params"), CHANGES)
async def test_a_change_is_sent_once_whatever_becomes_of_its_answer(
    vehicle: SovdVehicle, name: str, params: dict[str, Any], fault: str, carried_out: int
) -> None:
    vehicle.fault = fault
    attempt, sovd = KeptAttempt(), SovdConnector()

    error = await failure(sovd, vehicle.target(), name, params, attempt)
    await sovd.close()

    assert not error.is_certain
    assert len(attempt.announced) == 1
    assert sum(vehicle.arrived(method) for method in ("DELETE", "PUT", "POST")) == 1
    assert len(vehicle.carried_out) == carried_out
    assert vehicle.locks == {}


@pytest.mark.parametrize(("name", "params"), CHANGES)
async def test_a_change_that_cannot_be_connected_is_certainly_not_sent(
    connector: SovdConnector, vehicle: SovdVehicle, name: str, params: dict[str, Any]
) -> None:
    class LeavingAttempt(KeptAttempt):
        async def about_to_send(self, before: list[str] | None = None) -> None:
            vehicle.peer.refuse()
            await vehicle.peer.all_closed()

    error = await failure(connector, vehicle.target(), name, params, LeavingAttempt())

    assert (error.error_code, error.is_certain) == ("vehicle_unreachable", True)


@pytest.mark.parametrize(("name", "params"), CHANGES)
async def test_only_reads_of_codes_and_data_can_prove_a_change(
    connector: SovdConnector, vehicle: SovdVehicle, name: str, params: dict[str, Any]
) -> None:
    target, before = vehicle.target(), ["P0171-00"]

    [back] = await asyncio.gather(
        connector.read_back(target, name, params, before, KeptAttempt()), return_exceptions=True
    )

    if name in {"ClearDTC", "WriteDataByID"}:
        assert isinstance(back, VehicleError)
        assert back.error_code == "outcome_unknown"
    else:
        assert back is None
    assert sum(vehicle.arrived(method) for method in ("DELETE", "POST")) == 0
