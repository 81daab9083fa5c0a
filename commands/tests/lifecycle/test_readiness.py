"""Every command that may run is claimed, in order, although the claim looks at ready ones alone."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import lifecycle
from commands.models import Batch, Command, Status
from commands.tests.query_plans import plan_of
from conftest import (
    claim_one,
    empty_tables,
    make_user,
    make_vehicle,
    mark_seen,
    meanwhile,
    row,
    submit,
)
from vehicles.models import ConnectionStatus, Vehicle

HOUR = timedelta(hours=1)


# --- Random walks


class Fleet:
    """Four vehicles, two users and two workers. Each step takes numbers that choose among them."""

    def __init__(self) -> None:
        empty_tables()
        self.users = [make_user(name) for name in ("ann", "bob")]
        self.vehicles = [make_vehicle(number) for number in range(4)]
        self.running: list[Command] = []
        mark_seen()

    def submit(self, user: int, vehicle: int) -> None:
        lifecycle.submit(self.users[user % 2], self.vehicles[vehicle % 4], "ReadDTC", {})

    def submit_batch(self, user: int, first: int) -> None:
        owner, targets = self.users[user % 2], self.vehicles[first % 4 :]
        batch = Batch.objects.create(
            command_name="ReadDTC", submitted_by=owner, vehicle_count=len(targets)
        )
        lifecycle.submit_many(
            [
                Command(vehicle=one, command_name="ReadDTC", submitted_by=owner, batch=batch)
                for one in targets
            ]
        )

    def claim(self, limit: int, _: int) -> None:
        first = first_in_line()
        claimed = lifecycle.claim(limit + 1)
        assert {command.pk for command in claimed} <= first
        self.running += claimed

    def end(self, which: int, how: int) -> None:
        if self.running:
            command = self.running.pop(which % len(self.running))
            moves: list[Callable[[Command], Any]] = [
                lambda c: lifecycle.complete(c, {}),
                lambda c: lifecycle.fail(c, "vehicle_refused", "No."),
                lambda c: lifecycle.time_out(c, "Silence."),
                lifecycle.release,
                self.lose,
            ]
            moves[how % len(moves)](command)

    def lose(self, command: Command) -> None:
        """Let the worker of the command be killed, and another one sweep."""
        Command.objects.filter(pk=command.pk).update(lease_expires_at=Now() - HOUR)
        lifecycle.sweep()

    def cancel(self, which: int, many: int) -> None:
        pending = Command.objects.filter(status=Status.PENDING).order_by("submitted_at")
        if many % 3 == 0:
            lifecycle.cancel_many(pending.filter(vehicle=self.vehicles[which % 4]))
        elif rows := list(pending):
            lifecycle.cancel(rows[which % len(rows)])

    def expire(self, which: int, is_swept: int) -> None:
        if rows := list(Command.objects.filter(status=Status.PENDING).order_by("submitted_at")):
            expired = Command.objects.filter(pk=rows[which % len(rows)].pk)
            expired.update(expires_at=Now() - HOUR)
        if is_swept % 2 or rows:
            lifecycle.sweep()

    def disconnect(self, vehicle: int, _: int) -> None:
        self._set(vehicle, connection_status=ConnectionStatus.DISCONNECTED)

    def connect(self, vehicle: int, _: int) -> None:
        self._set(vehicle, connection_status=ConnectionStatus.CONNECTED, last_seen_at=Now())
        self.probe(vehicle, 0)

    def probe(self, vehicle: int, _: int) -> None:
        lifecycle.mark_ready([self.vehicles[vehicle % 4].pk])

    def _set(self, vehicle: int, **fields: Any) -> None:
        Vehicle.objects.filter(pk=self.vehicles[vehicle % 4].pk).update(**fields)


def first_in_line() -> set[Any]:
    """Return the commands that may run now, found without the claim's queries."""
    busy = {c.vehicle_id for c in Command.objects.filter(status=Status.IN_PROGRESS)}
    seen = Vehicle.objects.all()
    connected = {v.pk for v in seen if v.effective_connection_status == "connected"}
    first: dict[Any, Any] = {}
    for command in Command.objects.filter(status=Status.PENDING, expires_at__gt=Now()).order_by(
        "submitted_at", "command_id"
    ):
        first.setdefault(command.vehicle_id, command.pk)
    return {pk for vehicle, pk in first.items() if vehicle in connected - busy}


STEPS = ["submit", "submit_batch", "claim", "end", "cancel", "expire", "disconnect", "connect"]
WALKS = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, 12), st.integers(0, 12)), max_size=40
)
WALK_SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def walk(steps: list[tuple[str, int, int]]) -> Fleet:
    fleet = Fleet()
    for name, *numbers in steps:
        getattr(fleet, name)(*numbers)
    return fleet


@WALK_SETTINGS
@given(steps=WALKS)
def test_whatever_happened_all_that_may_run_is_claimed(
    transactional_db: None, steps: list[tuple[str, int, int]]
) -> None:
    walk(steps)
    expected = first_in_line()
    assert {command.pk for command in lifecycle.claim(32)} == expected


@WALK_SETTINGS
@given(steps=WALKS, lost=st.lists(st.booleans(), min_size=8, max_size=8))
def test_whatever_hints_were_lost_all_that_may_run_is_claimed_after_one_probe(
    transactional_db: None, steps: list[tuple[str, int, int]], lost: list[bool]
) -> None:
    """Processes were killed after a commit, or an older version wrote hints that are wrong."""
    fleet = walk(steps)
    commands = Command.objects.order_by("submitted_at", "command_id")
    for command, was_ready in zip(commands, lost * 100, strict=False):
        Command.objects.filter(pk=command.pk).update(is_ready=was_ready)
    for vehicle in range(4):
        fleet.probe(vehicle, 0)
    expected = first_in_line()
    assert {command.pk for command in lifecycle.claim(32)} == expected


# --- Two at once


CLEARED = 'SET "is_ready"'


def test_a_vehicle_that_comes_back_while_its_command_is_put_off_gets_it(
    operator: User, vehicle: Vehicle
) -> None:
    command = submit(operator, vehicle)
    Vehicle.objects.update(last_seen_at=None)
    with meanwhile(CLEARED, mark_seen):
        assert lifecycle.claim(10) == []
    assert lifecycle.claim(10) == [command]


def test_a_vehicle_whose_command_ends_while_the_next_is_put_off_gets_it(
    operator: User, vehicle: Vehicle
) -> None:
    submit(operator, vehicle)
    running = claim_one()
    following = submit(operator, vehicle)
    with meanwhile(CLEARED, lambda: lifecycle.complete(running, {})):
        assert lifecycle.claim(10) == []
    assert lifecycle.claim(10) == [following]


def test_a_command_whose_predecessor_is_cancelled_while_it_is_put_off_is_claimed(
    operator: User, vehicle: Vehicle
) -> None:
    first, following = submit(operator, vehicle), submit(operator, vehicle)
    Command.objects.filter(pk=first.pk).update(is_ready=False)
    Vehicle.objects.update(last_seen_at=Now())
    with meanwhile(CLEARED, lambda: lifecycle.cancel(first)):
        assert lifecycle.claim(10) == []
    assert lifecycle.claim(10) == [following]


@pytest.mark.embedded
def test_a_submitted_command_is_looked_at_without_a_probe(operator: User, vehicle: Vehicle) -> None:
    mark_seen()
    command = submit(operator, vehicle)
    assert row(command).is_ready
    assert lifecycle.claim(10) == [command]
    assert not row(command).is_ready


# --- A long queue


def add_waiting(user: User, count: int, lines: int, *, is_ready: bool) -> None:
    """Add commands for the first vehicles, one after the other; the first in line may be ready."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, command_name,
                status, command_params, error_code, error_message, submitted_at, turn, expires_at,
                last_sequence_number, is_ready)
            SELECT gen_random_uuid(), vehicle_id, %s, 'ReadDTC', 'pending', '{}', '', '',
                now() + n * interval '1 ms', now() + n * interval '1 minute',
                now() + interval '1 hour', 1, %s AND n <= %s
            FROM generate_series(1, %s) AS n
            JOIN (SELECT vehicle_id, row_number() OVER (ORDER BY vin) AS place
                  FROM vehicles_vehicle) AS line ON place = 1 + n %% %s
            """,
            [user.pk, is_ready, lines, count, lines],
        )


def add_vehicles(count: int) -> None:
    Vehicle.objects.bulk_create(
        Vehicle(vin=f"2HGCM82633A{n:06}", connection_status=ConnectionStatus.CONNECTED)
        for n in range(count)
    )


# By the statistics of an almost empty table, its history seems as short as its line.
OF_ONE_VEHICLE = {"command_vehicle_queue", "command_latest_of_vehicle"}
ALLOWED = OF_ONE_VEHICLE | {
    "command_ready",
    "commands_command_pkey",
    "one_running_command_per_vehicle",
}


@pytest.mark.parametrize("statistics", ["none", "few commands", "no pending ones", "up to date"])
@pytest.mark.parametrize("shape", ["absent", "long lines", "connected"])
def test_the_claim_reads_a_few_entries_whatever_the_statistics_say(
    operator: User, stranger: User, statistics: str, shape: str
) -> None:
    """No part of it reads the table, or an index of all that waits."""
    lines = 4 if shape == "long lines" else 1_000
    add_vehicles(lines)
    if statistics == "few commands":
        add_waiting(operator, 3, lines, is_ready=False)
        analyze()
        Command.objects.all().delete()
    elif statistics == "no pending ones":
        add_waiting(operator, 2_000, lines, is_ready=False)
        Command.objects.update(status=Status.COMPLETED)
        analyze()
    mark_seen()
    add_waiting(operator, 8_000, lines, is_ready=shape != "absent")
    if shape == "absent":
        Vehicle.objects.update(connection_status=ConnectionStatus.DISCONNECTED)
    if statistics == "up to date":
        analyze()
    idle = make_vehicle(5_000)
    mark_seen()
    command = submit(stranger, idle)
    with CaptureQueriesContext(connection) as asked:
        assert command in lifecycle.claim(8)
    plans = [
        plan_of(query["sql"]) for query in asked if query["sql"].split()[0] in ("SELECT", "WITH")
    ]
    assert len(plans) == 5
    for plan in plans:
        assert "Seq Scan on commands_command" not in plan
        assert {index for index in INDEXES if f" {index} " in plan} <= ALLOWED, plan
        for scan in re.split(f" (?:{'|'.join(OF_ONE_VEHICLE)}) ", plan)[1:]:
            assert "Index Cond: (vehicle_id = " in scan.splitlines()[1], plan
    assert "command_ready" in plans[0]


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE commands_command")


INDEXES = [index.name for index in [*Command._meta.indexes, *Command._meta.constraints]]


def test_commands_that_cannot_run_are_looked_at_once(operator: User) -> None:
    """A thousand vehicles go away, whose commands were ready; the one behind them is claimed."""
    add_vehicles(1_000)
    add_waiting(operator, 1_000, 1_000, is_ready=True)
    idle = make_vehicle(5_000)
    Vehicle.objects.exclude(pk=idle.pk).update(connection_status=ConnectionStatus.DISCONNECTED)
    mark_seen()
    command = submit(operator, idle)
    Command.objects.filter(pk=command.pk).update(turn=timezone.now() + timedelta(days=1))
    assert lifecycle.claim(8) == [command]
    assert not Command.objects.ready().exists()
