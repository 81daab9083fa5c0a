"""The moves: each guarded, each with exactly one event, and none for who lost the claim."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands import lifecycle
from commands.lifecycle import AlreadyEnded, LostClaim
from commands.models import TERMINAL, Command, Event, Status
from commands.scrape import registry
from commands.stream.connections import NET_LINES, missed_lines
from conftest import ClearDTC, ReadDTC, claim_one, log_of, make_vehicle, row, submit
from vehicles.models import Vehicle

HOUR = timedelta(hours=1)


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def claimed(command: Command) -> Command:
    return claim_one()


def put(command: Command, **fields: Any) -> None:
    """Put a state, or time, into the row."""
    Command.objects.filter(pk=command.pk).update(**fields)


def told(command: Command) -> list[Any]:
    """What the log says, shortly."""
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status") or event.payload["response"] for event in log]


# --- Every move


@pytest.mark.embedded
def test_submit(command: Command) -> None:
    assert told(command) == ["pending"]
    assert (command.status, command.last_sequence_number) == ("pending", 1)
    assert command.expires_at - command.submitted_at == timedelta(seconds=300)


@pytest.mark.embedded
def test_what_the_api_says_of_expiry_is_what_is_stored(operator: User, vehicle: Vehicle) -> None:
    submitted = lifecycle.submit(operator, vehicle, "ReadDTC", {"ecuAddress": "0x10"})
    assert submitted.expires_at == row(submitted).expires_at


@pytest.mark.embedded
def test_claim_respond_complete(claimed: Command) -> None:
    lifecycle.respond(claimed, {"n": 1})
    lifecycle.complete(claimed, {"n": 2})
    row = Command.objects.get()
    assert row.started_at
    assert row.completed_at
    assert told(row) == ["pending", "in_progress", {"n": 1}, {"n": 2}, "completed"]
    assert (row.status, row.last_sequence_number, row.claim_token) == ("completed", 5, None)
    assert row.submitted_at <= row.started_at <= row.completed_at
    assert [e.payload["is_final"] for e in row.events.filter(kind="response")] == [False, True]


ENDS: list[tuple[Callable[[Command], None], str, str]] = [
    (lambda c: lifecycle.complete(c, {}), "completed", ""),
    (lambda c: lifecycle.fail(c, "vehicle_refused", "No."), "failed", "vehicle_refused"),
    (lambda c: lifecycle.time_out(c, "Silence."), "timed_out", "vehicle_timeout"),
    (lifecycle.cancel_running, "cancelled", ""),
]


@pytest.mark.parametrize(("move", "status", "error_code"), ENDS, ids=[end[1] for end in ENDS])
def test_ends(claimed: Command, move: Any, status: str, error_code: str) -> None:
    before = executed(status)
    move(claimed)
    row = Command.objects.get()
    assert (row.status, row.error_code, told(row)[-1]) == (status, error_code, status)
    assert sum(event.payload.get("status") in TERMINAL for event in row.events.all()) == 1
    assert executed(status) == before + 1


def executed(status: str) -> float:
    labels = {"status": status}
    return registry().get_sample_value("commands_executed_total", labels) or 0.0


def test_no_move_out_of_a_terminal_state(claimed: Command) -> None:
    lifecycle.complete(claimed, {})
    for move in every_write():
        with pytest.raises(AlreadyEnded):
            move(claimed)
    assert told(claimed)[2:] == [{}, "completed"]


def test_unknown_move_is_a_bug(command: Command) -> None:
    with pytest.raises(ValueError, match="cannot go from pending to completed"):
        lifecycle.complete(command, {})


def every_write() -> list[Callable[[Command], Any]]:
    return [
        lambda command: lifecycle.respond(command, {"n": 1}),
        lambda command: lifecycle.complete(command, {"n": 2}),
        lambda command: lifecycle.fail(command, "vehicle_refused", "No."),
        lambda command: lifecycle.time_out(command, "Silence."),
        lifecycle.cancel_running,
        lifecycle.release,
        lifecycle.mark_sent,
    ]


# --- The fence


@pytest.mark.parametrize("write", range(7))
def test_a_lost_claim_writes_nothing(claimed: Command, write: int) -> None:
    """Its lease ran out and another worker has the command: each of its writes is refused."""
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    again = claim_one()
    before = told(again)
    with pytest.raises(LostClaim):
        every_write()[write](claimed)
    assert told(again) == before == ["pending", "in_progress", "pending", "in_progress"]
    lifecycle.complete(again, {"by": "the second"})


@pytest.mark.parametrize("write", range(7))
def test_a_foreign_claim_token_writes_nothing(claimed: Command, write: int) -> None:
    """Everything else is as the writer knows it."""
    put(claimed, claim_token=uuid.uuid4())
    with pytest.raises(LostClaim):
        every_write()[write](claimed)
    assert told(claimed) == ["pending", "in_progress"]


def test_a_lost_claim_renews_nothing(claimed: Command) -> None:
    put(claimed, claim_token=uuid.uuid4(), lease_expires_at=timezone.now() - HOUR)
    lifecycle.renew([claimed])
    assert Command.objects.lapsed().exists()
    assert lifecycle.held([claimed]) == {}


def test_a_write_rolls_back_with_its_events(claimed: Command) -> None:
    """An event that is already there (a second writer) takes the whole move back."""
    payload = {"response": {}, "is_final": False}
    Event.objects.create(command=claimed, sequence_number=3, kind="response", payload=payload)
    with pytest.raises(IntegrityError):
        lifecycle.complete(claimed, {})
    assert Command.objects.get().status == "in_progress"


# --- Claiming


@contextmanager
def another_connection(work: Callable[[], Any]) -> Iterator[None]:
    """Hold a transaction open, in which `work` was done, on a connection of its own."""
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            work()
            begun.set()
            may_end.wait(10)
        connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert begun.wait(10)
        try:
            yield
        finally:
            may_end.set()
        holding.result()


def test_a_row_that_is_held_is_skipped_at_once(operator: User) -> None:
    held, free = (submit(operator, make_vehicle(n)) for n in (1, 2))
    Vehicle.objects.seen()
    with another_connection(lambda: Command.objects.select_for_update().get(pk=held.pk)):
        assert [command.pk for command in lifecycle.claim(10)] == [free.pk]
    assert [command.pk for command in lifecycle.claim(10)] == [held.pk]


def test_eight_claimers_claim_nothing_twice(operator: User) -> None:
    vehicles = [make_vehicle(n) for n in range(10)]
    for vehicle in vehicles * 3:
        submit(operator, vehicle)
    Vehicle.objects.seen()
    barrier = threading.Barrier(8)

    def claim(_: int) -> list[Any]:
        barrier.wait(10)
        claimed = [command for _ in range(5) for command in lifecycle.claim(2)]
        connections.close_all()
        return [(command.pk, command.vehicle_id) for command in claimed]

    with ThreadPoolExecutor(8) as pool:
        claims = [one for batch in pool.map(claim, range(8)) for one in batch]
    assert Counter(pk for _, pk in claims) == Counter(vehicle.pk for vehicle in vehicles)
    assert Event.objects.filter(payload__status="in_progress").count() == len(vehicles)


def test_the_database_allows_one_running_command_per_vehicle(
    claimed: Command, operator: User, vehicle: Vehicle
) -> None:
    second = submit(operator, vehicle)
    with pytest.raises(IntegrityError, match="one_running_command_per_vehicle"):
        put(second, status=Status.IN_PROGRESS)


@pytest.mark.embedded
def test_one_at_a_time_in_the_order_of_submission(operator: User, vehicle: Vehicle) -> None:
    submitted = [submit(operator, vehicle).pk for _ in range(3)]
    Vehicle.objects.seen()
    done = []
    for _ in submitted:
        (command,) = lifecycle.claim(10)
        assert lifecycle.claim(10) == []
        lifecycle.complete(command, {})
        done.append(command.pk)
    assert done == submitted


def test_submitted_at_the_same_instant_the_id_decides(operator: User, vehicle: Vehicle) -> None:
    commands = [submit(operator, vehicle) for _ in range(5)]
    Command.objects.update(submitted_at=commands[0].submitted_at)
    order = []
    while commands:
        command = claim_one()
        lifecycle.complete(command, {})
        order.append(command.pk)
        commands.pop()
    assert order == sorted(order)


@pytest.mark.parametrize(
    "fields",
    [
        {"connection_status": "disconnected"},
        {"connection_status": "error"},
        {"last_seen_at": None},
        {"last_seen_at": timezone.now() - HOUR},
    ],
    ids=["disconnected", "error", "never seen", "not seen lately"],
)
def test_waits_for_its_vehicle(command: Command, vehicle: Vehicle, fields: dict[str, Any]) -> None:
    Vehicle.objects.seen()
    Vehicle.objects.update(**fields)
    assert lifecycle.claim(10) == []
    Vehicle.objects.update(connection_status="connected", last_seen_at=Now())
    assert lifecycle.claim(10) == [command]


# --- Expiry


@pytest.mark.embedded
def test_expired_is_never_claimed_and_then_swept(command: Command) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    Vehicle.objects.seen()
    assert lifecycle.claim(10) == []
    lifecycle.sweep()
    row = Command.objects.get()
    assert (row.status, row.error_code, row.started_at) == ("expired", "expired", None)
    assert told(row) == ["pending", "expired"]


def test_expired_does_not_hold_up_the_next(
    command: Command, operator: User, vehicle: Vehicle
) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    second = submit(operator, vehicle)
    assert claim_one() == second


def test_expiry_loses_against_the_claim(command: Command) -> None:
    """The sweep saw it overdue; a claim came first (made by the clock of the row)."""
    overdue = Command.objects.get()
    claim_one()
    with pytest.raises(LostClaim):
        lifecycle.expire(overdue)


# --- Lost workers


@pytest.mark.embedded
def test_lost_before_the_vehicle_was_asked(operator: User, vehicle: Vehicle) -> None:
    """Even what must not be repeated is done by another: it never reached the vehicle."""
    command = submit(operator, vehicle, ClearDTC)
    put(claim_one(), lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    assert told(command) == ["pending", "in_progress", "pending"]
    assert claim_one() == command


def test_lost_after_the_vehicle_was_asked_unsafe(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle, ClearDTC)
    claimed = claim_one()
    lifecycle.mark_sent(claimed)
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    ended = row(command)
    assert (ended.status, ended.error_code) == ("failed", "worker_lost")
    assert "may or may not" in ended.error_message
    assert told(command) == ["pending", "in_progress", "failed"]
    assert lifecycle.claim(10) == []


def test_lost_after_the_vehicle_was_asked_safe(claimed: Command, operator: User) -> None:
    """Repeated, and only the answers of the last attempt count."""
    lifecycle.respond(claimed, {"n": "lost"})
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    lifecycle.complete(claim_one(), {"n": "counts"})
    frames = log_of(operator, claimed)
    assert [frame["sequence_number"] for frame in frames] == list(range(1, 8))
    counting = claimed.answers_that_count()
    assert [event.payload["response"] for event in counting] == [{"n": "counts"}]


@pytest.mark.parametrize("body", [ReadDTC, ClearDTC], ids=["ReadDTC", "ClearDTC"])
def test_what_kills_its_workers_goes_to_no_fourth(
    operator: User, vehicle: Vehicle, body: Any
) -> None:
    """Nor does it hold up its vehicle's next command."""
    poison, following = submit(operator, vehicle, body), submit(operator, vehicle)
    for _ in range(3):
        assert claim_one() == poison
        put(poison, lease_expires_at=timezone.now() - HOUR)
        lifecycle.sweep()
    ended = row(poison)
    assert (ended.status, ended.error_code, ended.lost_workers) == ("failed", "worker_lost", 3)
    assert "3 workers were lost" in ended.error_message
    assert claim_one() == following


def test_one_suspect_at_a_time(operator: User) -> None:
    """It would take others, which are innocent, with it for a third time."""
    commands = [submit(operator, make_vehicle(n)) for n in range(3)]
    for command in commands[:2]:
        put(command, lost_workers=2)
    Vehicle.objects.seen()
    assert lifecycle.claim(10) == [commands[0], commands[2]]
    assert lifecycle.claim(10, has_suspect=True) == []
    assert lifecycle.claim(10) == [commands[1]]


def test_a_row_that_is_held_does_not_hold_up_the_sweep(operator: User) -> None:
    commands = [submit(operator, make_vehicle(n)) for n in range(2)]
    for minutes, command in enumerate(commands, -3):
        put(command, expires_at=timezone.now() + timedelta(minutes=minutes))
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    try:
        with another_connection(lambda: Command.objects.select_for_update().get(pk=commands[0].pk)):
            lifecycle.sweep()
    finally:
        connection.close()
    assert [row(command).status for command in commands] == ["pending", "expired"]


def test_a_worker_that_gives_back_is_not_lost(command: Command) -> None:
    for _ in range(5):
        lifecycle.release(claim_one())
    assert (row(command).status, row(command).lost_workers) == ("pending", 0)


def test_marked_as_sent_twice(command: Command) -> None:
    """Of the first COMMIT no answer came."""
    claimed = claim_one()
    in_hand = row(command)
    lifecycle.mark_sent(claimed)
    lifecycle.mark_sent(in_hand)
    lifecycle.complete(in_hand, {})
    assert row(command).status == "completed"


def test_a_live_lease_is_left_alone(claimed: Command) -> None:
    lifecycle.sweep()
    assert Command.objects.get().status == "in_progress"


def test_the_owner_comes_back_before_the_sweep_writes(claimed: Command) -> None:
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    (seen,) = Command.objects.lapsed()
    lifecycle.renew([claimed])
    with pytest.raises(LostClaim):
        lifecycle.release_lapsed(seen)
    lifecycle.complete(claimed, {})


def test_sent_after_the_sweep_looked(operator: User, vehicle: Vehicle) -> None:
    """The sweep believes that the vehicle was not asked. It must not give the command back."""
    submit(operator, vehicle, ClearDTC)
    claimed = claim_one()
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    (seen,) = Command.objects.lapsed()
    lifecycle.mark_sent(claimed)
    with pytest.raises(LostClaim):
        lifecycle.release_lapsed(seen)
    assert Command.objects.get().status == "in_progress"


def test_renew_and_held(claimed: Command, operator: User) -> None:
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.renew([claimed])
    assert not Command.objects.lapsed().exists()
    key = (claimed.pk, claimed.claim_token)
    assert lifecycle.held([claimed]) == {key: False}
    lifecycle.cancel(Command.objects.get())
    assert lifecycle.held([claimed]) == {key: True}
    lifecycle.cancel_running(claimed)
    assert lifecycle.held([claimed]) == {}


# --- Cancelling


@pytest.mark.embedded
def test_cancel_pending(command: Command) -> None:
    assert lifecycle.cancel(command) is True
    assert told(command) == ["pending", "cancelled"]
    Vehicle.objects.seen()
    assert lifecycle.claim(10) == []


def test_cancel_with_a_stale_view(command: Command) -> None:
    """It was pending when it was looked at, and runs by now: it is asked to stop."""
    claimed = claim_one()
    assert lifecycle.cancel(command) is False
    assert Command.objects.get().cancel_requested_at is not None
    lifecycle.complete(claimed, {})
    with pytest.raises(AlreadyEnded):
        lifecycle.cancel(Command.objects.get(pk=command.pk))


def test_cancelled_and_then_lost(claimed: Command) -> None:
    """It was asked to stop, and its worker is gone: nobody starts it again."""
    lifecycle.cancel(Command.objects.get())
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    assert told(claimed) == ["pending", "in_progress", "cancelled"]


def test_cancelled_and_then_released_by_a_worker_that_did_not_hear(claimed: Command) -> None:
    """The copy in the worker's hand does not know of the cancelling; the row does."""
    lifecycle.cancel(Command.objects.get())
    lifecycle.release(claimed)
    assert told(claimed) == ["pending", "in_progress", "cancelled"]


# --- What it costs


def queries(work: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"].split()[0] for query in captured.captured_queries]


def test_the_queries_of_one_command(operator: User, vehicle: Vehicle) -> None:
    submitted = queries(lambda: lifecycle.submit(operator, vehicle, "ReadDTC", {}))
    Vehicle.objects.seen()
    assert submitted == ["BEGIN", "INSERT", "INSERT", "COMMIT"]
    claimed: list[Command] = []
    assert queries(lambda: claimed.extend(lifecycle.claim(32))) == [
        *("BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT")
    ]
    (command,) = claimed
    write = ["BEGIN", "UPDATE", "INSERT", "COMMIT"]
    assert queries(lambda: lifecycle.respond(command, {})) == write
    assert queries(lambda: lifecycle.complete(command, {})) == write


def test_a_claim_costs_the_same_for_many(operator: User) -> None:
    for n in range(20):
        submit(operator, make_vehicle(n))
    Vehicle.objects.seen()
    assert len(queries(lambda: lifecycle.claim(20))) == 5
    assert Command.objects.filter(status="in_progress").count() == 20


def test_the_safety_net_is_one_query_for_all_that_is_up_to_date(operator: User) -> None:
    commands = [submit(operator, make_vehicle(n)) for n in range(5)]
    known = {command.pk: 1 for command in commands}
    assert queries(lambda: missed_lines(known)) == ["SELECT"]
    known[commands[0].pk] = known[commands[1].pk] = 0
    assert queries(lambda: missed_lines(known)) == ["SELECT", "SELECT"]
    missed, too_many = missed_lines(known)
    assert {command_id for command_id, _ in missed} == {commands[0].pk, commands[1].pk}
    assert not too_many


def test_more_than_the_safety_net_holds(command: Command) -> None:
    payload = {"response": {}, "is_final": False}
    Event.objects.bulk_create(
        Event(command=command, sequence_number=n, kind="response", payload=payload)
        for n in range(2, NET_LINES + 2)
    )
    put(command, last_sequence_number=NET_LINES + 1)
    assert missed_lines({command.pk: 1}) == ([], {command.pk})


def test_housekeeping_is_cheap(claimed: Command) -> None:
    assert len(queries(lifecycle.sweep)) == 2
    assert queries(lambda: lifecycle.renew([claimed] * 30)) == ["BEGIN", "UPDATE", "COMMIT"]
    assert len(queries(lambda: lifecycle.held([claimed] * 30))) == 1


def plan(queryset: Any) -> str:
    return str(queryset.explain())


def test_the_last_claim_is_looked_for_once(claimed: Command) -> None:
    """And not for each answer: of them a command may have ten thousand."""
    assert "InitPlan" in plan(claimed.answers_that_count())
    assert "SubPlan" not in plan(claimed.answers_that_count())


def test_hot_queries_use_their_indexes(operator: User) -> None:
    """With a backlog, and 20,000 commands that have ended, no hot query reads the table."""
    vehicles = [make_vehicle(n) for n in range(50)]
    commands = Command.objects.bulk_create(
        Command(
            vehicle=vehicles[n % 50],
            command_name="ReadDTC",
            status="completed" if n < 20_000 else "pending",
            submitted_by=operator,
            submitted_at=timezone.now() + timedelta(milliseconds=n),
            expires_at=timezone.now() + HOUR,
        )
        for n in range(22_000)
    )
    payload = {"status": "pending"}
    Event.objects.bulk_create(
        Event(command=command, sequence_number=1, kind="status", payload=payload)
        for command in commands
    )
    Vehicle.objects.seen()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    claim = plan(Command.objects.claimable()[:32])
    assert "command_queue" in claim
    assert "command_vehicle_queue" in claim
    assert "one_running_command_per_vehicle" in claim
    for hot in (claim, plan(Command.objects.overdue()[:100]), plan(Command.objects.lapsed()[:100])):
        assert "Seq Scan on commands_command" not in hot
    log = Event.objects.filter(command=commands[0]).after(3)
    assert "event_sequence_number_is_unique" in plan(log)
