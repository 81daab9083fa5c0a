"""Worker: from the claim of a command to its end."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from commands.database.threads import in_thread
from commands.models import Command
from commands.tests.worker.background import working
from commands.tests.worker.bench import Bench, outcome
from conftest import (
    WAIT_SECONDS,
    ClearDTC,
    ReadDTC,
    drain,
    log_of,
    make_vehicle,
    row,
    submit,
    until,
    worker_of,
)
from vehicles.connectors.base import Attempt, Response, TargetVehicle
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle


async def all_completed(count: int) -> bool:
    return await in_thread(Command.objects.filter(status="completed").count) == count


# --- From claim to end


@pytest.mark.embedded
async def test_a_worker_reads_trouble_codes(operator: User, command: Command) -> None:
    await drain()
    pending, running, *answers, completed = await in_thread(log_of, operator, command)
    assert [f["status"] for f in (pending, running, completed)] == [
        *("pending", "in_progress", "completed")
    ]
    assert [answer["is_final"] for answer in answers] == [False] * (len(answers) - 1) + [True]
    codes = [a["response"]["dtcCode"] for a in answers if a["response"]["type"] == "dtc"]
    assert "P0420" in codes
    assert answers[-1]["response"]["dtcCount"] == len(codes)


@pytest.mark.embedded
async def test_cleared_codes_stay_cleared(operator: User, vehicle: Vehicle) -> None:
    mock = MockConnector()
    for body in (ReadDTC, ClearDTC, ReadDTC):
        last = await in_thread(submit, operator, vehicle, body)
    await drain(mock)
    (answer,) = (await in_thread(log_of, operator, last))[2:-1]
    assert answer["response"]["dtcCount"] == 0


def test_runworker_drain_carries_out_all_commands(command: Command) -> None:
    call_command("runworker", drain=True)
    assert row(command).status == "completed"


async def test_vehicles_run_at_the_same_time_and_each_one_in_order(operator: User) -> None:
    vehicles = [await in_thread(make_vehicle, n) for n in range(5)]
    for body in (ReadDTC, ClearDTC, ReadDTC):
        for vehicle in vehicles:
            await in_thread(submit, operator, vehicle, body)
    bench = Bench()
    async with working(worker_of(bench), worker_of(bench)):
        await until(lambda: bench.running == 5)
        bench.go.set()
        await until(lambda: len(bench.asked) == 15 and bench.running == 0)
        await until(lambda: all_completed(15))
    assert bench.most_at_once == 5
    for vehicle in vehicles:
        asked = [name for vin, name in bench.asked if vin == vehicle.vin]
        assert asked == ["ReadDTC", "ClearDTC", "ReadDTC"]


async def test_a_worker_runs_no_more_commands_than_allowed(
    operator: User, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = 2
    for n in range(5):
        await in_thread(submit, operator, await in_thread(make_vehicle, n))
    bench = Bench()
    async with working(worker_of(bench)):
        await until(lambda: bench.running == 2)
        bench.go.set()
        await until(lambda: all_completed(5))
    assert (len(bench.asked), bench.most_at_once) == (5, 2)


class OneByOne(Bench):
    """Connector whose vehicles respond one by one, as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = asyncio.Semaphore(0)
        self.go.set()

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        self.running += 1
        await self.turns.acquire()
        self.running -= 1
        async for response in super().execute(vehicle, command_name, command_params, attempt):
            yield response


async def test_a_worker_that_runs_more_commands_than_allowed_claims_none_until_it_may(
    operator: User, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = 4
    for n in range(5):
        await in_thread(submit, operator, await in_thread(make_vehicle, n))
    bench = OneByOne()
    drained = asyncio.create_task(worker_of(bench).drain())
    await until(lambda: bench.running == 4)
    settings.WORKER_CONCURRENCY = 1
    for count in range(1, 6):
        bench.turns.release()
        await until(partial(all_completed, count))
    await drained
    assert len(bench.asked) == 5


async def test_an_expired_command_is_not_sent(command: Command) -> None:
    past = (await in_thread(row, command)).submitted_at
    await in_thread(Command.objects.update, expires_at=past)
    bench = Bench()
    await worker_of(bench).drain()
    assert bench.asked == []
    assert (await outcome(command))[:2] == ("expired", "expired")


async def test_a_command_is_carried_out_when_its_vehicle_is_connected(
    command: Command, vehicle: Vehicle
) -> None:
    """Only a probe makes a vehicle connected, also if its row says so."""
    vehicles = Vehicle.objects.all()
    await in_thread(vehicles.update, connector_settings={"online": False})
    await drain()
    assert (await outcome(command))[0] == "pending"
    await in_thread(vehicles.update, connector_settings={}, probe_at=timezone.now())
    await drain()
    assert (await outcome(command))[0] == "completed"


# --- The pause between two claims


@pytest.mark.parametrize("is_busy", [True, False])
async def test_a_worker_lets_more_come_while_commands_run(is_busy: bool) -> None:
    """A busy one waits longer than the last claim took, but not for the end of its commands."""
    worker: Any = worker_of(Bench())
    passed = asyncio.Event()
    running = asyncio.create_task(asyncio.Event().wait())
    if is_busy:
        worker._running[running] = None
    asyncio.get_running_loop().call_later(0.02, passed.set)
    async with asyncio.timeout(WAIT_SECONDS / 2):
        await worker._let_more_come(0.01)
    assert passed.is_set() is is_busy
    running.cancel()
