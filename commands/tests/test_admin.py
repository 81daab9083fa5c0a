"""The admin: to look at commands within the one rule of who sees what, and to keep vehicles."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands.models import Command, Event
from conftest import make_user, make_vehicle, submit
from vehicles.models import ConnectionStatus, Vehicle

COMMANDS = "/admin/commands/command/"
EVENTS = "/admin/commands/event/"
VEHICLES = "/admin/vehicles/vehicle/"


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
    for query in (f"q={command.pk}", "q=1HGCM82623A000101", "q=operator", "status__exact=pending"):
        found = f"{command.pk}/change/" in text_of(people[who], f"{COMMANDS}?{query}")
        assert found is sees, query


def test_the_filters_of_a_stranger_name_no_other_ones_commands(
    stranger: User, command: Command
) -> None:
    assert "ReadDTC" not in text_of(stranger, COMMANDS)


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
        assert not re.search(rf'{COMMANDS}add/|name="_save|deletelink|name="action"', page)


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


@pytest.mark.parametrize(("address", "count"), [(COMMANDS, 7), (EVENTS, 6), (VEHICLES, 8)])
def test_queries_of_a_list_do_not_grow(
    viewer: User, operator: User, address: str, count: int
) -> None:
    for numbers in (range(1), range(1, 20)):
        for number in numbers:
            submit(operator, make_vehicle(number))
        assert queries(viewer, address) == count


def test_queries_of_one_command_do_not_grow(viewer: User, command: Command) -> None:
    for numbers in ([2], range(3, 20)):
        for number in numbers:
            Event.objects.create(command=command, sequence_number=number, kind="status", payload={})
        assert queries(viewer, f"{COMMANDS}{command.pk}/change/") == 8
