"""Statements that batches need, however many vehicles they have."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from commands import batches, lifecycle
from commands.models import Batch, Command, Event
from commands.tests.batches.fleet import (
    BATCHES,
    claim,
    counted,
    ids,
    make_fleet,
    respond,
    submitted,
)
from conftest import (
    ReadDTC,
)
from vehicles.models import Vehicle

# --- What it costs


def statements(work: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"].split()[0] for query in captured.captured_queries]


def test_a_thousand_vehicles_need_as_many_queries_as_one(operator: User, known: Any) -> None:
    fleet = make_fleet(1_000)
    client = known(operator)
    for vehicles in (fleet[:2], fleet):
        body = {"vehicle_ids": ids(vehicles), **ReadDTC}
        assert statements(lambda body=body: client.post(BATCHES, body)) == [
            *("BEGIN", "SELECT"),  # the vehicles
            *("INSERT", "SELECT"),  # the batch, how many of the user's wait
            "SELECT",  # whether one was retired meanwhile
            *("INSERT", "INSERT", "INSERT", "COMMIT"),  # the last: the audit
        ]
        batch = Batch.objects.latest("submitted_at")
        assert Event.objects.filter(command__batch=batch).count() == len(vehicles)
        Vehicle.objects.filter(pk=vehicles[0].pk).update(connection_status="connected")
        assert statements(lambda batch=batch: batches.cancel(batch)) == [
            *("BEGIN", "UPDATE", "SAVEPOINT", "SELECT", "UPDATE", "INSERT"),
            *("SELECT", "RELEASE", "COMMIT"),  # whether a webhook asks
            "SELECT",  # the commands that may run now
        ]
        assert counted(operator, batch) == {"cancelled": len(vehicles)}


def test_pages_of_batches_need_as_many_queries_for_many_as_for_one(
    operator: User, known: Any
) -> None:
    fleet = make_fleet(60)
    client = known(operator)
    few, many = submitted(operator, fleet[:2]), submitted(operator, fleet)
    for command in claim(30):
        respond(command, 2)
    for batch in (few, many):
        assert len(statements(lambda batch=batch: client.get(f"{BATCHES}{batch.pk}/"))) == 1
        address = f"{BATCHES}{batch.pk}/results/?page_size=100"
        assert len(statements(lambda address=address: client.get(address))) == 4
    assert len(statements(lambda: client.get(BATCHES))) == 1


def test_a_sweep_of_batches_is_one_query_while_nothing_fails(
    operator: User, fleet: list[Vehicle]
) -> None:
    for _ in range(3):
        submitted(operator, fleet, stop_above_failed_percent=10)
    assert statements(batches.sweep) == ["SELECT"]


def test_the_hot_queries_of_batches_read_by_indexes(operator: User) -> None:
    """None of the queries reads the whole table of 20,000 commands."""
    fleet = make_fleet(200)
    rows = [
        Batch(submitted_by=operator, vehicle_count=200, stop_above_failed_percent=10, **ReadDTC)
        for _ in range(100)
    ]
    Batch.objects.bulk_create(rows)
    Batch.objects.update(submitted_at=F("submitted_at") - timedelta(days=1))
    lifecycle.submit_many(
        [
            Command(vehicle=vehicle, submitted_by=operator, batch=rows[0], **ReadDTC)
            for vehicle in fleet
        ]
    )
    copy_to_all_batches()
    Command.objects.filter(vehicle__in=fleet[:50]).update(status="failed")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE commands_command, commands_batch")
    one = Batch.objects.filter(pk=rows[0].pk)
    counts = str(batches.with_counts(one).explain())
    assert counts.count("Index Only Scan using command_of_batch") == counts.count(
        "command_of_batch"
    )
    assert counts.count("command_of_batch") == 3
    open_ones = Command.objects.filter(batch=rows[0], status__in=["pending", "in_progress"])
    failing = str(batches._failing().filter(pk=rows[0].pk).explain())
    for plan in (counts, failing, str(open_ones.order_by("pk").explain())):
        assert "command_of_batch" in plan
        assert "Seq Scan on commands_command" not in plan


def copy_to_all_batches() -> None:
    """Give each batch without commands the same as the one that has some."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_command (command_id, batch_id, vehicle_id, submitted_by_id,
                command_name, status, command_params, error_code, error_message, submitted_at,
                expires_at, last_sequence_number)
            SELECT gen_random_uuid(), other.batch_id, vehicle_id, command.submitted_by_id,
                command.command_name, status, command.command_params, error_code, error_message,
                command.submitted_at, command.expires_at, last_sequence_number
            FROM commands_command AS command, commands_batch AS other
            WHERE other.batch_id <> command.batch_id
            """
        )
