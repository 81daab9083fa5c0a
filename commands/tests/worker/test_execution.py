"""Execution of one command while time, connections and connectors misbehave."""

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
from commands.database.threads import in_thread
from commands.models import Command
from commands.worker.execution import Execution, Stop
from commands.worker.writer import Writer
from conftest import (
    WAIT_SECONDS,
    ClearDTC,
    ReadDTC,
    ScriptedConnector,
    announce,
    claim_one,
    make_vehicle,
    row,
    submit,
    until,
    until_blocked,
    worker_of,
)
from vehicles.connectors.base import Attempt, Response, TargetVehicle, VehicleError
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle


class Chatterbox(ScriptedConnector):
    """Connector that yields without ever waiting, and never ends."""

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        while True:
            yield Response({})


class SlowToLeave(ScriptedConnector):
    """A connector that has to say goodbye to its vehicle, which takes until the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.leaving = asyncio.Event()
        self.may_leave = asyncio.Event()

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        self.asked += 1
        try:
            await asyncio.Event().wait()
            yield Response({}, is_final=True)
        finally:
            self.leaving.set()
            await self.may_leave.wait()


class FailsToLeave(ScriptedConnector):
    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        try:
            yield Response({"done": True}, is_final=True)
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
    await Execution(claimed, Chatterbox(), far(), Writer()).run()
    assert (await in_thread(told, command))[-1] == "timed_out"


async def test_a_stop_binds_answers_that_never_wait(command: Command) -> None:
    execution = Execution(await in_thread(claim_one), Chatterbox(), far(), Writer())
    task = asyncio.create_task(execution.run())
    await until(lambda: execution.command.last_sequence_number > 4)
    execution.stop(Stop.CANCELLED)
    await task
    assert (await in_thread(told, command))[-1] == "cancelled"


async def test_a_command_stopped_before_it_was_sent_is_cancelled(clear: Command) -> None:
    connector = SlowToLeave()
    execution = Execution(await in_thread(claim_one), connector, far(), Writer())
    execution.stop(Stop.CANCELLED)
    await execution.run()
    assert connector.asked == 0
    assert await in_thread(told, clear) == ["pending", "in_progress", "cancelled"]


async def test_a_command_is_not_sent_after_its_lease(clear: Command) -> None:
    """The worker slept: somebody else has the command by now, or has ended it."""
    connector = SlowToLeave()
    await Execution(await in_thread(claim_one), connector, lease_ends=0, writer=Writer()).run()
    assert connector.asked == 0
    assert await in_thread(told, clear) == ["pending", "in_progress"]


async def test_a_second_stop_during_the_close_changes_nothing(command: Command) -> None:
    connector = SlowToLeave()
    execution = Execution(await in_thread(claim_one), connector, far(), Writer())
    task = asyncio.create_task(execution.run())
    await until(lambda: connector.asked)
    for reason in (Stop.CANCELLED, Stop.CANCELLED, Stop.RELEASED):
        execution.stop(reason)
        await asyncio.wait_for(connector.leaving.wait(), 10)
    connector.may_leave.set()
    await task
    assert (await in_thread(told, command))[-1] == "cancelled"


async def test_a_connector_that_never_closes_does_not_keep_its_vehicle(
    command: Command, settings: Settings
) -> None:
    settings.COMMAND_TIMEOUT_SECONDS, settings.COMMAND_LEASE_SECONDS = 0.1, 1
    connector = SlowToLeave()
    worker = worker_of(connector)
    task = asyncio.create_task(worker.run())
    await until(lambda: was_given_back(command))
    connector.may_leave.set()
    worker.stop()
    await task


async def was_given_back(command: Command) -> bool:
    return (await in_thread(told, command))[:3] == ["pending", "in_progress", "pending"]


async def test_the_responses_of_a_connector_that_fails_to_close_count(clear: Command) -> None:
    await Execution(await in_thread(claim_one), FailsToLeave(), far(), Writer()).run()
    assert await in_thread(told, clear) == ["pending", "in_progress", {"done": True}, "completed"]


async def test_drain_stops_when_it_is_told_to(operator: User, vehicle: Vehicle) -> None:
    for _ in range(3):
        await in_thread(submit, operator, vehicle)
    connector = SlowToLeave()
    connector.may_leave.set()
    worker = worker_of(connector)
    task = asyncio.create_task(worker.drain())
    await until(lambda: connector.asked)
    worker.stop()
    worker.stop()
    await asyncio.wait_for(task, 10)
    assert connector.asked == 1
    assert await in_thread(Command.objects.filter(status="pending").count) == 3


async def test_a_command_that_is_cancelled_while_it_is_marked_as_sent_was_not_sent(
    clear: Command,
) -> None:
    connector = SlowToLeave()
    execution = Execution(await in_thread(claim_one), connector, far(), Writer())
    is_held, is_blocking, may_go = (threading.Event() for _ in range(3))
    holder = asyncio.create_task(in_thread(hold, clear, is_held, is_blocking, may_go))
    await asyncio.to_thread(is_held.wait, WAIT_SECONDS)
    task = asyncio.create_task(execution.run())
    await asyncio.to_thread(is_blocking.wait, WAIT_SECONDS)
    execution.stop(Stop.CANCELLED)
    may_go.set()
    await asyncio.gather(task, holder)
    assert connector.asked == 0
    assert await in_thread(told, clear) == ["pending", "in_progress", "cancelled"]


def hold(
    command: Command,
    is_held: threading.Event,
    is_blocking: threading.Event,
    may_go: threading.Event,
) -> None:
    with transaction.atomic():
        Command.objects.select_for_update().get(pk=command.pk)
        is_held.set()
        until_blocked()
        is_blocking.set()
        may_go.wait(WAIT_SECONDS)


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
    await Execution(claimed, MockConnector(), far(), Writer()).run()
    pending, running, answer, completed = await in_thread(told, clear)
    assert (pending, running, completed) == ("pending", "in_progress", "completed")
    assert answer["type"] == "cleared"


def test_a_response_is_there_once_after_a_commit_without_an_answer(command: Command) -> None:
    """The COMMIT had arrived, so the second write adds nothing."""
    claimed = claim_one()
    in_hand = Command.objects.get()
    lifecycle.respond(claimed, {"n": 1})
    lifecycle.write_once(lifecycle.respond, in_hand, {"n": 1})
    lifecycle.complete(in_hand, {"n": 2})
    assert told(command) == ["pending", "in_progress", {"n": 1}, {"n": 2}, "completed"]


def test_a_worker_that_lost_its_claim_writes_nothing_again(command: Command) -> None:
    claimed = claim_one()
    in_hand = Command.objects.get()
    lifecycle.release(claimed)
    with pytest.raises(lifecycle.LostClaim):
        lifecycle.write_once(lifecycle.respond, in_hand, {"n": 1})


def test_no_process_waits_long_for_another(transactional_db: None) -> None:
    """A process frozen between UPDATE and COMMIT holds its row locks for seconds at most."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("10s",)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("5s",)


async def test_a_connector_that_blocks_costs_no_lease(operator: User, settings: Settings) -> None:
    """A blocked event loop stops everything in its process but the renewal of leases."""
    settings.COMMAND_LEASE_SECONDS = 6  # a busy machine stands still for two
    vehicles = [await in_thread(make_vehicle, n) for n in range(2)]
    quiet, blocking = [await in_thread(submit, operator, vehicle, ClearDTC) for vehicle in vehicles]
    connector = Blocks(vehicles[1].vin)
    worker = worker_of(connector)
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


class Blocks(ScriptedConnector):
    """Connector that blocks the event loop for one vehicle, like a synchronous library."""

    def __init__(self, vin: str) -> None:
        super().__init__()
        self.vin = vin
        self.may_go = threading.Event()
        self.may_answer = asyncio.Event()

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        if vehicle.vin == self.vin:
            self.may_go.wait(WAIT_SECONDS)
        else:
            await self.may_answer.wait()
        yield Response({"done": True}, is_final=True)


def outlives_its_lease(command: Command, outlived: threading.Event) -> None:
    """Sweep like another worker, until the first lease has ended."""
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


async def test_a_worker_that_cannot_renew_stops_by_the_clock(
    operator: User, vehicle: Vehicle, settings: Settings
) -> None:
    settings.COMMAND_LEASE_SECONDS = 1
    connector = SlowToLeave()
    connector.may_leave.set()
    command = await in_thread(submit, operator, vehicle)
    worker = worker_of(connector)
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
    worker = worker_of(connector)
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


class RefusesInOddWords(ScriptedConnector):
    """A vehicle whose words cannot be stored as they are."""

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        raise VehicleError("vehicle_refused", "NRC\x00 0x22 \ud800" + "x" * 5_000)
        yield Response({})


@pytest.mark.parametrize("body", [ReadDTC, ClearDTC])
async def test_a_refusal_in_odd_words_is_told_as_a_refusal(
    operator: User, vehicle: Vehicle, body: dict[str, Any]
) -> None:
    """A NUL in it once made a refused ClearDTC end as worker_lost."""
    command = await in_thread(submit, operator, vehicle, body)
    await worker_of(RefusesInOddWords()).drain()
    ended = await in_thread(row, command)
    assert (ended.status, ended.error_code) == ("failed", "vehicle_refused")
    assert ended.error_message.startswith("NRC\ufffd 0x22 \ufffd")
    assert len(ended.error_message) <= 1_001
