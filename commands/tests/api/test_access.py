"""Rights on commands, tried by their submitter, a viewer and a stranger."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from commands.models import Command
from conftest import ReadDTC, api, submit
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
PARTS = ["", "events/", "responses/", "exchanges/", "transcript/"]


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def people(operator: User, viewer: User, stranger: User) -> dict[str, User | None]:
    return {"operator": operator, "viewer": viewer, "stranger": stranger, "anonymous": None}


# One command


@pytest.mark.embedded
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("who", "status"), [("operator", 200), ("viewer", 200), ("stranger", 404), ("anonymous", 401)]
)
def test_a_command_is_shown_to_those_who_may_see_it(
    people: dict[str, User | None], command: Command, who: str, status: int, part: str
) -> None:
    assert api(people[who]).get(f"{COMMANDS}{command.pk}/{part}").status_code == status


@pytest.mark.parametrize(
    ("who", "status"), [("operator", 200), ("viewer", 403), ("stranger", 404), ("anonymous", 401)]
)
def test_a_command_is_cancelled_by_those_who_may(
    people: dict[str, User | None], command: Command, who: str, status: int
) -> None:
    assert api(people[who]).post(f"{COMMANDS}{command.pk}/cancel/").status_code == status
    command.refresh_from_db()
    assert command.status == ("cancelled" if who == "operator" else "pending")


@pytest.mark.parametrize(
    ("method", "part"), [*(("get", part) for part in PARTS), ("post", "cancel/")]
)
def test_another_users_command_is_answered_like_an_unknown_one(
    stranger: User, command: Command, method: str, part: str
) -> None:
    ask = getattr(api(stranger), method)
    hidden = ask(f"{COMMANDS}{command.pk}/{part}")
    absent = ask(f"{COMMANDS}{uuid4()}/{part}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json() == absent.json() == {"code": "not_found", "detail": "Not found."}
    assert hidden.headers == absent.headers


# All commands


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("who", "sees"),
    [("operator", ["operator"]), ("stranger", ["stranger"]), ("viewer", ["operator", "stranger"])],
)
def test_the_list_holds_the_commands_that_a_user_may_see(
    people: dict[str, User], vehicle: Vehicle, who: str, sees: list[str]
) -> None:
    for name in ("operator", "stranger"):
        submit(people[name], vehicle)
    rows = api(people[who]).get(f"{COMMANDS}?ordering=submitted_at").json()["results"]
    assert [row["submitted_by"] for row in rows] == sees


@pytest.mark.parametrize("query", ["", "submitted_by=operator", "status=pending"])
def test_no_filter_finds_another_users_command(
    stranger: User, command: Command, query: str
) -> None:
    page = api(stranger).get(f"{COMMANDS}?{query}").json()
    assert page == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    ("who", "status"), [("operator", 201), ("viewer", 403), ("stranger", 201), ("anonymous", 401)]
)
def test_a_command_is_submitted_by_those_who_may(
    people: dict[str, User | None], vehicle: Vehicle, who: str, status: int
) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    assert api(people[who]).post(COMMANDS, body).status_code == status
    assert [str(row.submitted_by) for row in Command.objects.all()] == [who] * (status == 201)


def test_a_viewer_is_told_which_permission_is_missing(viewer: User, vehicle: Vehicle) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    assert api(viewer).post(COMMANDS, body).json() == {
        "code": "permission_denied",
        "detail": "You can view commands but not submit or cancel them: ask for the permission "
        "commands.add_command.",
    }


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_nobody_changes_a_command(operator: User, command: Command, method: str) -> None:
    response = getattr(api(operator), method)(f"{COMMANDS}{command.pk}/", {})
    assert response.status_code == 405
    assert Command.objects.get().status == "pending"


ADDRESSES = [COMMANDS, "/api/v1/vehicles/", "/api/v1/command-types/"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_anonymous_request_is_asked_to_authenticate(
    transactional_db: None, address: str
) -> None:
    response = api(None).get(address)
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


# Sessions


def logged_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def csrf_of(client: Client) -> dict[str, str]:
    """Return the header that the console sends, from the page's own cookie."""
    client.get("/")
    return {"X-CSRFToken": client.cookies["csrftoken"].value}


def submit_by_session(client: Client, vehicle: Vehicle, headers: dict[str, str]) -> Any:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    return client.post(COMMANDS, body, content_type="application/json", headers=headers)


def test_a_session_reads_the_api(operator: User, command: Command) -> None:
    page = logged_in(operator).get(COMMANDS).json()
    assert [row["command_id"] for row in page["results"]] == [str(command.pk)]


def test_a_session_writes_with_its_csrf_token(operator: User, vehicle: Vehicle) -> None:
    client = logged_in(operator, enforce_csrf_checks=True)
    assert submit_by_session(client, vehicle, csrf_of(client)).status_code == 201


@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": "a" * 32}, {"X-CSRFToken": "\x00"}])
def test_a_session_writes_nothing_without_its_csrf_token(
    operator: User, vehicle: Vehicle, headers: dict[str, str]
) -> None:
    client = logged_in(operator, enforce_csrf_checks=True)
    csrf_of(client)
    response = submit_by_session(client, vehicle, headers)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert not Command.objects.exists()
