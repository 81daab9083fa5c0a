"""A command for many vehicles goes to the vehicles that its sender has seen, or to none."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from commands.models import Batch, Command
from conftest import ClearDTC, ReadDTC, api, make_user, make_vehicle, mark_seen
from vehicles.models import Vehicle

BATCHES = "/api/v1/batches/"
HONDAS = {"vehicle_filter": {"search": "honda"}}


@pytest.fixture
def fleet_admin(transactional_db: None) -> User:
    rights = ["add_command", "view_vehicle", "send_unsafe_to_many"]
    return make_user("fleet_admin", *rights)


@pytest.fixture
def fleet(transactional_db: None) -> list[Vehicle]:
    return [make_vehicle(1), make_vehicle(2), make_vehicle(3, connection_status="disconnected")]


def preview(user: User, choice: dict[str, Any]) -> dict[str, Any]:
    response = api(user).post(f"{BATCHES}preview/", choice)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def complaints(response: Any) -> dict[str, list[str]]:
    assert (response.status_code, response.json()["code"]) == (400, "invalid"), response.content
    fields: dict[str, list[str]] = response.json()["fields"]
    return fields


def seen_by(user: User) -> dict[str, Any]:
    """Return the fields by which a submission says which vehicles it is meant for."""
    found = preview(user, HONDAS)
    return {name: found[name] for name in ("vehicle_count", "vehicle_set")}


@pytest.mark.embedded
def test_a_preview_counts_the_vehicles_and_submits_nothing(
    fleet_admin: User, fleet: list[Vehicle]
) -> None:
    mark_seen()
    body = preview(fleet_admin, HONDAS)

    assert body == {
        "vehicle_count": 3,
        "disconnected_count": 1,
        "vehicle_set": body["vehicle_set"],
    }
    chosen = [str(vehicle.pk) for vehicle in reversed(fleet)]
    assert preview(fleet_admin, {"vehicle_ids": chosen}) == body
    assert preview(fleet_admin, {"vehicle_ids": chosen[1:]})["vehicle_set"] != body["vehicle_set"]
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({}, "vehicle_ids"),
        ({"vehicle_ids": [str(uuid4())]}, "vehicle_ids"),
        ({"vehicle_filter": {"search": "unheard of"}}, "vehicle_filter"),
        ({"vehicle_filter": {"color": "red"}}, "vehicle_filter.color"),
        ({"vehicle_filter": {}, "command_name": "ReadDTC"}, "command_name"),
        ({"vehicle_filter": {}, "vehicle_count": 3}, "vehicle_count"),
    ],
)
def test_a_wrong_choice_is_refused_by_field(
    fleet_admin: User, fleet: list[Vehicle], choice: dict[str, Any], field: str
) -> None:
    assert complaints(api(fleet_admin).post(f"{BATCHES}preview/", choice)).keys() == {field}


@pytest.mark.embedded
def test_a_command_goes_to_the_vehicles_of_the_preview(
    fleet_admin: User, fleet: list[Vehicle]
) -> None:
    response = api(fleet_admin).post(BATCHES, ClearDTC | HONDAS | seen_by(fleet_admin))

    assert response.status_code == 201, response.content
    assert "vehicle_set" not in response.json()
    assert {command.vehicle_id for command in Command.objects.all()} == {
        vehicle.pk for vehicle in fleet
    }


@pytest.mark.embedded
@pytest.mark.parametrize("body", [ReadDTC, ClearDTC], ids=["safe", "unsafe"])
def test_nothing_is_sent_when_as_many_other_vehicles_match(
    fleet_admin: User, fleet: list[Vehicle], body: dict[str, Any]
) -> None:
    seen = seen_by(fleet_admin)
    Vehicle.objects.filter(pk=fleet[0].pk).update(make="Tesla")
    make_vehicle(4)

    fields = complaints(api(fleet_admin).post(BATCHES, body | HONDAS | seen))

    assert fields == {
        "vehicle_set": [
            "Other vehicles are chosen than in the preview. Check the choice, and send again."
        ]
    }
    assert not Command.objects.exists()


def test_the_number_is_named_when_more_vehicles_match(
    fleet_admin: User, fleet: list[Vehicle]
) -> None:
    seen = seen_by(fleet_admin)
    make_vehicle(4)

    fields = complaints(api(fleet_admin).post(BATCHES, ClearDTC | HONDAS | seen))

    assert fields.keys() == {"vehicle_count"}


def test_an_unsafe_command_by_filter_must_say_for_which_vehicles(
    fleet_admin: User, fleet: list[Vehicle]
) -> None:
    [complaint] = complaints(
        api(fleet_admin).post(BATCHES, ClearDTC | HONDAS | {"vehicle_count": 3})
    )["vehicle_set"]

    assert complaint.startswith("Required for ClearDTC by filter.")
    assert "/api/v1/batches/preview/" in complaint


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "blank"),
        ("0" * 64, "Check the choice"),
        ("0" * 65, "64"),
        (7, "string"),
        (None, "null"),
    ],
)
def test_a_wrong_set_is_refused(
    fleet_admin: User, fleet: list[Vehicle], value: Any, says: str
) -> None:
    body = ReadDTC | HONDAS | {"vehicle_set": value}

    [complaint] = complaints(api(fleet_admin).post(BATCHES, body))["vehicle_set"]

    assert says in complaint


def test_vehicles_that_are_named_need_no_set_and_may_have_one(
    fleet_admin: User, fleet: list[Vehicle]
) -> None:
    choice = {"vehicle_ids": [str(vehicle.pk) for vehicle in fleet], "vehicle_count": 3}
    digest = preview(fleet_admin, {"vehicle_ids": choice["vehicle_ids"]})["vehicle_set"]
    bodies = [choice, choice | {"vehicle_set": digest}, choice | {"vehicle_set": "0" * 64}]

    codes = [api(fleet_admin).post(BATCHES, ClearDTC | body).status_code for body in bodies]

    assert codes == [201, 201, 400]


def test_a_filter_is_counted_for_users_who_may_see_vehicles(fleet: list[Vehicle]) -> None:
    blind = make_user("blind", "add_command", "send_unsafe_to_many")

    assert api(blind).post(f"{BATCHES}preview/", HONDAS).status_code == 403
