"""The REST API of vehicles: to find the one to send a command to."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import api, make_vehicle
from vehicles.models import Vehicle

VEHICLES = "/api/v1/vehicles/"


def seen(seconds_ago: float, **fields: Any) -> dict[str, Any]:
    return {"last_seen_at": timezone.now() - timedelta(seconds=seconds_ago)} | fields


def in_json(instant: datetime | None) -> str:
    return str(instant).replace(" ", "T").replace("+00:00", "Z")


def found(user: User, query: str = "") -> list[str]:
    response = api(user).get(f"{VEHICLES}?{query}")
    assert response.status_code == 200, response.content
    return [row["vin"] for row in response.json()["results"]]


@pytest.mark.embedded
def test_a_vehicle_is_shown_whole(operator: User) -> None:
    vehicle = make_vehicle(1, **seen(0), model="Accord", year=2003, metadata={"fleet": "north"})
    vehicle.refresh_from_db()  # SQLite keeps milliseconds
    shown = {
        "vehicle_id": str(vehicle.pk),
        "vin": "1HGCM82623A000001",
        "make": "Honda",
        "model": "Accord",
        "year": 2003,
        "connector": "mock",
        "connector_settings": {"online": True},
        "ecus": [],
        "matched_variants": [],
        "connection_status": "connected",
        "last_seen_at": in_json(vehicle.last_seen_at),
        "connection_problem": "",
        "probed_at": None,
        "probe_requested_at": None,
        "probe_found": None,
        "metadata": {"fleet": "north"},
        "tags": [],
        "created_at": in_json(vehicle.created_at),
        "retired_at": None,
        "commands_waiting": 0,
    }
    page = shown | {"trouble_codes_at": None, "lock": None, "note_count": 0, "queue": []}
    assert api(operator).get(f"{VEHICLES}{vehicle.pk}/").json() == page
    assert api(operator).get(VEHICLES).json() == {
        "next": None,
        "previous": None,
        "results": [shown],
    }


PRESENCE = settings.VEHICLE_PRESENCE_SECONDS


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("row", "counts_as"),
    [
        (("connected", 0), "connected"),
        (("connected", PRESENCE - 5), "connected"),
        (("connected", PRESENCE + 1), "disconnected"),
        (("connected", None), "disconnected"),
        (("disconnected", 0), "disconnected"),
        (("error", 0), "error"),
        (("error", PRESENCE + 1), "disconnected"),
    ],
)
def test_a_vehicle_that_was_not_seen_lately_counts_as_disconnected(
    viewer: User, row: tuple[str, float | None], counts_as: str
) -> None:
    status, seconds_ago = row
    times = {} if seconds_ago is None else seen(seconds_ago)
    vehicle = make_vehicle(1, connection_status=status, **times)
    client = api(viewer)
    assert client.get(f"{VEHICLES}{vehicle.pk}/").json()["connection_status"] == counts_as
    for each in ("connected", "disconnected", "error"):
        finds = found(viewer, f"connection_status={each}")
        assert finds == [vehicle.vin] * (each == counts_as), each


@pytest.mark.parametrize(
    ("words", "finds"),
    [
        ("1HGCM82623A000001", "A"),
        ("hgcm", "AB"),
        ("000002", "B"),
        ("hon", "A"),
        ("FORD", "B"),
        ("pilot", "A"),
        ("f-150", "B"),
        ("honda%20pilot", "A"),
        ("pilot%20000001", "A"),
        ("honda%20f-150", ""),
        ("%25", ""),
        ("_", ""),
        ("%20", "AB"),
        ("", "AB"),
    ],
)
def test_search(viewer: User, words: str, finds: str) -> None:
    make_vehicle(1, model="Pilot")
    Vehicle.objects.filter(pk=make_vehicle(2, model="F-150").pk).update(make="Ford")
    vins = {"A": "1HGCM82623A000001", "B": "1HGCM82623A000002"}
    assert found(viewer, f"search={words}") == [vins[name] for name in finds]


def test_the_filters_are_joined(viewer: User) -> None:
    make_vehicle(1, **seen(0), model="Pilot")
    make_vehicle(2, **seen(0), model="Civic")
    make_vehicle(3, model="Pilot")
    assert found(viewer, "search=pilot&connection_status=connected") == ["1HGCM82623A000001"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connection_status", "lost"),
        ("search", "x" * 101),
        ("ordering", "-make"),
        ("page_size", "501"),
        ("cursor", "2"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(viewer: User, name: str, value: str) -> None:
    response = api(viewer).get(VEHICLES, {name: value})
    assert response.status_code == 400
    assert response.json()["fields"].keys() == {name}


def test_all_pages_hold_every_vehicle_once(viewer: User) -> None:
    vins = [make_vehicle(number).vin for number in range(7)]
    client, address, walked = api(viewer), f"{VEHICLES}?page_size=3", []
    while address:
        page = client.get(address).json()
        walked += [row["vin"] for row in page["results"]]
        address = page["next"]
    assert walked == vins


@pytest.mark.parametrize("vehicle_id", [uuid4(), "car", "1HGCM82623A000101", "%00"])
def test_no_such_vehicle(viewer: User, vehicle: Vehicle, vehicle_id: object) -> None:
    response = api(viewer).get(f"{VEHICLES}{vehicle_id}/")
    assert response.status_code == 404
    assert response.json() == {"code": "not_found", "detail": "Not found."}


def test_queries_of_a_list_do_not_grow(viewer: User, known: Any) -> None:
    client = known(viewer)
    for numbers in (range(1), range(1, 30)):
        for number in numbers:
            make_vehicle(number)
        with CaptureQueriesContext(connection) as captured:
            client.get(VEHICLES)
        assert len(captured) == 2  # the page, the ECUs
