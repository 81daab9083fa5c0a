"""Numbers and plans of the queries of the lifecycle."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands import lifecycle
from commands.models import Command, Event
from commands.stream.connection_manager import POLL_LINES, missed_lines
from commands.tests.lifecycle.rows import HOUR, put
from commands.tests.query_plans import add_old_commands
from conftest import make_vehicle, mark_seen, submit
from vehicles.models import Vehicle


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


@pytest.mark.embedded
def test_pending_commands_have_indexes_of_their_own(operator: User, vehicle: Vehicle) -> None:
    with CaptureQueriesContext(connection) as captured:
        lifecycle.expire_overdue()
        lifecycle.submit(operator, vehicle, "ReadDTC", {})
    # Django notes the SQL for SQLite as it is before "%%" becomes "%".
    overdue, count, *_ = (query["sql"].replace("%%", "%") for query in captured.captured_queries)
    assert "command_expiring" in plan_without_scan(overdue)
    assert "command_waiting_of_user" in plan_without_scan(count)


def plan_without_scan(query: str) -> str:
    """Return the plan of Postgres, which reads no small table by an index, or of SQLite."""
    is_postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        if is_postgres:
            cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"{'EXPLAIN' if is_postgres else 'EXPLAIN QUERY PLAN'} {query}")
        lines = str(cursor.fetchall())
        if is_postgres:
            cursor.execute("RESET enable_seqscan")
    return lines


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
