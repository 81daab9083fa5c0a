"""Searching is quick among many commands, above all when there is nothing to find."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands import search
from commands.models import Command
from commands.tests.test_api import listed, make_command
from commands.tests.test_trouble_codes import plan_of
from conftest import make_user, make_vehicle

NOTHING = ["000999", "deadbeef", "zzz"]


@pytest.fixture
def many(operator: User, stranger: User) -> None:
    """40,000 commands of 80 vehicles and two users."""
    for number in range(40):
        for user in (operator, stranger):
            make_command(user, make_vehicle(number + 200 * (user == stranger)))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, command_name,
                status, command_params, error_code, error_message, submitted_at, expires_at,
                last_sequence_number)
            SELECT gen_random_uuid(), vehicle_id, submitted_by_id, command_name,
                status, command_params, error_code, error_message,
                submitted_at - number * interval '1 minute', expires_at, 0
            FROM commands_command, generate_series(1, 500) AS number
            """
        )
        cursor.execute("VACUUM ANALYZE")


def plans(asked: CaptureQueriesContext) -> list[str]:
    """Of all that look for commands."""
    queries = [query["sql"] for query in asked.captured_queries]
    return [plan_of(sql) for sql in queries if 'FROM "commands_command"' in sql]


def through_the_table(plan: str) -> bool:
    return "Seq Scan on commands_command" in plan or "SubPlan" in plan


@pytest.mark.parametrize("text", NOTHING)
def test_the_list_reads_only_what_it_finds(viewer: User, many: None, text: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        listed(viewer, f"search={text}")
    found = plans(asked)
    assert len(found) <= 1  # that there is nothing may be known before
    for plan in found:
        assert "command_latest_of_vehicle" in plan or "commands_command_pkey" in plan
        assert "command_latest " not in plan
        assert not through_the_table(plan)


@pytest.mark.parametrize("text", [*NOTHING, "nobody", "idle"])
def test_the_admin_reads_only_what_it_finds(many: None, text: str) -> None:
    make_user("idle")
    client = Client()
    client.force_login(User.objects.create(username="root", is_superuser=True, is_staff=True))
    with CaptureQueriesContext(connection) as asked:
        response = client.get(f"/admin/commands/command/?q={text}")
    assert response.status_code == 200
    for plan in plans(asked):
        assert not through_the_table(plan)
        assert "command_latest " not in plan


@pytest.mark.parametrize("most", [1, 2, 3])
def test_more_vehicles_than_are_named(
    operator: User, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(search, "MOST_NAMED", most)
    made = [make_command(operator, make_vehicle(number)) for number in range(2)]
    found: Any = listed(operator, "search=1HGCM")
    assert sorted(found) == sorted(str(command.pk) for command in made)
    assert Command.objects.filter(search.matching("zzz")).count() == 0
    assert listed(operator, "search=A000001") == [str(made[1].pk)]
