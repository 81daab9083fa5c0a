"""Shell of the workbench: its users, and the parts that each gets."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from commands.models import Command
from conftest import submit
from vehicles.models import Vehicle

pytestmark = pytest.mark.django_db


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


def page(client: Client, user: User, address: str = "/commands/new/") -> str:
    client.force_login(user)
    return client.get(address).content.decode()


def test_a_command_has_a_page_for_users_who_may_see_it(
    client: Client, operator: User, viewer: User, stranger: User, command: Command
) -> None:
    def status_for(user: User) -> int:
        client.force_login(user)
        return client.get(f"/commands/{command.pk}/").status_code

    assert [status_for(user) for user in (operator, viewer, stranger)] == [200, 200, 404]


def test_users_who_are_not_logged_in_are_redirected_to_the_login(
    client: Client, command: Command
) -> None:
    response = client.get(f"/commands/{command.pk}/")
    assert response.headers["Location"] == f"/accounts/login/?next=/commands/{command.pk}/"


def test_users_who_may_not_submit_are_not_asked_to(
    client: Client, operator: User, viewer: User
) -> None:
    for part in ('id="composer"', 'id="confirm"', "Submit"):
        assert part in page(client, operator)
        assert part not in page(client, viewer)


def test_users_who_see_all_commands_may_filter_by_user(
    client: Client, operator: User, viewer: User
) -> None:
    assert "data-whose" in page(client, viewer)
    assert "data-whose" not in page(client, operator)
