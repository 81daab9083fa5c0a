"""One command against one vehicle, when time, connections and connectors misbehave."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from commands import lifecycle
from commands.execution import Execution, Stop
from commands.models import Command
from commands.threads import in_thread
from commands.worker import Worker
from conftest import WAIT_SECONDS, ClearDTC, claim_one, make_vehicle, row, submit, until
from vehicles.connector import Answer, TargetVehicle
from vehicles.mock_vehicle import MockVehicle
from vehicles.models import Vehicle


class Chatterbox:
    """Its answers are there already: it never lets anybody wait, and never comes to an end."""

    async def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        while True:
            yield Answer({})


class SlowToLeave:
    """A connector that has to say goodbye to its vehicle, which takes until the test says."""

    def __init__(self) -> None:
        self.asked = 0
        self.leaving = asyncio.Event()
        self.may_leave = asyncio.Event()

    async def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        self.asked += 1
        try:
            await asyncio.Event().wait()
            yield Answer({}, is_final=True)
        finally:
            self.leaving.set()
            await self.may_leave.wait()


class FailsToLeave:
    async def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        try:
            yield Answer({"done": True}, is_final=True)
        finally:
            raise ConnectionResetError("the gateway hung up")


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def clear(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle, ClearDTC)


def far() -> float:
    return asyncio.get_running_loop().time() + 1000


def told(command: Command) -> list[Any]:
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status") or event.payload["response"] for event in log]


async def test_the_deadline_binds_answers_that_never_wait(
    command: Command, settings: Settings
) -> None:
    settings.COMMAND_TIMEOUT_SECONDS = 0.2
    claimed = await in_thread(claim_one)
    await Execution(claimed, Chatterbox(), far()).run()
    assert (await in_thread(told, command))[-1] == "timed_out"


async def test_a_stop_binds_answers_that_never_wait(command: Command) -> None:
    execution = Execution(await in_thread(claim_one), Chatterbox(), far())
    task = asyncio.create_task(execution.run())
    await until(lambda: execution.command.last_sequence_number > 4)
    execution.stop(Stop.CANCELLED)
    await task
    assert (await in_thread(told, command))[-1] == "cancelled"


async def test_stopped_before_it_was_sent(clear: Command) -> None:
    connector = SlowToLeave()
    execution = Execution(await in_thread(claim_one), connector, far())
    execution.stop(Stop.CANCELLED)
    await execution.run()
    assert connector.asked == 0
    assert await in_thread(told, clear) == ["pending", "in_progress", "cancelled"]


async def test_lease_is_over_before_it_was_sent(clear: Command) -> None:
    """The worker slept: somebody else has the command by now, or has ended it."""
    connector = SlowToLeave()
    await Execution(await in_thread(claim_one), connector, lease_ends=0).run()
    assert connector.asked == 0
    assert await in_thread(told, clear) == ["pending", "in_progress"]


async def test_stopped_again_while_it_leaves(command: Command) -> None:
    connector = SlowToLeave()
    execution = Execution(await in_thread(claim_one), connector, far())
    task = asyncio.create_task(execution.run())
    await until(lambda: connector.asked)
    for reason in (Stop.CANCELLED, Stop.CANCELLED, Stop.RELEASED):
        execution.stop(reason)
        await asyncio.wait_for(connector.leaving.wait(), 10)
    connector.may_leave.set()
    await task
    assert (await in_thread(told, command))[-1] == "cancelled"


async def test_a_connector_that_never_leaves_does_not_keep_its_vehicle(
    command: Command, settings: Settings
) -> None:
    settings.COMMAND_TIMEOUT_SECONDS, settings.COMMAND_LEASE_SECONDS = 0.1, 1
    connector = SlowToLeave()
    worker = Worker(connector)
    task = asyncio.create_task(worker.run())
    await until(lambda: was_given_back(command))
    connector.may_leave.set()
    worker.stop()
    await task


async def was_given_back(command: Command) -> bool:
    return (await in_thread(told, command))[:3] == ["pending", "in_progress", "pending"]


async def test_a_connector_that_fails_to_leave_has_answered_all_the_same(clear: Command) -> None:
    await Execution(await in_thread(claim_one), FailsToLeave(), far()).run()
    assert await in_thread(told, clear) == ["pending", "in_progress", {"done": True}, "completed"]


async def test_drain_stops_when_it_is_told_to(operator: User, vehicle: Vehicle) -> None:
    for _ in range(3):
        await in_thread(submit, operator, vehicle)
    connector = SlowToLeave()
    connector.may_leave.set()
    worker = Worker(connector)
    task = asyncio.create_task(worker.drain())
    await until(lambda: connector.asked)
    worker.stop()
    worker.stop()
    await asyncio.wait_for(task, 10)
    assert connector.asked == 1
    assert await in_thread(Command.objects.filter(status="pending").count) == 3


# --- The database


@pytest.fixture
def fails_once(transactional_db: None) -> Iterator[None]:
    """The next INSERT of an event ends like a lost connection; those after it do not."""
    with connection.cursor() as cursor:
        cursor.execute(FAIL_ONCE)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER fail_once ON commands_event; DROP SEQUENCE failures")


FAIL_ONCE = """
CREATE SEQUENCE failures;
CREATE OR REPLACE FUNCTION fail_once() RETURNS trigger AS $$ BEGIN
  IF nextval('failures') = 1 THEN RAISE 'gone' USING ERRCODE = 'admin_shutdown'; END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER fail_once BEFORE INSERT ON commands_event FOR EACH ROW
  WHEN (NEW.kind = 'response') EXECUTE FUNCTION fail_once();
"""


@pytest.mark.usefixtures("fails_once")
async def test_a_write_survives_a_lost_connection(clear: Command) -> None:
    """The vehicle is asked once, and its answer is not thrown away."""
    claimed = await in_thread(claim_one)
    await Execution(claimed, MockVehicle(), far()).run()
    pending, running, answer, completed = await in_thread(told, clear)
    assert (pending, running, completed) == ("pending", "in_progress", "completed")
    assert answer["type"] == "cleared"


def test_a_commit_of_which_no_answer_came(command: Command) -> None:
    """It had arrived: written again, it is there once."""
    claimed = claim_one()
    in_hand = Command.objects.get()
    lifecycle.respond(claimed, {"n": 1})
    lifecycle.write_once(lifecycle.respond, in_hand, {"n": 1})
    lifecycle.complete(in_hand, {"n": 2})
    assert told(command) == ["pending", "in_progress", {"n": 1}, {"n": 2}, "completed"]


def test_written_again_by_who_lost_the_claim(command: Command) -> None:
    claimed = claim_one()
    in_hand = Command.objects.get()
    lifecycle.release(claimed)
    with pytest.raises(lifecycle.LostClaim):
        lifecycle.write_once(lifecycle.respond, in_hand, {"n": 1})


def test_no_process_waits_long_for_another(transactional_db: None) -> None:
    """One that is frozen between UPDATE and COMMIT holds its row locks for seconds at most."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("10s",)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("5s",)


async def test_a_connector_that_blocks_costs_no_lease(operator: User, settings: Settings) -> None:
    """It holds up everything in its process, but the renewal: nobody else takes its commands."""
    settings.COMMAND_LEASE_SECONDS = 3  # a busy machine stands still for one
    vehicles = [await in_thread(make_vehicle, n) for n in range(2)]
    quiet, blocking = [await in_thread(submit, operator, vehicle, ClearDTC) for vehicle in vehicles]
    connector = Blocks(vehicles[1].vin)
    worker = Worker(connector)
    watching = asyncio.create_task(in_thread(outlives_its_lease, blocking, connector.may_go))
    task = asyncio.create_task(worker.run())
    await until(lambda: has_ended(blocking))
    connector.may_answer.set()
    await until(lambda: has_ended(quiet))
    worker.stop()
    await task
    await watching
    for command in (quiet, blocking):
        log = await in_thread(told, command)
        assert log == ["pending", "in_progress", {"done": True}, "completed"]


class Blocks:
    """On one vehicle, as a library does that knows nothing of event loops."""

    def __init__(self, vin: str) -> None:
        self.vin = vin
        self.may_go = threading.Event()
        self.may_answer = asyncio.Event()

    async def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        if vehicle.vin == self.vin:
            self.may_go.wait(WAIT_SECONDS)
        else:
            await self.may_answer.wait()
        yield Answer({"done": True}, is_final=True)


def outlives_its_lease(command: Command, outlived: threading.Event) -> None:
    """As another worker does, it sweeps all the while: beyond the end of the first lease."""
    deadline = time.monotonic() + WAIT_SECONDS
    first = None
    while time.monotonic() < deadline:
        lifecycle.sweep()
        lease = row(command).lease_expires_at
        first = first or lease
        if first and timezone.now() > first + timedelta(seconds=1):
            break
    outlived.set()


async def has_ended(command: Command) -> bool:
    return (await in_thread(row, command)).has_ended


async def test_who_cannot_renew_stops_by_the_clock(
    operator: User, vehicle: Vehicle, settings: Settings
) -> None:
    settings.COMMAND_LEASE_SECONDS = 1
    connector = SlowToLeave()
    connector.may_leave.set()
    command = await in_thread(submit, operator, vehicle)
    worker = Worker(connector)
    task = asyncio.create_task(worker.run())
    await until(lambda: connector.asked)
    async with held(command):
        await asyncio.wait_for(connector.leaving.wait(), WAIT_SECONDS)
        worker.stop()
    await task
    assert (await in_thread(told, command))[:2] == ["pending", "in_progress"]


async def test_a_frozen_process_does_not_cost_the_others_their_leases(
    operator: User, settings: Settings
) -> None:
    """The sweep waits for a row that is held; leases are renewed all the same."""
    settings.COMMAND_LEASE_SECONDS = 2
    stuck = await in_thread(submit, operator, await in_thread(make_vehicle, 1))
    await in_thread(claim_one)
    await in_thread(Command.objects.update, lease_expires_at=stuck.submitted_at)
    healthy = await in_thread(submit, operator, await in_thread(make_vehicle, 2))
    connector = SlowToLeave()
    worker = Worker(connector)
    async with held(stuck):
        task = asyncio.create_task(worker.run())
        await until(lambda: connector.asked)
        lease = (await in_thread(row, healthy)).lease_expires_at
        await until(lambda: has_other_lease(healthy, lease))
    connector.may_leave.set()
    worker.stop()
    worker.stop()
    await task


async def has_other_lease(command: Command, lease: Any) -> bool:
    return bool((await in_thread(row, command)).lease_expires_at != lease)


@asynccontextmanager
async def held(command: Command) -> AsyncIterator[None]:
    """Another connection has changed the row and not yet committed."""
    changed, may_end = threading.Event(), threading.Event()

    def change() -> None:
        with transaction.atomic():
            Command.objects.filter(pk=command.pk).update(cancel_requested_at=None)
            changed.set()
            may_end.wait(10)

    holding = asyncio.create_task(in_thread(change))
    await asyncio.to_thread(changed.wait, 10)
    try:
        yield
    finally:
        may_end.set()
        await holding
