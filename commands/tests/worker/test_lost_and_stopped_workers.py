"""Workers that are lost or stopped while a vehicle works."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from commands import lifecycle
from commands.database.threads import in_thread
from commands.models import Command
from commands.tests.worker.background import working
from commands.tests.worker.bench import Bench, has_status, outcome
from conftest import (
    ClearDTC,
    api,
    follow,
    log_of,
    read_all,
    row,
    submit,
    token_of,
    until,
    worker_of,
)
from vehicles.models import Vehicle


@pytest.fixture
def clear(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle, ClearDTC)


# --- Workers that are lost


async def killed_while_running(bench: Bench, command: Command) -> None:
    """A worker dies while the vehicle works; then its lease runs out."""
    worker = asyncio.create_task(worker_of(bench).run())
    await until(lambda: bench.running)
    worker.cancel()
    await asyncio.wait([worker])
    past = (await in_thread(row, command)).submitted_at
    await in_thread(Command.objects.filter(pk=command.pk).update, lease_expires_at=past)


async def test_a_safe_command_of_a_lost_worker_is_repeated(
    operator: User, command: Command
) -> None:
    await killed_while_running(Bench(), command)
    bench = Bench()
    bench.go.set()
    await worker_of(bench).drain()
    frames, _ = await read_all(command, operator)
    assert [frame.get("status") or frame["response"] for frame in frames] == [
        *("pending", "in_progress", "pending", "in_progress", {"done": True}, "completed")
    ]


async def test_an_unsafe_command_of_a_lost_worker_is_not_repeated(clear: Command) -> None:
    await killed_while_running(Bench(), clear)
    bench = Bench()
    bench.go.set()
    await worker_of(bench).drain()
    assert bench.asked == []
    assert (await outcome(clear))[:2] == ("failed", "worker_lost")


async def test_a_worker_that_lost_its_claim_stops_and_writes_nothing(
    operator: User, command: Command
) -> None:
    bench = Bench()
    async with working(worker_of(bench)):
        await until(lambda: bench.running)
        await in_thread(Vehicle.objects.update, connection_status="disconnected")
        await in_thread(lifecycle.release, await in_thread(row, command))
        await until(lambda: not bench.running)
    frames = await in_thread(log_of, operator, command)
    assert [frame["status"] for frame in frames] == ["pending", "in_progress", "pending"]


async def test_a_lease_is_renewed_while_the_vehicle_works(
    command: Command, settings: Settings
) -> None:
    settings.COMMAND_LEASE_SECONDS = 2
    bench = Bench()
    async with working(worker_of(bench)):
        await until(lambda: bench.running)
        before = (await in_thread(row, command)).lease_expires_at
        await until(lambda: renewed(command, before))
        bench.go.set()
        await until(lambda: has_status(command, "completed"))


async def renewed(command: Command, before: Any) -> bool:
    lease_expires_at = (await in_thread(row, command)).lease_expires_at
    return bool(lease_expires_at > before)


# --- Stopping


async def test_the_first_stop_lets_running_commands_finish(
    operator: User, command: Command, vehicle: Vehicle
) -> None:
    second = await in_thread(submit, operator, vehicle)
    bench = Bench()
    worker = worker_of(bench)
    task = asyncio.create_task(worker.run())
    await until(lambda: bench.running)
    worker.stop()
    bench.go.set()
    await asyncio.wait_for(task, 10)
    assert ((await outcome(command))[0], (await outcome(second))[0]) == ("completed", "pending")


async def stopped_twice(bench: Bench) -> None:
    worker = worker_of(bench)
    task = asyncio.create_task(worker.run())
    await until(lambda: bench.running)
    worker.stop()
    worker.stop()
    await asyncio.wait_for(task, 10)


async def test_the_second_stop_gives_back_commands_that_are_safe_to_repeat(
    command: Command,
) -> None:
    await stopped_twice(Bench())
    assert (await outcome(command))[0] == "pending"


async def test_the_second_stop_ends_commands_that_are_not_safe_to_repeat(clear: Command) -> None:
    await stopped_twice(Bench())
    assert (await outcome(clear))[:2] == ("failed", "worker_lost")


async def test_a_command_is_cancelled_while_the_vehicle_works(
    operator: User, command: Command
) -> None:
    bench = Bench()
    url = f"/api/v1/commands/{command.pk}/cancel/"
    async with follow(command.pk, token_of(operator)) as stream, working(worker_of(bench)):
        await until(lambda: bench.running)
        response = await in_thread(api(operator).post, url)
        assert response.status_code == 202
        frames, _ = await stream.rest()
        assert not bench.running
    assert [frame["status"] for frame in frames] == ["pending", "in_progress", "cancelled"]
