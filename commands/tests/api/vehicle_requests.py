"""Requests that add, change and show vehicles."""

from typing import Any

from django.contrib.auth.models import User

from conftest import api
from vehicles.models import Vehicle

VEHICLES = "/api/v1/vehicles/"
VIN = "1HGCM82633A004352"
SOVD = {"url": "https://192.0.2.10/sovd"}
DOIP = {"connector": "doip", "connector_settings": {"host": "192.0.2.10"}}
RIGHTS = ["view_vehicle", "add_vehicle", "change_vehicle", "delete_vehicle"]


def address_of(vehicle: Vehicle, part: str = "") -> str:
    return f"{VEHICLES}{vehicle.pk}/{part}"


def add(user: User, **body: Any) -> dict[str, Any]:
    response = api(user).post(VEHICLES, {"vin": VIN} | body)
    assert response.status_code == 201, response.content
    added: dict[str, Any] = response.json()
    return added


def change(user: User, vehicle: Vehicle, **body: Any) -> dict[str, Any]:
    response = api(user).patch(address_of(vehicle), body)
    assert response.status_code == 200, response.content
    changed: dict[str, Any] = response.json()
    return changed


def wrong_fields(response: Any) -> list[str]:
    assert response.status_code == 400, response.content
    return sorted(response.json()["fields"])


def look(user: User, vehicle: Vehicle) -> dict[str, Any]:
    shown: dict[str, Any] = api(user).get(address_of(vehicle)).json()
    return shown
