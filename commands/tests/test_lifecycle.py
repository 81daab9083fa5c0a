"""Moves of a command: each is guarded, has one event, and fails without the claim."""

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
from commands.metrics.scrape import registry
from commands.models import TERMINAL, Command, Event, Status
from commands.stream.connections import POLL_LINES, missed_lines
from commands.tests.query_plans import add_old_commands
from conftest import ClearDTC, ReadDTC, claim_one, log_of, make_vehicle, mark_seen, row, submit
from vehicles.models import Vehicle

HOUR = timedelta(hours=1)


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def claimed(command: Command) -> Command:
    return claim_one()


def put(command: Command, **fields: Any) -> None:
    """Write a state or a time into the row."""
    Command.objects.filter(pk=command.pk).update(**fields)


def told(command: Command) -> list[Any]:
    """Return the log in short: statuses, responses and error codes."""
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status") or event.payload["response"] for event in log]


# --- Every move


@pytest.mark.embedded
def test_a_submitted_command_is_pending_with_its_first_event(command: Command) -> None:
    assert told(command) == ["pending"]
    assert (command.status, command.last_sequence_number) == ("pending", 1)
    assert command.expires_at - command.submitted_at == timedelta(seconds=300)


@pytest.mark.embedded
def test_the_expiry_in_the_response_is_the_stored_one(operator: User, vehicle: Vehicle) -> None:
    submitted = lifecycle.submit(operator, vehicle, "ReadDTC", {"ecuAddress": "0x10"})
    assert submitted.expires_at == row(submitted).expires_at


@pytest.mark.embedded
def test_a_command_is_claimed_responded_to_and_completed(claimed: Command) -> None:
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
def test_each_end_is_stored_with_its_event(
    claimed: Command, move: Any, status: str, error_code: str
) -> None:
    before = executed(status)
    move(claimed)
    row = Command.objects.get()
    assert (row.status, row.error_code, told(row)[-1]) == (status, error_code, status)
    assert sum(event.payload.get("status") in TERMINAL for event in row.events.all()) == 1
    assert executed(status) == before + 1


def executed(status: str) -> float:
    labels = {"status": status}
    return registry().get_sample_value("commands_executed_total", labels) or 0.0


def test_a_command_that_has_ended_makes_no_move(claimed: Command) -> None:
    lifecycle.complete(claimed, {})
    for move in every_write():
        with pytest.raises(AlreadyEnded):
            move(claimed)
    assert told(claimed)[2:] == [{}, "completed"]


def test_a_move_that_the_diagram_does_not_have_is_an_error(command: Command) -> None:
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
    """Another worker has the command: each write of the first one is refused."""
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
    """All other columns are as the writer knows them."""
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
    """An event with this number, by a second writer, rolls the whole move back."""
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


def test_a_locked_row_is_skipped_at_once(operator: User) -> None:
    held, free = (submit(operator, make_vehicle(n)) for n in (1, 2))
    mark_seen()
    with another_connection(lambda: Command.objects.select_for_update().get(pk=held.pk)):
        assert [command.pk for command in lifecycle.claim(10)] == [free.pk]
    assert [command.pk for command in lifecycle.claim(10)] == [held.pk]


def test_eight_claimers_claim_nothing_twice(operator: User) -> None:
    vehicles = [make_vehicle(n) for n in range(10)]
    for vehicle in vehicles * 3:
        submit(operator, vehicle)
    mark_seen()
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
def test_a_vehicle_gets_one_command_at_a_time_in_the_order_of_submission(
    operator: User, vehicle: Vehicle
) -> None:
    submitted = [submit(operator, vehicle).pk for _ in range(3)]
    mark_seen()
    done = []
    for _ in submitted:
        (command,) = lifecycle.claim(10)
        assert lifecycle.claim(10) == []
        lifecycle.complete(command, {})
        done.append(command.pk)
    assert done == submitted


def test_the_id_decides_between_commands_of_the_same_instant(
    operator: User, vehicle: Vehicle
) -> None:
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
def test_a_command_waits_for_its_vehicle(
    command: Command, vehicle: Vehicle, fields: dict[str, Any]
) -> None:
    mark_seen()
    Vehicle.objects.update(**fields)
    assert lifecycle.claim(10) == []
    Vehicle.objects.update(connection_status="connected", last_seen_at=Now())
    lifecycle.mark_ready([vehicle.pk])
    assert lifecycle.claim(10) == [command]


# --- Expiry


@pytest.mark.embedded
def test_an_expired_command_is_never_claimed_and_is_swept(command: Command) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    mark_seen()
    assert lifecycle.claim(10) == []
    lifecycle.sweep()
    row = Command.objects.get()
    assert (row.status, row.error_code, row.started_at) == ("expired", "expired", None)
    assert told(row) == ["pending", "expired"]


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("is_connected", "reason"),
    [(True, "no worker was free"), (False, "the vehicle was not connected")],
)
def test_an_expired_command_names_who_was_missing(
    command: Command, vehicle: Vehicle, is_connected: bool, reason: str
) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    if is_connected:
        mark_seen()
    lifecycle.sweep()
    assert reason in row(command).error_message


def test_many_expired_commands_end_in_one_turn_after_lapsed_leases(
    operator: User, vehicle: Vehicle
) -> None:
    """Lapsed leases do not wait behind many expired commands."""
    claimed = submit(operator, vehicle)
    put(claim_one(), lease_expires_at=timezone.now() - HOUR)
    Command.objects.bulk_create(
        Command(vehicle=vehicle, submitted_by=operator, expires_at=timezone.now() - HOUR)
        for _ in range(1_500)
    )
    lifecycle.sweep()
    assert row(claimed).status == "pending"
    assert Command.objects.filter(status="expired").count() == 1_500
    assert Event.objects.filter(kind="error", payload__status="expired").count() == 1_500


def test_an_expired_command_does_not_hold_up_the_next(
    command: Command, operator: User, vehicle: Vehicle
) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    second = submit(operator, vehicle)
    assert claim_one() == second


def test_a_claimed_command_does_not_expire(command: Command) -> None:
    claim_one()
    put(command, expires_at=timezone.now() - HOUR)
    assert lifecycle.expire_overdue() == 0
    assert row(command).status == "in_progress"


# --- Lost workers


@pytest.mark.embedded
def test_a_command_that_was_not_sent_by_its_lost_worker_is_pending_again(
    operator: User, vehicle: Vehicle
) -> None:
    """A command that was not sent is given to another worker, also if it is not safe to repeat."""
    command = submit(operator, vehicle, ClearDTC)
    put(claim_one(), lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    assert told(command) == ["pending", "in_progress", "pending"]
    assert claim_one() == command


def test_an_unsafe_command_that_was_sent_by_its_lost_worker_fails(
    operator: User, vehicle: Vehicle
) -> None:
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


def test_a_safe_command_that_was_sent_by_its_lost_worker_is_pending_again(
    claimed: Command, operator: User
) -> None:
    """The command is repeated, and only the responses to the last attempt count."""
    lifecycle.respond(claimed, {"n": "lost"})
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    lifecycle.complete(claim_one(), {"n": "counts"})
    frames = log_of(operator, claimed)
    assert [frame["sequence_number"] for frame in frames] == list(range(1, 8))
    counting = claimed.events.current_responses()
    assert [event.payload["response"] for event in counting] == [{"n": "counts"}]


@pytest.mark.parametrize("body", [ReadDTC, ClearDTC], ids=["ReadDTC", "ClearDTC"])
def test_a_command_that_has_cost_three_workers_goes_to_no_fourth(
    operator: User, vehicle: Vehicle, body: Any
) -> None:
    """The next command of its vehicle is not held up."""
    poison, following = submit(operator, vehicle, body), submit(operator, vehicle)
    for _ in range(3):
        assert claim_one() == poison
        put(poison, lease_expires_at=timezone.now() - HOUR)
        lifecycle.sweep()
    ended = row(poison)
    assert (ended.status, ended.error_code, ended.lost_workers) == ("failed", "worker_lost", 3)
    assert "3 workers were lost" in ended.error_message
    assert claim_one() == following


def test_a_worker_has_one_suspect_at_a_time(operator: User) -> None:
    """Two suspects in one lost worker would both be blamed."""
    commands = [submit(operator, make_vehicle(n)) for n in range(3)]
    for command in commands[:2]:
        put(command, lost_workers=2)
    mark_seen()
    assert lifecycle.claim(10) == [commands[0], commands[2]]
    assert lifecycle.claim(10, has_suspect=True) == []
    assert lifecycle.claim(10) == [commands[1]]


def test_a_locked_row_does_not_hold_up_the_sweep(operator: User) -> None:
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


def test_a_worker_that_releases_a_command_is_not_lost(command: Command) -> None:
    for _ in range(5):
        lifecycle.release(claim_one())
    assert (row(command).status, row(command).lost_workers) == ("pending", 0)


def test_a_command_may_be_marked_as_sent_twice(command: Command) -> None:
    """The first COMMIT got no answer."""
    claimed = claim_one()
    in_hand = row(command)
    lifecycle.mark_sent(claimed)
    lifecycle.mark_sent(in_hand)
    lifecycle.complete(in_hand, {})
    assert row(command).status == "completed"


def test_a_live_lease_is_left_alone(claimed: Command) -> None:
    lifecycle.sweep()
    assert Command.objects.get().status == "in_progress"


def test_a_renewed_lease_wins_against_the_sweep(claimed: Command) -> None:
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    (seen,) = Command.objects.lapsed()
    lifecycle.renew([claimed])
    with pytest.raises(LostClaim):
        lifecycle.release_lapsed(seen)
    lifecycle.complete(claimed, {})


def test_a_command_sent_after_the_sweep_read_it_is_not_given_back(
    operator: User, vehicle: Vehicle
) -> None:
    """The sweep read the row before the request was sent, and must not give the command back."""
    submit(operator, vehicle, ClearDTC)
    claimed = claim_one()
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    (seen,) = Command.objects.lapsed()
    lifecycle.mark_sent(claimed)
    with pytest.raises(LostClaim):
        lifecycle.release_lapsed(seen)
    assert Command.objects.get().status == "in_progress"


def test_renewing_extends_the_leases_of_the_claims_that_stand(
    claimed: Command, operator: User
) -> None:
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
def test_a_pending_command_is_cancelled_at_once(command: Command) -> None:
    assert lifecycle.cancel(command) is True
    assert told(command) == ["pending", "cancelled"]
    mark_seen()
    assert lifecycle.claim(10) == []


def test_a_command_that_runs_by_now_is_asked_to_stop(command: Command) -> None:
    """The copy in hand is pending, and the row is not."""
    claimed = claim_one()
    assert lifecycle.cancel(command) is False
    assert Command.objects.get().cancel_requested_at is not None
    lifecycle.complete(claimed, {})
    with pytest.raises(AlreadyEnded):
        lifecycle.cancel(Command.objects.get(pk=command.pk))


def test_a_command_asked_to_stop_is_cancelled_when_its_worker_is_lost(claimed: Command) -> None:
    """No other worker starts it again."""
    lifecycle.cancel(Command.objects.get())
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    assert told(claimed) == ["pending", "in_progress", "cancelled"]


def test_a_command_asked_to_stop_is_cancelled_by_an_unaware_release(claimed: Command) -> None:
    """The worker's copy is older than the request to stop; the row has it."""
    lifecycle.cancel(Command.objects.get())
    lifecycle.release(claimed)
    assert told(claimed) == ["pending", "in_progress", "cancelled"]


# --- What it costs


def queries(work: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"].split()[0] for query in captured.captured_queries]


def test_the_queries_of_one_command_are_counted(operator: User, vehicle: Vehicle) -> None:
    submitted = queries(lambda: lifecycle.submit(operator, vehicle, "ReadDTC", {}))
    mark_seen()
    assert submitted == ["SELECT", "WITH"]
    claimed: list[Command] = []
    assert queries(lambda: claimed.extend(lifecycle.claim(32))) == [
        *("SELECT", "BEGIN", "SELECT", "SELECT", "WITH", "SELECT", "COMMIT")
    ]
    assert queries(lambda: lifecycle.claim(32)) == ["SELECT"]
    (command,) = claimed
    assert queries(lambda: lifecycle.respond(command, {})) == ["WITH"]
    assert queries(lambda: lifecycle.complete(command, {})) == ["WITH", "SELECT"]


def test_a_claim_of_many_commands_has_as_many_queries_as_one(operator: User) -> None:
    for n in range(20):
        submit(operator, make_vehicle(n))
    mark_seen()
    assert len(queries(lambda: lifecycle.claim(20))) == 7
    assert Command.objects.filter(status="in_progress").count() == 20


def test_one_query_polls_all_streams_that_are_up_to_date(operator: User) -> None:
    commands = [submit(operator, make_vehicle(n)) for n in range(5)]
    known = {command.pk: 1 for command in commands}
    assert queries(lambda: missed_lines(known)) == ["SELECT"]
    known[commands[0].pk] = known[commands[1].pk] = 0
    assert queries(lambda: missed_lines(known)) == ["SELECT", "SELECT"]
    missed, too_many = missed_lines(known)
    assert {command_id for command_id, _ in missed} == {commands[0].pk, commands[1].pk}
    assert not too_many


def test_more_missed_events_than_one_poll_reads_all_arrive(command: Command) -> None:
    payload = {"response": {}, "is_final": False}
    Event.objects.bulk_create(
        Event(command=command, sequence_number=n, kind="response", payload=payload)
        for n in range(2, POLL_LINES + 2)
    )
    put(command, last_sequence_number=POLL_LINES + 1)
    assert missed_lines({command.pk: 1}) == ([], {command.pk})


def test_a_sweep_without_work_has_few_queries(claimed: Command) -> None:
    assert len(queries(lifecycle.sweep)) == 3
    assert queries(lambda: lifecycle.renew([claimed] * 30)) == ["BEGIN", "UPDATE", "COMMIT"]
    assert len(queries(lambda: lifecycle.held([claimed] * 30))) == 1


def plan(queryset: Any) -> str:
    return str(queryset.explain())


def test_the_hot_queries_read_by_indexes(operator: User) -> None:
    """No hot query reads the whole table, with a backlog and 20,000 ended commands."""
    vehicles = [make_vehicle(n) for n in range(50)]
    commands = Command.objects.bulk_create(
        Command(
            vehicle=vehicle,
            command_name="ReadDTC",
            submitted_by=operator,
            expires_at=timezone.now() + HOUR,
        )
        for vehicle in vehicles * 4
    )
    add_old_commands(100)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_event (command_id, sequence_number, kind, payload)
            SELECT command_id, 1, 'status', '{"status": "pending"}' FROM commands_command
            """
        )
        cursor.execute("ANALYZE")
    for hot in (Command.objects.overdue(), Command.objects.lapsed()):
        assert "Seq Scan on commands_command" not in plan(hot[:100])
    log = Event.objects.filter(command=commands[0]).after(3)
    assert "event_sequence_number_is_unique" in plan(log)
