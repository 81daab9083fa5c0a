"""Searching is quick among many commands, above all when there is nothing to find."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands import search
from commands.models import Command
from commands.tests.api.listing import listed, make_command
from commands.tests.query_plans import add_old_commands, plan_of
from conftest import api, browser, make_user, make_vehicle
from vehicles.models import Vehicle

NOTHING = ["000999", "deadbeef", "zzz"]


def add_many_commands(*users: User) -> None:
    """Add 40,000 commands of 80 vehicles and two users."""
    for number in range(40):
        for user in users:
            make_command(user, make_vehicle(number + 200 * users.index(user)))
    add_old_commands(500)


def plans(asked: CaptureQueriesContext) -> list[str]:
    """Return the plans of all queries for commands."""
    queries = [query["sql"] for query in asked.captured_queries]
    return [plan_of(sql) for sql in queries if 'FROM "commands_command"' in sql]


def reads_the_table(plan: str) -> bool:
    return "Seq Scan on commands_command" in plan or "SubPlan" in plan


def check_the_list(viewer: User, text: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        listed(viewer, f"search={text}")
    found = plans(asked)
    assert len(found) <= 1, text  # that there is nothing may be known before
    for plan in found:
        assert "command_latest_of_vehicle" in plan or "commands_command_pkey" in plan, text
        assert "command_latest " not in plan, text
        assert not reads_the_table(plan), text


def check_the_admin(client: Client, text: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        response = client.get(f"/admin/commands/command/?q={text}")
    assert response.status_code == 200
    for plan in plans(asked):
        assert not reads_the_table(plan), text
        assert "command_latest " not in plan, text


def test_the_list_and_the_admin_read_only_the_commands_they_find(
    operator: User, stranger: User, viewer: User
) -> None:
    add_many_commands(operator, stranger)
    make_user("idle")
    for text in NOTHING:
        check_the_list(viewer, text)
    client = browser(User.objects.create(username="root", is_superuser=True, is_staff=True))
    for text in (*NOTHING, "nobody", "idle"):
        check_the_admin(client, text)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_more_vehicles_than_are_named(
    operator: User, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(search, "MAX_NAMED", most)
    made = [make_command(operator, make_vehicle(number)) for number in range(2)]
    found: Any = listed(operator, "search=1HGCM")
    assert sorted(found) == sorted(str(command.pk) for command in made)
    assert Command.objects.filter(search.matching("zzz")).count() == 0
    assert listed(operator, "search=A000001") == [str(made[1].pk)]


# --- Filters that match much alone and little together


def rare_commands(user: User) -> dict[str, str]:
    """Add 20,000 commands of 40 vehicles. Return filters that are expensive to walk through."""
    for number in range(40):
        make_command(user, make_vehicle(number))
    add_old_commands(500)
    hot = make_command(user, make_vehicle(100)).vehicle
    Command.objects.filter(pk__in=Command.objects.values("pk")[:5_000]).update(vehicle=hot)
    cancelled = Command.objects.filter(pk__in=Command.objects.exclude(vehicle=hot)[:3_000])
    cancelled.update(status="cancelled")
    failed = Command.objects.filter(pk__in=Command.objects.filter(status="completed")[:3_000])
    failed.update(status="failed", error_code="vehicle_refused")
    for number in range(40):
        make_command(user, make_vehicle(200 + number)).vehicle.commands.update(
            command_name="ClearDTC", submitted_at=timezone.now() - timedelta(days=40)
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE commands_command")
    return {
        "command_latest_of_both": f"vehicle_id={hot.pk}&command_name=ClearDTC",
        "command_latest_unsuccessful_of": "status=cancelled&command_name=ClearDTC",
    }


def test_a_reason_that_no_command_has_is_known_from_an_index(
    operator: User, stranger: User, viewer: User
) -> None:
    rare_commands(operator)
    for user in (operator, stranger, viewer):
        for query in ("", "&status=failed", "&submitted_after=2026-01-01T00:00:00Z"):
            with CaptureQueriesContext(connection) as asked:
                assert listed(user, f"error_code=wrong_vehicle{query}") == []
            (plan,) = plans(asked)
            assert "command_latest_of_error" in plan


def test_two_filters_read_only_the_commands_they_find(operator: User, viewer: User) -> None:
    for index, query in rare_commands(operator).items():
        with CaptureQueriesContext(connection) as asked:
            assert listed(viewer, query) == []
        (plan,) = plans(asked)
        assert index in plan
        assert "Seq Scan on commands_command" not in plan


def test_an_unknown_user_has_no_commands_without_a_look(operator: User, viewer: User) -> None:
    make_command(operator, make_vehicle())
    with CaptureQueriesContext(connection) as asked:
        assert listed(viewer, "submitted_by=nobody") == []
    assert plans(asked) == []


def test_another_users_commands_are_not_looked_for(
    operator: User, stranger: User, viewer: User
) -> None:
    add_many_commands(operator, stranger)
    with CaptureQueriesContext(connection) as asked:
        assert listed(stranger, "submitted_by=operator") == []
    (plan,) = plans(asked)
    assert "One-Time Filter: false" in plan


def test_a_search_for_many_vehicles_reads_the_newest_commands(
    operator: User, stranger: User, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_NAMED", 10)
    add_many_commands(operator, stranger)
    with CaptureQueriesContext(connection) as asked:
        assert len(listed(viewer, "search=Honda")) == 50
    (plan,) = plans(asked)
    assert "using command_latest " in plan
    assert "Seq Scan on commands_command" not in plan


def test_past_values_are_searched_among_the_reads_of_their_vehicle(operator: User) -> None:
    for number in range(20):
        make_command(operator, make_vehicle(number))
    add_old_commands(200, "ReadDataByID")
    with CaptureQueriesContext(connection) as asked:
        query = {"ecu_address": "0x10", "data_id": "0x010C"}
        address = f"/api/v1/vehicles/{Vehicle.objects.all()[0].pk}/values/"
        assert api(operator).get(address, query).json()["results"] == []
    (plan,) = plans(asked)
    assert re.search(r"Index Cond: \(+vehicle_id = ", plan)
    assert "Seq Scan on commands_command" not in plan
