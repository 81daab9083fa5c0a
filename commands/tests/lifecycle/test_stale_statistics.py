"""Plans while many commands wait, and the statistics of Postgres know of none."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.models import Command
from commands.tests.query_plans import add_old_commands, plan_of
from conftest import api, make_vehicle, submit
from vehicles.models import Vehicle

WAITING = 5_000


@pytest.fixture
def waiting(operator: User) -> list[Vehicle]:
    """Return vehicles with many commands that wait, since the statistics were made."""
    vehicles = [make_vehicle(number) for number in range(5)]
    old = [submit(operator, vehicle) for vehicle in vehicles]
    lifecycle.cancel_many(Command.objects.filter(pk__in=[command.pk for command in old]))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE commands_command SET (autovacuum_enabled = false)")
    add_old_commands(2_000)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, command_name,
                status, command_params, error_code, error_message, submitted_at, expires_at,
                last_sequence_number)
            SELECT gen_random_uuid(), %s, %s, 'ReadDTC', 'pending', '{}', '', '',
                now() - number * interval '1 s', now() + interval '1 hour', 1
            FROM generate_series(1, %s) AS number
            """,
            [vehicles[0].pk, operator.pk, WAITING],
        )
    return vehicles


def plans(work: Callable[[], Any]) -> str:
    with CaptureQueriesContext(connection) as captured:
        work()
    return "\n".join(plan_of(query["sql"]) for query in captured.captured_queries)


def test_the_count_of_a_submission_reads_its_index_after_a_bulk_load(
    waiting: list[Vehicle], operator: User, stranger: User
) -> None:
    """All that waits is of another user. The statistics are fresh, and no row was vacuumed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE commands_command SET submitted_by_id =
                CASE status WHEN 'pending' THEN %s ELSE submitted_by_id END
            """,
            [stranger.pk],
        )
        cursor.execute("ANALYZE commands_command")
    assert "command_waiting_of_user" in plans(lambda: submit(operator, waiting[1]))


def test_each_path_reads_its_own_index(
    waiting: list[Vehicle], operator: User, viewer: User
) -> None:
    assert "command_expiring" in plans(lifecycle.expire_overdue)
    assert "command_waiting_of_user" in plans(lambda: submit(operator, waiting[1]))
    client = api(viewer)
    assert "command_vehicle_queue" in plans(lambda: client.get("/api/v1/vehicles/"))
    listed = plans(lambda: client.get("/api/v1/commands/?status=pending"))
    assert "command_queue " in listed
    assert "Sort" not in listed
