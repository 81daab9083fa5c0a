"""The admin: to look at commands within the one rule of who sees what, and to keep vehicles."""

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands import lifecycle
from commands.metrics import ENDS
from commands.models import AuditEntry, Batch, Command, ErrorCode, Event
from commands.tests.test_export import read
from conftest import api, make_user, make_vehicle, row, submit
from vehicles.models import ConnectionStatus, Vehicle

COMMANDS = "/admin/commands/command/"
EVENTS = "/admin/commands/event/"
VEHICLES = "/admin/vehicles/vehicle/"
BATCHES = "/admin/commands/batch/"
AUDIT = "/admin/commands/auditentry/"


@pytest.fixture
def admin(transactional_db: None) -> User:
    return make_user("admin", is_staff=True, is_superuser=True)


@pytest.fixture
def people(operator: User, viewer: User, stranger: User, admin: User) -> dict[str, User]:
    return {"operator": operator, "viewer": viewer, "stranger": stranger, "admin": admin}


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(user: User, address: str) -> str:
    response = browser(user).get(address)
    assert response.status_code == 200, address
    return response.content.decode()


# Who sees what

WHO_SEES = pytest.mark.parametrize(
    ("who", "sees"), [("operator", True), ("viewer", True), ("admin", True), ("stranger", False)]
)


@pytest.mark.embedded
@WHO_SEES
def test_lists(people: dict[str, User], command: Command, who: str, sees: bool) -> None:
    event = command.events.get()
    assert (f"{COMMANDS}{command.pk}/change/" in text_of(people[who], COMMANDS)) is sees
    assert (f"{EVENTS}{event.pk}/change/" in text_of(people[who], EVENTS)) is sees


@WHO_SEES
@pytest.mark.parametrize("page", ["change", "history"])
def test_pages_of_one(
    people: dict[str, User], command: Command, who: str, sees: bool, page: str
) -> None:
    """To whom it does not exist, the admin says so on its front page."""
    event = command.events.get()
    for address in (f"{COMMANDS}{command.pk}/{page}/", f"{EVENTS}{event.pk}/{page}/"):
        response = browser(people[who]).get(address)
        assert (response.status_code, response.headers.get("Location")) == (
            (200, None) if sees else (302, "/admin/")
        )


@WHO_SEES
def test_search_and_filters(
    people: dict[str, User], command: Command, who: str, sees: bool
) -> None:
    for query in (
        f"q={command.pk}",
        f"q={str(command.pk)[:8]}",
        "q=1HGCM82623A000101",
        "q=000101",
        "q=operator",
        "status__exact=pending",
        "o=2",
        "submitted=hour",
        "command_name=ReadDTC",
    ):
        found = f"{command.pk}/change/" in text_of(people[who], f"{COMMANDS}?{query}")
        assert found is sees, query


def test_the_filters_of_a_stranger_name_no_other_ones_commands(
    stranger: User, operator: User, vehicle: Vehicle
) -> None:
    """The catalogue's names are no secret; those of a table would be."""
    Command.objects.create(
        vehicle=vehicle, submitted_by=operator, command_name="Secret", expires_at=timezone.now()
    )
    address = f"{COMMANDS}?vehicle={vehicle.pk}&submitted_by={operator.pk}"
    page = browser(stranger).get(address, follow=True).content.decode()
    assert "0 commands" in words(page)
    assert not re.search(f"Secret|{vehicle.vin}|>operator<", page)


def test_a_command_is_shown_with_its_log(viewer: User, command: Command) -> None:
    page = text_of(viewer, f"{COMMANDS}{command.pk}/change/")
    assert "ReadDTC" in page
    assert "&quot;ecuAddress&quot;: &quot;0x10&quot;" in page
    assert "&quot;status&quot;: &quot;pending&quot;" in page
    assert "claim_token" not in page


@pytest.mark.parametrize("address", ["/admin/", COMMANDS, EVENTS, VEHICLES])
def test_who_is_no_staff_stays_outside(command: Command, address: str) -> None:
    client = browser(make_user("visitor", "view_command", "view_vehicle"))
    for each in (client, Client()):
        response = each.get(address)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/")


def test_staff_without_a_permission_finds_no_commands(command: Command) -> None:
    client = browser(make_user("clerk", is_staff=True))
    assert client.get(COMMANDS).status_code == 403
    assert client.get(f"{EVENTS}{command.events.get().pk}/change/").status_code == 403
    assert COMMANDS not in client.get("/admin/").content.decode()


# Nobody writes


@pytest.mark.parametrize("who", ["operator", "viewer", "admin"])
def test_nobody_adds_changes_or_deletes(
    people: dict[str, User], command: Command, who: str
) -> None:
    client = browser(people[who])
    event = command.events.get()
    for address in (
        f"{COMMANDS}add/",
        f"{EVENTS}add/",
        f"{COMMANDS}{command.pk}/change/",
        f"{EVENTS}{event.pk}/change/",
        f"{COMMANDS}{command.pk}/delete/",
        f"{EVENTS}{event.pk}/delete/",
    ):
        response = client.post(address, {"status": "failed", "kind": "error", "post": "yes"})
        assert response.status_code == 403, address
    assert_untouched(command)


@pytest.mark.parametrize("who", ["operator", "viewer", "admin"])
def test_nobody_deletes_many_at_once(people: dict[str, User], command: Command, who: str) -> None:
    client = browser(people[who])
    event = command.events.get()
    for address, pk in ((COMMANDS, command.pk), (EVENTS, event.pk)):
        marked = {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"}
        client.post(address, marked)
    assert_untouched(command)


def test_no_button_offers_it(admin: User, command: Command) -> None:
    for address in (COMMANDS, f"{COMMANDS}{command.pk}/change/"):
        page = text_of(admin, address)
        assert not re.search(rf'{COMMANDS}add/|name="_save|deletelink|delete_selected', page)


def test_what_was_done_outlives_who_did_it_and_to_what(
    admin: User, command: Command, vehicle: Vehicle
) -> None:
    client = browser(admin)
    for address in (
        f"/admin/auth/user/{command.submitted_by_id}/delete/",
        f"{VEHICLES}{vehicle.pk}/delete/",
    ):
        assert "Cannot delete" in client.post(address, {"post": "yes"}).content.decode()
    assert_untouched(command)


def assert_untouched(command: Command) -> None:
    assert Command.objects.filter(pk=command.pk, status="pending").exists()
    assert Event.objects.get().payload == {"status": "pending"}


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
def test_what_is_not_found(admin: User, command: Command, query: str) -> None:
    assert f"{command.pk}/change/" not in text_of(admin, f"{COMMANDS}?{query}")


@pytest.mark.embedded
def test_a_list_of_an_older_time(admin: User, command: Command) -> None:
    Command.objects.update(submitted_at=timezone.now() - timedelta(hours=2))
    for span, found in (("hour", False), ("day", True), ("week", True), ("nonsense", True)):
        assert (f"{command.pk}/change/" in text_of(admin, f"{COMMANDS}?submitted={span}")) is found


def test_vehicles_and_users_are_chosen_by_typing(admin: User, command: Command) -> None:
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


@pytest.mark.parametrize(("who", "helped"), [("operator", []), ("viewer", ["vehicle"])])
def test_who_may_not_look_at_them_is_not_helped(
    people: dict[str, User], command: Command, who: str, helped: list[str]
) -> None:
    page = text_of(people[who], COMMANDS)
    assert re.findall(r'data-field-name="(\w+)"', page) == helped


def test_big_tables_are_not_counted(
    viewer: User, operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole table by Postgres' estimate, a part of it up to a point; and so many pages."""
    monkeypatch.setattr("commands.admin_lists.MOST_COUNTED", 60)
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
def test_no_list_offers_what_reads_a_whole_table(
    admin: User, command: Command, address: str
) -> None:
    """To count for each filter, to sort by what has no index."""
    page = text_of(admin, f"{address}?_facets=True")
    assert "Show counts" not in page
    sorted_by = set(re.findall(r'class="sortable column-(\w+)', page))
    assert sorted_by == ({"submitted_at"} if address == COMMANDS else set())


def old_rows(operator: User, vehicle: Vehicle) -> None:
    """20,000 commands that were completed days ago, each with an event and an audit entry."""
    then = timezone.now() - timedelta(days=40)
    about = {"command_name": "ReadDTC", "status": "completed", "expires_at": then}
    commands = Command.objects.bulk_create(
        Command(
            vehicle=vehicle,
            submitted_by=operator,
            submitted_at=then - timedelta(seconds=number),
            **about,
        )
        for number in range(20_000)
    )
    Event.objects.bulk_create(
        Event(command=command, sequence_number=1, kind="status", payload={"status": "pending"})
        for command in commands
    )
    AuditEntry.objects.bulk_create(
        AuditEntry(at=command.submitted_at, username="operator", action="submit")
        for command in commands
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE commands_command, commands_event, commands_auditentry")


BIG = ("commands_command", "commands_event", "commands_auditentry")


def plans_of(client: Any, address: str) -> str:
    """Of all that an address reads of the big tables."""
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
    """Least of all to find nothing."""
    old_rows(operator, vehicle)
    unsuccessful = ("failed", "timed_out", "cancelled", "expired")
    found_by = {
        **{f"{COMMANDS}?status__exact={each}": "unsuccessful" for each in unsuccessful},
        f"{COMMANDS}?status__exact=pending": "command_(queue|vehicle_queue|overdue) ",
        **{f"{COMMANDS}?error_code={each}": "unsuccessful" for each in ErrorCode.values},
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


def test_only_what_has_a_link_is_sorted_by(admin: User, command: Command) -> None:
    later = submit(command.submitted_by, make_vehicle(102))
    for order, first in (("1", command), ("-1", later), ("4", later), ("1.4", later), ("x", later)):
        page = text_of(admin, f"{COMMANDS}?o={order}")
        places = {each: page.index(f"{each.pk}/change/") for each in (command, later)}
        assert min(places, key=places.__getitem__) == first, order


@pytest.mark.embedded
def test_error_codes(admin: User, command: Command) -> None:
    for status, code in ENDS:
        Command.objects.update(status=status, error_code=code)
        for asked in ErrorCode.values:
            page = text_of(admin, f"{COMMANDS}?error_code={asked}")
            assert (f"{command.pk}/change/" in page) is (asked == code)
    assert f"{command.pk}/change/" not in text_of(admin, f"{COMMANDS}?error_code=nonsense")


def words(page: str) -> str:
    """What is read, without the tags."""
    return " ".join(re.sub("<[^>]*>", " ", page).split())


# One command


def test_times_have_seconds(viewer: User, command: Command) -> None:
    instant = f"{command.submitted_at:%Y-%m-%d %H:%M:%S}"
    for address in (COMMANDS, f"{COMMANDS}{command.pk}/change/", EVENTS):
        assert instant in text_of(viewer, address)


def test_the_way_to_the_live_page(viewer: User, command: Command) -> None:
    for address in (COMMANDS, f"{COMMANDS}{command.pk}/change/"):
        page = text_of(viewer, address)
        assert f'href="/commands/{command.pk}/"' in page
        assert "SOVD command console" in page
        assert re.search('<a href="/">View site</a>', page)


@pytest.mark.embedded
@pytest.mark.parametrize(("events", "told"), [(200, "All 200"), (201, "The last 200 of 201")])
def test_a_long_log(viewer: User, command: Command, events: int, told: str) -> None:
    Event.objects.bulk_create(
        Event(command=command, sequence_number=n, kind="response", payload={"n": f"answer {n}."})
        for n in range(2, events + 1)
    )
    Command.objects.update(last_sequence_number=events)
    page = text_of(viewer, f"{COMMANDS}{command.pk}/change/")
    shown = [int(number) for number in re.findall(r"answer (\d+)\.", page)]
    assert shown == list(range(max(2, events - 199), events + 1))
    assert told in page


def test_a_payload_that_means_no_good(viewer: User, command: Command) -> None:
    payload = {"response": {"a": "<script>alert(1)</script>", "b": "x" * 20_000}}
    Event.objects.create(command=command, sequence_number=2, kind="response", payload=payload)
    for address in (f"{COMMANDS}{command.pk}/change/", EVENTS):
        page = text_of(viewer, address)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "x" * 10_001 not in page


@pytest.mark.embedded
def test_a_large_payload_stays_in_the_database(viewer: User, command: Command) -> None:
    """Of which a page shows the beginning."""
    payload = {"response": {"a": "first", "b": "x" * 256 * 1024, "c": "the end"}, "is_final": False}
    event = Event.objects.create(
        command=command, sequence_number=2, kind="response", payload=payload
    )
    for address, shown in ((f"{COMMANDS}{command.pk}/change/", 9_000), (EVENTS, 40)):
        with CaptureQueriesContext(connection) as queries:
            page = text_of(viewer, address)
        assert "first" in page
        assert "x" * shown in page
        assert "the end" not in page
        assert longest_text(queries) < 20_000
    assert "the end" not in text_of(viewer, f"{EVENTS}{event.pk}/change/")


def longest_text(queries: Any) -> int:
    """Of all that these read of the events."""
    lengths = [0]
    with connection.cursor() as cursor:
        for query in queries:
            if 'FROM "commands_event"' in query["sql"]:
                cursor.execute(query["sql"].replace("%", "%%"))
                lengths += [len(str(cell)) for row in cursor.fetchall() for cell in row]
    return max(lengths)


# Actions


def act(user: User, action: str, *commands: Command, **more: str) -> Any:
    chosen = {"action": action, "_selected_action": [str(c.pk) for c in commands], **more}
    return browser(user).post(COMMANDS, chosen, follow=True)


def audited(action: str) -> list[str]:
    return list(AuditEntry.objects.filter(action=action).values_list("subject", flat=True))


@pytest.mark.embedded
def test_commands_are_cancelled(admin: User, operator: User) -> None:
    waiting, running, ended = [submit(operator, make_vehicle(n)) for n in range(3)]
    lifecycle.cancel(ended)
    Command.objects.filter(pk=running.pk).update(status="in_progress")
    told = said(act(admin, "cancel", waiting, running, ended))
    assert len(told) == 1
    for each in ("1 cancelled", "1 asked to stop", "1 had already ended", "Of 3 commands"):
        assert each in told[0]
    assert row(waiting).status == "cancelled"
    assert row(running).cancel_requested_at
    assert sorted(audited("cancel")) == sorted([str(waiting.pk), str(running.pk)])
    assert set(AuditEntry.objects.filter(action="cancel").values_list("username")) == {("admin",)}


def test_many_are_cancelled_as_one_is(operator: User) -> None:
    """In one transaction, whose queries are as many."""
    commands = [submit(operator, make_vehicle(n)) for n in range(6)]
    costs = []
    for chosen in (commands[:1], commands[1:]):
        marked = {"action": "cancel", "_selected_action": [str(each.pk) for each in chosen]}
        with CaptureQueriesContext(connection) as queries:
            browser(operator).post(COMMANDS, marked)
        costs.append(len(queries))
    assert {row(each).status for each in commands} == {"cancelled"}
    assert sorted(audited("cancel")) == sorted(str(each.pk) for each in commands)
    assert costs[0] == costs[1]


def test_commands_that_were_searched_for_are_cancelled(operator: User) -> None:
    """All that the search finds, which joins other tables: only the commands are locked."""
    commands = [submit(operator, make_vehicle(n)) for n in range(2)]
    marked = {"action": "cancel", "select_across": "1", "_selected_action": str(commands[0].pk)}
    browser(operator).post(f"{COMMANDS}?q=1HGCM", marked)
    assert {row(each).status for each in commands} == {"cancelled"}


@pytest.mark.parametrize(("who", "status"), [("viewer", "pending"), ("stranger", "pending")])
def test_who_may_not_cancel(
    people: dict[str, User], command: Command, who: str, status: str
) -> None:
    act(people[who], "cancel", command)
    act(people[who], "cancel", command, select_across="1")
    assert row(command).status == status
    assert audited("cancel") == []


def test_too_many_are_not_cancelled(
    operator: User, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.admin.MOST_CANCELLED", 1)
    other = submit(operator, command.vehicle)
    assert "so none was cancelled" in said(act(operator, "cancel", command, other))[0]
    assert {row(each).status for each in (command, other)} == {"pending"}


@pytest.mark.parametrize(("who", "rows"), [("operator", 1), ("viewer", 1), ("stranger", 0)])
def test_commands_are_exported(
    people: dict[str, User], command: Command, who: str, rows: int
) -> None:
    response = act(people[who], "export_csv", command)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = asyncio.run(read(response)).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(command.pk)] * rows
    entry = AuditEntry.objects.get(action="export")
    assert (entry.username, entry.details["rows"]) == (who, rows)
    assert entry.details["commands"] == [str(command.pk)]


def test_an_export_of_all_that_is_found_is_audited_as_such(
    operator: User, command: Command
) -> None:
    chosen = {"action": "export_csv", "_selected_action": [str(command.pk)], "select_across": "1"}
    response = browser(operator).post(f"{COMMANDS}?status__exact=pending", chosen)
    asyncio.run(read(response))
    details = AuditEntry.objects.get(action="export").details
    assert details == {"format": "csv", "rows": 1, "filters": {"status__exact": ["pending"]}}


def test_too_many_exports_at_once(operator: User, command: Command) -> None:
    running = [act(operator, "export_csv", command) for _ in range(2)]
    assert "2 exports are being written" in said(act(operator, "export_csv", command))[0]
    assert len(audited("export")) == 2
    for response in running:
        response.close()


def test_too_many_are_not_exported(operator: User, command: Command, settings: Any) -> None:
    settings.EXPORT_ROWS = 1
    other = submit(operator, command.vehicle)
    assert "Narrow the filters" in said(act(operator, "export_csv", command, other))[0]
    assert audited("export") == []


# Batches and the audit


@pytest.mark.embedded
@WHO_SEES
def test_batches(people: dict[str, User], who: str, sees: bool) -> None:
    batch = Batch.objects.create(
        command_name="ReadDTC", submitted_by=people["operator"], vehicle_count=3
    )
    for query in ("", f"?q={batch.pk}", "?q=operator", "?submitted=hour"):
        assert (f"{BATCHES}{batch.pk}/change/" in text_of(people[who], BATCHES + query)) is sees
    response = browser(people[who]).get(f"{BATCHES}{batch.pk}/change/")
    assert response.status_code == (200 if sees else 302)
    if sees:
        assert f'href="/batches/{batch.pk}/"' in response.content.decode()


@pytest.mark.embedded
def test_the_audit_is_searched(operator: User, command: Command) -> None:
    auditor = make_user("auditor", "view_auditentry", is_staff=True)
    lifecycle.cancel(command)
    entry = AuditEntry.objects.get(action="submit")
    for query in (
        "",
        "?q=operator",
        f"?q={command.pk}",
        "?action__exact=submit",
        "?at=hour",
    ):
        assert f"{AUDIT}{entry.pk}/change/" in text_of(auditor, AUDIT + query)
    for query in ("?q=nobody", f"?q={uuid4()}", "?q=submit", "?action__exact=export"):
        assert f"{AUDIT}{entry.pk}/change/" not in text_of(auditor, AUDIT + query)
    assert command.vehicle.vin in text_of(auditor, f"{AUDIT}{entry.pk}/change/")


def test_the_audit_of_who_is_named_as_an_action(admin: User, vehicle: Vehicle) -> None:
    submit(make_user("cancel", "add_command"), vehicle)
    entry = AuditEntry.objects.get(username="cancel", action="submit")
    assert f"{AUDIT}{entry.pk}/change/" in text_of(admin, f"{AUDIT}?q=cancel")


@pytest.mark.parametrize("who", ["operator", "viewer", "stranger"])
def test_others_see_no_audit(people: dict[str, User], command: Command, who: str) -> None:
    entry = AuditEntry.objects.earliest("id")
    assert browser(people[who]).get(AUDIT).status_code == 403
    assert browser(people[who]).get(f"{AUDIT}{entry.pk}/change/").status_code == 403


def test_nobody_writes_the_audit(admin: User, command: Command) -> None:
    entry = AuditEntry.objects.earliest("id")
    client = browser(admin)
    for part in ("add", f"{entry.pk}/change", f"{entry.pk}/delete"):
        assert client.post(f"{AUDIT}{part}/", {"username": "x", "post": "yes"}).status_code == 403
    marked = {"action": "delete_selected", "_selected_action": str(entry.pk), "post": "yes"}
    client.post(AUDIT, marked)
    assert AuditEntry.objects.get(pk=entry.pk).username == entry.username


# Vehicles

GOOD_VIN = "1HGCM82633A004352"
WRONG_CHECK_DIGIT = "1HGCM82643A004352"


def vehicle_form(**changes: Any) -> dict[str, Any]:
    return {
        "vin": GOOD_VIN,
        "make": "Honda",
        "model": "Accord",
        "year": "2003",
        "connection_status": "connected",
        "metadata": '{"fleet": "north"}',
    } | changes


def add_vehicle(admin: User, **changes: Any) -> Any:
    return browser(admin).post(f"{VEHICLES}add/", vehicle_form(**changes), follow=True)


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


@pytest.mark.embedded
def test_an_admin_adds_a_vehicle(admin: User) -> None:
    response = add_vehicle(admin)
    vehicle = Vehicle.objects.get()
    assert (vehicle.vin, vehicle.year, vehicle.metadata) == (GOOD_VIN, 2003, {"fleet": "north"})
    assert vehicle.last_seen_at is None
    assert len(said(response)) == 1


def test_an_admin_changes_a_vehicle(admin: User, vehicle: Vehicle) -> None:
    client = browser(admin)
    client.post(f"{VEHICLES}{vehicle.pk}/change/", vehicle_form(model="Civic"))
    vehicle.refresh_from_db()
    assert (vehicle.vin, vehicle.model) == (GOOD_VIN, "Civic")


def test_a_wrong_check_digit_warns_and_saves(admin: User) -> None:
    response = add_vehicle(admin, vin=WRONG_CHECK_DIGIT)
    assert Vehicle.objects.get().vin == WRONG_CHECK_DIGIT
    assert [message for message in said(response) if "check digit" in message]


@pytest.mark.parametrize(
    "vin", ["", "1HGCM82633A00435", "1HGCM82633A0043521", "1hgcm82633a004352", "IHGCM82633A004352"]
)
def test_a_wrong_vin_is_not_saved(admin: User, vin: str) -> None:
    assert add_vehicle(admin, vin=vin).context["errors"]
    assert not Vehicle.objects.exists()


def test_a_vin_is_taken_once(admin: User) -> None:
    make_vehicle(1)
    response = add_vehicle(admin, vin="1HGCM82623A000001")
    assert "already exists" in response.content.decode()
    assert Vehicle.objects.count() == 1


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "{",
        '{"a": "\\u0000"}',
        '{"\\u0000": 1}',
        '{"a": "\\ud800"}',
        '{"a": NaN}',
        '{"a": 1e999}',
        "[" * 100_000 + "]" * 100_000,
        "9" * 5_000,
    ],
)
def test_metadata_that_the_database_cannot_hold(admin: User, metadata: str) -> None:
    response = add_vehicle(admin, metadata=metadata)
    assert response.status_code == 200
    assert Vehicle.objects.exists() is (metadata == "")


@pytest.mark.parametrize(("who", "looks"), [("viewer", True), ("operator", False)])
def test_others_change_no_vehicle(
    people: dict[str, User], vehicle: Vehicle, who: str, looks: bool
) -> None:
    client = browser(people[who])
    assert client.get(VEHICLES).status_code == (200 if looks else 403)
    for address in (f"{VEHICLES}add/", f"{VEHICLES}{vehicle.pk}/change/"):
        assert client.post(address, vehicle_form()).status_code == 403
    assert Vehicle.objects.get() == vehicle
    assert Vehicle.objects.get().vin == vehicle.vin


@pytest.mark.parametrize(
    ("row", "seconds_ago", "shown"),
    [
        ("connected", 0, "connected"),
        ("connected", 3600, "disconnected"),
        ("connected", None, "disconnected"),
        ("error", 0, "error"),
        ("disconnected", 0, "disconnected"),
    ],
)
def test_the_list_shows_the_connection_as_it_is(
    viewer: User, row: str, seconds_ago: int | None, shown: str
) -> None:
    seen = None if seconds_ago is None else timezone.now() - timedelta(seconds=seconds_ago)
    vehicle = make_vehicle(1, connection_status=row, last_seen_at=seen)
    assert f'<td class="field-connection">{shown}</td>' in text_of(viewer, VEHICLES)
    for status in ConnectionStatus.values:
        page = text_of(viewer, f"{VEHICLES}?connection_status={status}")
        assert (str(vehicle.pk) in page) is (status == shown)


# What it costs


def queries(user: User, address: str) -> int:
    client = browser(user)
    client.get(address)  # after which Django knows the content types
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize(("address", "count"), [(COMMANDS, 6), (EVENTS, 6), (VEHICLES, 7)])
def test_queries_of_a_list_do_not_grow(
    viewer: User, operator: User, address: str, count: int
) -> None:
    for numbers in (range(1), range(1, 20)):
        for number in numbers:
            submit(operator, make_vehicle(number))
        assert queries(viewer, address) == count


def test_queries_of_the_audit_and_of_batches_do_not_grow(admin: User, operator: User) -> None:
    for rows in (1, 20):
        for _ in range(rows):
            Batch.objects.create(command_name="a", submitted_by=operator, vehicle_count=1)
            browser(operator)
        assert (queries(admin, BATCHES), queries(admin, AUDIT)) == (4, 4)


def test_queries_of_one_command_do_not_grow(viewer: User, command: Command) -> None:
    for numbers in ([2], range(3, 20)):
        for number in numbers:
            Event.objects.create(command=command, sequence_number=number, kind="status", payload={})
        assert queries(viewer, f"{COMMANDS}{command.pk}/change/") == 8
