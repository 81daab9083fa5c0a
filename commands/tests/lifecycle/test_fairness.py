"""The order of claims over all vehicles: users take turns, and single commands go first."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands import lifecycle
from commands.lifecycle import insertion
from commands.lifecycle.submission import TURN
from commands.models import AuditEntry, Batch, Command, Priority
from conftest import ReadDTC, api, make_user, make_vehicle, mark_seen, submit
from vehicles.models import Vehicle

BATCHES = "/api/v1/batches/"


@pytest.fixture
def other(transactional_db: None) -> User:
    return make_user("other", "add_command", "view_vehicle")


def vehicles(first: int, count: int) -> list[Vehicle]:
    return [make_vehicle(number) for number in range(first, first + count)]


def batch_of(user: User, targets: list[Vehicle]) -> None:
    body = {"vehicle_ids": [str(vehicle.pk) for vehicle in targets], **ReadDTC}
    assert api(user).post(BATCHES, body).status_code == 201


def users_in_order(count: int) -> list[str]:
    """The submitters of the next commands, claimed one by one."""
    mark_seen()
    names = []
    for _ in range(count):
        (command,) = lifecycle.claim(1)
        names.append(command.submitted_by.username)
    return names


@pytest.mark.embedded
def test_a_single_read_is_claimed_before_the_rest_of_a_flood(operator: User, other: User) -> None:
    batch_of(operator, vehicles(1, 50))
    (idle,) = vehicles(100, 1)
    submit(other, idle)
    assert users_in_order(2) == ["other", "operator"]


@pytest.mark.embedded
def test_two_batches_are_claimed_in_turns(operator: User, other: User) -> None:
    batch_of(operator, vehicles(1, 6))
    batch_of(other, vehicles(101, 6))
    order = users_in_order(12)
    assert [set(order[n : n + 2]) for n in range(0, 12, 2)] == [{"operator", "other"}] * 6


def test_a_users_own_single_command_goes_before_the_batch(operator: User) -> None:
    batch_of(operator, vehicles(1, 5))
    (idle,) = vehicles(100, 1)
    single = submit(operator, idle)
    mark_seen()
    assert lifecycle.claim(1) == [single]


def test_commands_of_one_vehicle_keep_their_order(operator: User, other: User) -> None:
    """A later command waits for the vehicle, even with an earlier turn."""
    targets = vehicles(1, 10)
    batch_of(operator, targets)
    submit(other, targets[9])
    mark_seen()
    first = lifecycle.claim(20)
    assert {command.submitted_by_id for command in first} == {operator.pk}


def test_more_pending_commands_than_the_limit_are_refused(operator: User, settings: Any) -> None:
    settings.PENDING_COMMANDS_PER_USER = 3
    targets = vehicles(1, 4)
    for vehicle in targets[:3]:
        submit(operator, vehicle)
    refused = api(operator).post("/api/v1/commands/", {"vehicle_id": str(targets[3].pk), **ReadDTC})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_pending")
    assert refused["Retry-After"] == "60"
    assert "3 is the limit" in refused.json()["detail"]
    assert Command.objects.count() == 3


def test_a_batch_counts_each_of_its_commands(operator: User, settings: Any) -> None:
    settings.PENDING_COMMANDS_PER_USER = 3
    body = {"vehicle_ids": [str(vehicle.pk) for vehicle in vehicles(1, 4)], **ReadDTC}
    refused = api(operator).post(BATCHES, body)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_pending")
    assert Command.objects.count() == 0


# --- Priority

Background = ReadDTC | {"priority": "background"}


@pytest.mark.embedded
def test_interactive_commands_of_all_users_go_before_the_background(
    operator: User, other: User
) -> None:
    first, second, third, fourth = vehicles(1, 4)
    background = [submit(other, first, Background), submit(operator, second, Background)]
    batch_of(operator, [third])
    single = submit(operator, fourth)
    mark_seen()
    order = [lifecycle.claim(1)[0] for _ in range(4)]
    assert order == [single, Command.objects.get(vehicle=third), *background]


@pytest.mark.embedded
def test_nothing_of_the_background_holds_up_an_interactive_command(
    operator: User, other: User
) -> None:
    """Commands before it in the line of its vehicle keep their place, and go first."""
    targets = vehicles(1, 6)
    background = [submit(other, vehicle, Background) for vehicle in targets]
    urgent = submit(operator, targets[5])
    mark_seen()
    (before,) = lifecycle.claim(1)
    assert before == background[5]
    lifecycle.complete(before, {})
    assert lifecycle.claim(1) == [urgent]


# --- A command that waits for its time


@pytest.mark.embedded
def test_a_command_that_waits_for_its_time_holds_up_no_later_one(
    operator: User, vehicle: Vehicle
) -> None:
    at = timezone.now() + timedelta(hours=1)
    early = submit(operator, vehicle, ReadDTC | {"not_before": at.isoformat()})
    later = submit(operator, vehicle)
    assert not early.is_ready
    mark_seen()
    (running,) = lifecycle.claim(5)
    assert running == later
    lifecycle.complete(running, {})
    assert lifecycle.claim(5) == []
    Command.objects.filter(pk=early.pk).update(not_before=Now())
    mark_seen()  # as the next probe does
    assert lifecycle.claim(5) == [early]


# --- A flood


def add_pending(user: User, count: int) -> None:
    """Let the user have so many pending commands more."""
    vehicle = make_vehicle(count)
    Command.objects.bulk_create(
        Command(
            vehicle=vehicle, submitted_by=user, expires_at=Now() + timedelta(hours=1), **ReadDTC
        )
        for _ in range(count)
    )


def turn_of(command: Command) -> int:
    """Return the number of pending commands that were counted for the turn."""
    return (command.turn - command.submitted_at) // TURN


@pytest.mark.embedded
def test_a_turn_counts_at_most_a_thousand_commands(operator: User, vehicle: Vehicle) -> None:
    add_pending(operator, 999)
    assert [turn_of(submit(operator, vehicle)) for _ in range(3)] == [999, 1_000, 1_000]


def submitted(user: User, vehicle: Vehicle) -> int:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    return int(api(user).post("/api/v1/commands/", body).status_code)


@pytest.mark.embedded
def test_a_limit_above_a_thousand_holds_within_the_second_of_a_count(
    operator: User, other: User, vehicle: Vehicle, settings: Any
) -> None:
    settings.PENDING_COMMANDS_PER_USER = 1_002
    add_pending(operator, 1_000)
    assert [submitted(operator, vehicle) for _ in range(4)] == [201, 201, 429, 429]
    assert Command.objects.count() == 1_002
    assert submitted(other, vehicle) == 201


def test_a_flood_is_counted_once_a_second(operator: User, vehicle: Vehicle) -> None:
    add_pending(operator, 1_000)
    submit(operator, vehicle)
    with CaptureQueriesContext(connection) as captured:
        lifecycle.submit(operator, vehicle, "ReadDTC", {})
    # Up to a thousand of all, then of each kind, but not all of them again.
    assert [query["sql"].split()[0] for query in captured] == ["SELECT", "SELECT", "WITH"]


# --- One command by one statement, many by Django


def stored(command: Command) -> Any:
    """Return all columns of a submission but those that differ with each one."""
    row: dict[str, Any] = dict(Command.objects.filter(pk=command.pk).values().get())
    at = row.pop("submitted_at")
    start = max(at, row["not_before"])
    row |= {name: row[name] - start for name in ("expires_at", "turn")} | {"command_id": "any"}
    entries = AuditEntry.objects.filter(subject=str(command.pk)).order_by("action")
    log = list(command.events.values("sequence_number", "kind", "payload"))
    return row, log, list(entries.values("username", "user_id", "action", "details", "address"))


@pytest.mark.parametrize("wait", [timedelta(hours=1), timedelta(hours=-1)])
def test_one_command_and_many_are_written_alike(
    operator: User, vehicle: Vehicle, wait: timedelta
) -> None:
    """Two ways lead to the rows, and Postgres writes a single command by one statement."""
    written, lock_id, not_before = [], uuid4(), timezone.now() + wait
    batch = Batch.objects.create(submitted_by=operator, vehicle_count=2, **ReadDTC)
    for insert in (insertion.by_one_statement, insertion.by_django):
        command = Command(
            vehicle=vehicle,
            submitted_by=operator,
            batch=batch,
            lock_id=lock_id,
            not_before=not_before,
            priority=Priority.BACKGROUND,
            **ReadDTC,
        )
        about = {"subject": str(command.pk), "user_id": operator.pk, "address": "192.0.2.1"}
        entries = [
            AuditEntry(action=action, username="operator", details={"vin": vehicle.vin}, **about)
            for action in ("confirm", "submit")
        ]
        insert([command], timedelta(minutes=5), [TURN], entries)
        written.append(stored(command))
    assert written[0] == written[1]
    row, log, entries = written[0]
    assert (row["expires_at"], row["turn"]) == (timedelta(minutes=5), TURN)
    assert row["is_ready"] is (wait < timedelta())
    assert row["lock_id"] == lock_id
    assert (len(log), len(entries)) == (1, 2)
