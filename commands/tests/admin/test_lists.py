"""Lists of the admin: searches, filters, and how many rows they read."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands.metrics.counters import ENDS
from commands.models import Batch, Command, ErrorCode, Event
from commands.tests.admin.pages import (
    AUDIT,
    BATCHES,
    COMMANDS,
    EVENTS,
    VEHICLES,
    text_of,
    words,
)
from conftest import api, browser, make_user, make_vehicle, submit
from vehicles.models import Vehicle

# Finding


@pytest.mark.parametrize(
    "query",
    [
        "q=operato",
        "q=000102",
        "q=00000000",
        "q=%25",
        "submitted=hour&command_name=ClearDTC",
        "vehicle=00000000-0000-0000-0000-000000000000",
        "vehicle=nonsense",
        "submitted_by=0",
        "submitted_by=x",
        "vehicle=" + "9" * 5_000,
        "submitted_by=" + "9" * 5_000,
    ],
)
def test_a_search_without_a_match_finds_nothing(admin: User, command: Command, query: str) -> None:
    assert f"{command.pk}/change/" not in text_of(admin, f"{COMMANDS}?{query}")


@pytest.mark.embedded
def test_an_old_command_is_in_no_list_of_recent_ones(admin: User, command: Command) -> None:
    Command.objects.update(submitted_at=timezone.now() - timedelta(hours=2))
    for span, found in (("hour", False), ("day", True), ("week", True), ("nonsense", True)):
        assert (f"{command.pk}/change/" in text_of(admin, f"{COMMANDS}?submitted={span}")) is found


def test_a_vehicle_or_user_is_chosen_by_typing(admin: User, command: Command) -> None:
    chosen = f"vehicle={command.vehicle_id}&submitted_by={command.submitted_by_id}"
    page = text_of(admin, f"{COMMANDS}?{chosen}&status__exact=pending")
    assert f"{command.pk}/change/" in page
    assert f'<option value="{command.vehicle_id}" selected>' in page
    assert f'<option value="{command.submitted_by_id}" selected>operator</option>' in page
    assert '<input type="hidden" name="status__exact" value="pending">' in page
    assert "select2" in page
    for model, term in (("vehicle", "000101"), ("submitted_by", "operat")):
        asked = f"app_label=commands&model_name=command&field_name={model}&term={term}"
        answer = browser(admin).get(f"/admin/autocomplete/?{asked}").json()
        assert len(answer["results"]) == 1


@pytest.mark.parametrize(("rights", "helped"), [([], []), (["view_vehicle"], ["vehicle"])])
def test_vehicles_and_users_are_offered_only_to_those_who_may_see_them(
    command: Command, rights: list[str], helped: list[str]
) -> None:
    page = text_of(make_user("other", "view_command", *rights, is_staff=True), COMMANDS)
    assert re.findall(r'data-field-name="(\w+)"', page) == helped


def test_big_tables_are_not_counted_to_the_end(
    viewer: User, operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres estimates a whole table. A part of one is counted and paged up to a limit."""
    monkeypatch.setattr("commands.admin.lists.MAX_COUNTED", 60)
    now = timezone.now()
    about = {"vehicle": vehicle, "expires_at": now, "command_name": "ReadDTC"}
    made = [Command(submitted_by=operator, **about) for _ in range(200)]
    Command.objects.bulk_create(made)
    assert "More than 60 commands" in words(text_of(viewer, COMMANDS))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE commands_command")
    page = words(text_of(viewer, COMMANDS))
    assert "1 2 About 200 commands" in page
    assert "More than 60 commands" in words(text_of(viewer, f"{COMMANDS}?status__exact=pending"))
    assert "More than 60 commands" in words(text_of(operator, COMMANDS))
    assert "0 commands" in words(text_of(viewer, f"{COMMANDS}?status__exact=failed"))
    for number in (2, 3):
        response = browser(viewer).get(f"{COMMANDS}?p={number}")
        assert response.status_code == (200 if number == 2 else 302)


@pytest.mark.parametrize("address", [COMMANDS, EVENTS, BATCHES, AUDIT])
def test_no_list_offers_a_sorting_or_count_that_reads_a_whole_table(
    admin: User, command: Command, address: str
) -> None:
    """A list neither counts for each filter nor sorts by a column without an index."""
    page = text_of(admin, f"{address}?_facets=True")
    assert "Show counts" not in page
    sorted_by = set(re.findall(r'class="sortable column-(\w+)', page))
    assert sorted_by == ({"submitted_at"} if address == COMMANDS else set())


ADD_OLD_ROWS = """
    INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, command_name, status,
        command_params, error_code, error_message, submitted_at, expires_at, last_sequence_number)
    SELECT gen_random_uuid(), %s, %s, 'ReadDTC', 'completed', '{}', '', '',
        now() - number * interval '1 hour', now() - number * interval '1 hour', 1
    FROM generate_series(1000, 20999) AS number;
    INSERT INTO commands_event (command_id, sequence_number, kind, payload, created_at)
    SELECT command_id, 1, 'status', '{"status": "pending"}', submitted_at FROM commands_command;
    INSERT INTO commands_auditentry (at, username, action, subject, details)
    SELECT submitted_at, 'operator', 'submit', '', '{}' FROM commands_command;
"""


def add_old_rows(operator: User, vehicle: Vehicle) -> None:
    """Add 20,000 commands that were completed weeks ago, each with an event and an audit entry."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_OLD_ROWS, [vehicle.pk, operator.pk])
        cursor.execute("VACUUM ANALYZE commands_command, commands_event, commands_auditentry")


BIG = ("commands_command", "commands_event", "commands_auditentry")


def plans_of(client: Any, address: str) -> str:
    """Return the plans of all queries on big tables for an address."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200, address
    plans = []
    with connection.cursor() as cursor:
        for sql in (query["sql"] for query in queries):
            if sql.startswith("SELECT") and any(f'FROM "{table}"' in sql for table in BIG):
                cursor.execute(f"EXPLAIN {sql}")
                plans += [line for (line,) in cursor.fetchall()]
    return "\n".join(plans)


def test_no_filter_reads_a_whole_table(
    admin: User, operator: User, stranger: User, vehicle: Vehicle
) -> None:
    """Finding nothing reads no whole table, either."""
    add_old_rows(operator, vehicle)
    unsuccessful = ("failed", "timed_out", "cancelled", "expired")
    found_by = {
        **{f"{COMMANDS}?status__exact={each}": "unsuccessful" for each in unsuccessful},
        f"{COMMANDS}?status__exact=pending": "command_(queue|vehicle_queue|overdue) ",
        **{f"{COMMANDS}?error_code={each}": "latest_of_error" for each in ErrorCode.values},
        f"{COMMANDS}?command_name=ClearDTC": "command_latest_of_name",
        f"{COMMANDS}?submitted=hour": "command_latest",
        f"{COMMANDS}?o=4": "using command_latest on",
        f"{AUDIT}?at=hour": "audit_latest",
        f"{AUDIT}?action__exact=export": "audit_of_action",
        f"{AUDIT}?o=3": "commands_auditentry_pkey",
        f"{EVENTS}?o=4": "commands_event_pkey",
    }
    for address, index in found_by.items():
        plans = plans_of(browser(admin), address)
        assert re.search(index, plans), (address, plans)
        assert not re.search(r"Seq Scan on .*\n *Filter", plans), (address, plans)
    for user in (admin, operator, stranger):
        for filters in ("status=failed", "status=timed_out&status=failed", "command_name=ClearDTC"):
            plans = plans_of(api(user), f"/api/v1/commands/?{filters}")
            assert "Index" in plans
            assert "Seq Scan on commands_command" not in plans, (filters, plans)


def test_a_list_is_sorted_only_by_columns_with_a_link(admin: User, command: Command) -> None:
    later = submit(command.submitted_by, make_vehicle(102))
    for order, first in (("1", command), ("-1", later), ("4", later), ("1.4", later), ("x", later)):
        page = text_of(admin, f"{COMMANDS}?o={order}")
        places = {each: page.index(f"{each.pk}/change/") for each in (command, later)}
        assert min(places, key=places.__getitem__) == first, order


@pytest.mark.embedded
def test_each_error_code_finds_its_command(admin: User, command: Command) -> None:
    for status, code in ENDS:
        Command.objects.update(status=status, error_code=code)
        for asked in ErrorCode.values:
            page = text_of(admin, f"{COMMANDS}?error_code={asked}")
            assert (f"{command.pk}/change/" in page) is (asked == code)
    assert f"{command.pk}/change/" not in text_of(admin, f"{COMMANDS}?error_code=nonsense")


# What it costs


def queries(user: User, address: str) -> int:
    client = browser(user)
    client.get(address)  # now Django knows the content types
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize(("address", "count"), [(COMMANDS, 6), (EVENTS, 6), (VEHICLES, 8)])
def test_the_number_of_queries_of_a_list_does_not_grow(
    viewer: User, operator: User, address: str, count: int
) -> None:
    for numbers in (range(1), range(1, 20)):
        for number in numbers:
            submit(operator, make_vehicle(number))
        assert queries(viewer, address) == count


def test_the_number_of_queries_of_the_audit_and_of_batches_does_not_grow(
    admin: User, operator: User
) -> None:
    for rows in (1, 20):
        for _ in range(rows):
            Batch.objects.create(command_name="a", submitted_by=operator, vehicle_count=1)
            browser(operator)
        assert (queries(admin, BATCHES), queries(admin, AUDIT)) == (4, 4)


def test_the_number_of_queries_of_one_command_does_not_grow(viewer: User, command: Command) -> None:
    for numbers in ([2], range(3, 20)):
        for number in numbers:
            Event.objects.create(command=command, sequence_number=number, kind="status", payload={})
        assert queries(viewer, f"{COMMANDS}{command.pk}/change/") == 8
