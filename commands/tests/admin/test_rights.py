"""Rights on commands in the admin: some users see them, and nobody writes them."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from commands.models import Command, Event
from commands.tests.admin.pages import (
    COMMANDS,
    EVENTS,
    VEHICLES,
    WHO_SEES,
    text_of,
    words,
)
from conftest import browser, make_user
from vehicles.models import Vehicle

# Who sees commands


@pytest.mark.embedded
@WHO_SEES
def test_lists_show_the_commands_that_a_user_may_see(
    people: dict[str, User], command: Command, who: str, sees: bool
) -> None:
    event = command.events.get()
    assert (f"{COMMANDS}{command.pk}/change/" in text_of(people[who], COMMANDS)) is sees
    assert (f"{EVENTS}{event.pk}/change/" in text_of(people[who], EVENTS)) is sees


@WHO_SEES
@pytest.mark.parametrize("page", ["change", "history"])
def test_the_page_of_a_command_is_open_to_those_who_may_see_it(
    people: dict[str, User], command: Command, who: str, sees: bool, page: str
) -> None:
    """Strangers are redirected to the front page, which says that there is no such command."""
    event = command.events.get()
    for address in (f"{COMMANDS}{command.pk}/{page}/", f"{EVENTS}{event.pk}/{page}/"):
        response = browser(people[who]).get(address)
        assert (response.status_code, response.headers.get("Location")) == (
            (200, None) if sees else (302, "/admin/")
        )


@WHO_SEES
def test_searches_and_filters_find_only_commands_that_a_user_may_see(
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


def test_filters_name_nothing_of_another_users_commands(
    stranger: User, operator: User, vehicle: Vehicle
) -> None:
    """Filters list the names of the catalogue, and not those of the table."""
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
def test_users_without_staff_status_are_refused(command: Command, address: str) -> None:
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
def test_nobody_adds_changes_or_deletes_a_command(
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
def test_nobody_deletes_many_commands_at_once(
    people: dict[str, User], command: Command, who: str
) -> None:
    client = browser(people[who])
    event = command.events.get()
    for address, pk in ((COMMANDS, command.pk), (EVENTS, event.pk)):
        marked = {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"}
        client.post(address, marked)
    assert_untouched(command)


def test_no_button_offers_to_write_a_command(admin: User, command: Command) -> None:
    for address in (COMMANDS, f"{COMMANDS}{command.pk}/change/"):
        page = text_of(admin, address)
        assert not re.search(rf'{COMMANDS}add/|name="_save|deletelink|delete_selected', page)


def test_a_command_protects_its_user_and_its_vehicle_from_deletion(
    admin: User, command: Command, vehicle: Vehicle
) -> None:
    client = browser(admin)
    user = client.post(f"/admin/auth/user/{command.submitted_by_id}/delete/", {"post": "yes"})
    assert "Cannot delete" in user.content.decode()
    assert client.post(f"{VEHICLES}{vehicle.pk}/delete/", {"post": "yes"}).status_code == 403
    assert_untouched(command)


def assert_untouched(command: Command) -> None:
    assert Command.objects.filter(pk=command.pk, status="pending").exists()
    assert Event.objects.get().payload == {"status": "pending"}
