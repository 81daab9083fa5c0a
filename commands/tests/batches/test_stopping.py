"""Batches that stop by themselves after failures."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F

from commands import batches, lifecycle
from commands.database.threads import in_thread
from commands.models import Batch, Command
from commands.tests.batches.fleet import (
    allow_unsafe,
    at_once,
    claim,
    clear,
    counted,
    fail,
    make_fleet,
    seen,
    submitted,
    told,
)
from commands.tests.draining import drain_here
from commands.tests.worker.background import working
from conftest import (
    ScriptedConnector,
    announce,
    drain,
    row,
    until,
    worker_of,
)
from sovd.tests.processes import drain_worker
from vehicles.connectors.base import Attempt, Response, TargetVehicle, VehicleError
from vehicles.models import Vehicle

# --- Stopping by itself


class Fleet(ScriptedConnector):
    """Vehicles of which the first `failing` refuse; each waits for the test's permission."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self.failing = failing
        self.asked = 0

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        self.asked += 1
        if self.asked <= self.failing:
            raise VehicleError("vehicle_refused", "No.")
        yield Response({}, is_final=True)


@pytest.fixture
def one_by_one(settings: Any) -> None:
    settings.WORKER_CONCURRENCY = 1


@pytest.mark.parametrize(
    ("percent", "failing", "stops"),
    [(0, 1, True), (25, 1, False), (24, 1, True), (25, 2, True), (100, 4, False), (None, 4, False)],
)
@pytest.mark.usefixtures("one_by_one")
@pytest.mark.embedded
async def test_a_batch_stops_above_its_share_of_failures(
    operator: User, fleet: list[Vehicle], percent: int | None, failing: int, stops: bool
) -> None:
    batch = await in_thread(submitted, operator, fleet, stop_above_failed_percent=percent)
    vehicles = Fleet(failing)
    await drain(vehicles)
    shown = await in_thread(seen, operator, batch)
    ran = failing if stops else 4
    assert vehicles.asked == ran
    assert shown["counts"]["failed"] == failing
    assert shown["counts"]["cancelled"] == 4 - ran
    assert (shown["stop_reason"], shown["has_ended"]) == ("failures" if stops else "", True)
    assert bool(shown["stopped_at"]) is stops


@pytest.mark.embedded
def test_a_sweep_stops_a_batch_that_a_killed_worker_left(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    failed, running = claim(2)
    fail(failed)  # and its worker dies
    batches.sweep()
    assert counted(operator, batch) == {"failed": 1, "in_progress": 1, "cancelled": 2}
    assert row(running).cancel_requested_at
    assert seen(operator, batch)["stop_reason"] == "failures"


@pytest.fixture
def all_are_unreachable(one_by_one: None, settings: Any) -> None:
    settings.MOCK_VEHICLE_UNREACHABLE_RATE = 1


@pytest.mark.usefixtures("all_are_unreachable")
def test_a_batch_stops_although_its_worker_is_killed_after_the_failure(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    given: dict[str, Any] = {"WORKER_CONCURRENCY": 1, "MOCK_VEHICLE_UNREACHABLE_RATE": 1}
    assert drain_worker("after_commit=kill@2", **given) == -signal.SIGKILL
    assert counted(operator, batch) == {"failed": 1, "pending": 3}
    drain_here()
    check_stopped(operator, batch)


@pytest.mark.parametrize("failpoint", ["after_commit=cut@2", "after_commit=cut@3"])
@pytest.mark.usefixtures("all_are_unreachable")
def test_a_batch_stops_although_its_worker_loses_the_database_after_the_failure(
    operator: User, fleet: list[Vehicle], failpoint: str
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    drain_here(failpoint)
    drain_here()
    check_stopped(operator, batch)


def check_stopped(operator: User, batch: Batch) -> None:
    assert counted(operator, batch) == {"failed": 1, "cancelled": 3}
    for command in batch.commands.filter(status="cancelled"):
        assert told(command) == ["pending", "cancelled"]


async def test_a_lost_worker_may_be_one_failure_too_many(
    operator: User, fleet: list[Vehicle]
) -> None:
    """The sweep that ends the command also stops its batch."""

    def lose_one() -> Batch:
        response = clear(
            allow_unsafe(operator), fleet, vehicle_count=4, stop_above_failed_percent=0
        )
        (lost,) = claim(1)
        lifecycle.mark_sent(lost)
        Command.objects.filter(pk=lost.pk).update(lease_expires_at=lost.submitted_at)
        return Batch.objects.get(pk=response.json()["batch_id"])

    batch = await in_thread(lose_one)
    await drain()
    assert await in_thread(counted, operator, batch) == {"failed": 1, "cancelled": 3}


def test_timed_out_commands_are_failures_and_expired_ones_are_not(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    Command.objects.filter(vehicle=fleet[0]).update(expires_at=F("submitted_at"))
    lifecycle.sweep()
    batches.sweep()
    assert counted(operator, batch) == {"expired": 1, "pending": 3}
    (command,) = claim(1)
    lifecycle.time_out(command, "Silence.")
    batches.sweep()
    assert counted(operator, batch) == {"expired": 1, "timed_out": 1, "cancelled": 2}


def test_a_cancelled_batch_does_not_stop_for_failures(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    (command,) = claim(1)
    batches.cancel(batch)
    before = seen(operator, batch)["stopped_at"]
    fail(command)
    batches.sweep()
    batches.stop_if_failing(batch.pk)
    after = seen(operator, batch)
    assert (after["stop_reason"], after["stopped_at"]) == ("cancelled", before)


@pytest.mark.parametrize("round_", range(3))
def test_one_of_many_workers_stops_a_failing_batch(
    operator: User, monkeypatch: pytest.MonkeyPatch, round_: int
) -> None:
    batch = submitted(operator, make_fleet(40), stop_above_failed_percent=0)
    failed, *running = claim(5)
    fail(failed)
    stops = []
    cancel_many = lifecycle.cancel_many

    def counting(commands: Any) -> tuple[int, int]:
        stops.append(1)
        return cancel_many(commands)

    monkeypatch.setattr(lifecycle, "cancel_many", counting)
    at_once(*[partial(batches.stop_if_failing, batch.pk)] * 6)
    assert len(stops) == 1
    assert counted(operator, batch) == {"failed": 1, "in_progress": 4, "cancelled": 35}
    assert all(row(command).cancel_requested_at for command in running)
    for command in batch.commands.filter(status="cancelled"):
        assert told(command) == ["pending", "cancelled"]


async def test_running_commands_of_a_stopped_batch_are_asked_to_stop(
    operator: User, fleet: list[Vehicle]
) -> None:
    """Other commands run when one fails: each waits for its vehicle, and is then ended."""
    batch = await in_thread(submitted, operator, fleet, stop_above_failed_percent=0)

    class OneRefuses(ScriptedConnector):
        async def execute(
            self,
            vehicle: TargetVehicle,
            command_name: str,
            command_params: Mapping[str, Any],
            attempt: Attempt,
        ) -> AsyncIterator[Response]:
            await announce(attempt, command_name)
            if vehicle.vin == fleet[0].vin:
                raise VehicleError("vehicle_refused", "No.")
            await asyncio.Event().wait()
            yield Response({}, is_final=True)

    async with working(worker_of(OneRefuses())):
        await until(lambda: in_thread(lambda: seen(operator, batch)["has_ended"]))
    assert await in_thread(counted, operator, batch) == {"failed": 1, "cancelled": 3}
