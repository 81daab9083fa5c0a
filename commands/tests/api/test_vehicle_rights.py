"""Vehicles are seen only with the permission vehicles.view_vehicle."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from conftest import ReadDTC, api, browser, make_user, submit
from vehicles.models import Vehicle

VEHICLES = "/api/v1/vehicles/"
BATCHES = "/api/v1/batches/"
PARTS = ["", "?search=honda", "?connection_status=disconnected", "{pk}/", "{pk}/trouble-codes/"]


@pytest.fixture
def people(operator: User, viewer: User, stranger: User) -> dict[str, User]:
    """The submitter may no longer see vehicles."""
    without = make_user("without", "add_command", "view_command", is_staff=True)
    return {"submitter": without, "viewer": viewer, "stranger": stranger}


@pytest.mark.embedded
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("who", "code"), [("submitter", 403), ("viewer", 200), ("stranger", 200)])
def test_the_api_shows_vehicles_only_with_the_right(
    people: dict[str, User], vehicle: Vehicle, who: str, code: int, part: str
) -> None:
    response = api(people[who]).get(VEHICLES + part.format(pk=vehicle.pk))
    assert response.status_code == code
    assert (vehicle.vin in response.content.decode()) is (code == 200 and "codes" not in part)
    if code == 403:
        assert "vehicles.view_vehicle" in response.json()["detail"]


def test_an_unknown_vehicle_is_answered_like_a_known_one(
    people: dict[str, User], vehicle: Vehicle
) -> None:
    client = api(people["submitter"])
    known = client.get(f"{VEHICLES}{vehicle.pk}/")
    unknown = client.get(f"{VEHICLES}00000000-0000-0000-0000-000000000000/")
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())


@pytest.mark.parametrize("page", ["/vehicles/", "/vehicles/{pk}/"])
@pytest.mark.parametrize(("who", "code"), [("submitter", 403), ("viewer", 200), ("stranger", 200)])
def test_the_console_shows_vehicles_only_with_the_right(
    people: dict[str, User], vehicle: Vehicle, who: str, code: int, page: str
) -> None:
    client = browser(people[who])
    assert client.get(page.format(pk=vehicle.pk)).status_code == code
    assert (b'href="/vehicles/"' in client.get("/").content) is (code == 200)


@pytest.mark.parametrize(("who", "code"), [("submitter", 403), ("viewer", 403), ("stranger", 201)])
def test_a_batch_finds_vehicles_only_with_the_right(
    people: dict[str, User], vehicle: Vehicle, who: str, code: int
) -> None:
    body: dict[str, Any] = {"vehicle_filter": {"search": "honda"}, **ReadDTC}
    assert api(people[who]).post(BATCHES, body).status_code == code


def test_a_known_vehicle_takes_commands_from_a_user_who_may_not_list_vehicles(
    people: dict[str, User], vehicle: Vehicle
) -> None:
    command = submit(people["submitter"], vehicle)
    page = api(people["submitter"]).get(f"/api/v1/commands/{command.pk}/").json()
    assert page["vin"] == vehicle.vin
