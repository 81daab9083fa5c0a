"""Lists that are read without Django's objects: the same as with them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from rest_framework.utils.encoders import JSONEncoder

from commands.api.bodies import Encoder
from commands.tests.api.listing import COMMANDS, HOUR, NOON, make_command
from conftest import api, make_vehicle
from vehicles.models import Ecu, Vehicle

VEHICLES = "/api/v1/vehicles/"
IN_ANY_STATUS = "status=completed&status=pending"

pytestmark = pytest.mark.embedded


def walked(user: User, address: str, link: str = "next") -> list[list[Any]]:
    """Return the rows of each page from this one on, and the address of the last."""
    pages: list[list[Any]] = []
    while address:
        page = api(user).get(address).json()
        pages.append(page["results"])
        address = page[link]
    return pages


@pytest.mark.parametrize("ordering", ["-submitted_at", "submitted_at"])
def test_pages_of_commands_are_the_same_with_a_filter_and_without(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle, ordering: str
) -> None:
    for number in range(6):  # two at each instant
        user = stranger if number == 2 else operator
        make_command(user, vehicle, NOON + number // 2 * HOUR, command_params={"n": number / 3})
    query = f"{COMMANDS}?page_size=2&ordering={ordering}"
    for user, sizes in ((operator, [2, 2, 1]), (viewer, [2, 2, 2])):
        pages = walked(user, query)
        assert [len(page) for page in pages] == sizes
        assert pages == walked(user, f"{query}&{IN_ANY_STATUS}")


def test_pages_lead_back_to_the_first(viewer: User) -> None:
    vins = [make_vehicle(number).vin for number in range(5)]
    second = api(viewer).get(api(viewer).get(f"{VEHICLES}?page_size=2").json()["next"]).json()
    back = api(viewer).get(second["previous"]).json()
    assert [[row["vin"] for row in page["results"]] for page in (back, second)] == [
        vins[:2],
        vins[2:4],
    ]


def test_a_listed_vehicle_has_the_ecus_of_its_page(viewer: User) -> None:
    vehicle, _ = make_vehicle(1, tags=["a", "b"]), make_vehicle(2)
    match = {"description": "None", "variant": "v", "matched_by": []}
    Ecu.objects.create(vehicle=vehicle, address="0x20", match=match)
    Ecu.objects.create(vehicle=vehicle, address="0x10", match=match, variant="chosen")
    for query in ("", "?search=honda"):
        row, other = api(viewer).get(f"{VEHICLES}{query}").json()["results"]
        page = api(viewer).get(f"{VEHICLES}{vehicle.pk}/").json()
        assert row.items() <= page.items()
        assert [ecu["address"] for ecu in row["ecus"]] == ["0x10", "0x20"]
        assert [each["address"] for each in row["matched_variants"]] == ["0x20"]
        assert (other["ecus"], other["matched_variants"]) == ([], [])
        assert [*row] == [name for name in page if name in row]


@pytest.mark.parametrize(
    "value",
    [
        uuid4(),
        NOON,
        datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        NOON.date(),
        Decimal("1.5"),
        HOUR,
    ],
)
def test_values_are_written_as_by_rest_framework(value: Any) -> None:
    assert json.dumps(value, cls=Encoder) == json.dumps(value, cls=JSONEncoder)
