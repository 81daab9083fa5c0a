"""Vehicles are changed and deleted by the API."""

import asyncio
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.models import Command
from commands.tests.api.vehicle_requests import (
    DOIP,
    VIN,
    add,
    address_of,
    change,
    look,
    wrong_fields,
)
from conftest import api, drain, make_vehicle, submit
from vehicles.connectors.base import Probe, TargetVehicle
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle

# --- Changing


def test_a_change_replaces_settings_and_ecus_as_a_whole(maintainer: User) -> None:
    add(maintainer, **DOIP, ecus=[{"address": "0x10"}, {"address": "0x18", "name": "Gearbox"}])
    vehicle = Vehicle.objects.get()
    settings = {"host": "192.0.2.11", "port": 13401}
    changed = change(maintainer, vehicle, connector_settings=settings, ecus=[{"address": "0x0018"}])
    assert changed["connector_settings"] == settings
    assert [(ecu["address"], ecu["name"]) for ecu in changed["ecus"]] == [("0x0018", "")]
    again = change(maintainer, vehicle, connector_settings={"host": "192.0.2.11"}, make="Ford")
    assert again["connector_settings"] == {"host": "192.0.2.11"}
    assert len(again["ecus"]) == 1
    assert change(maintainer, vehicle, ecus=[])["ecus"] == []


def test_another_connector_needs_its_own_settings(maintainer: User, vehicle: Vehicle) -> None:
    response = api(maintainer).patch(address_of(vehicle), {"connector": "doip"})
    assert wrong_fields(response) == ["connector_settings.host", "connector_settings.online"]
    assert change(maintainer, vehicle, **DOIP)["connector"] == "doip"


def test_a_vehicle_of_a_connector_that_is_gone_needs_another_one(maintainer: User) -> None:
    vehicle = make_vehicle(1, connector="carrier_pigeon", connector_settings={"loft": 1})
    response = api(maintainer).patch(address_of(vehicle), {"connector_settings": {}})
    assert wrong_fields(response) == ["connector"]
    assert change(maintainer, vehicle, make="Ford")["connector_settings"] == {"loft": 1}
    assert change(maintainer, vehicle, **DOIP)["connector"] == "doip"


def test_a_vehicle_with_other_settings_is_disconnected_until_it_is_probed(
    maintainer: User,
) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    asyncio.run(drain())
    assert look(maintainer, vehicle)["connection_status"] == "connected"
    kept = change(maintainer, vehicle, make="Ford", connector_settings={}, ecus=[])
    assert kept["connection_status"] == "connected"
    away = change(maintainer, vehicle, connector_settings={"online": False})
    assert (away["connection_status"], away["probed_at"]) == ("disconnected", None)
    asyncio.run(drain())
    assert "offline" in look(maintainer, vehicle)["connection_problem"]
    change(maintainer, vehicle, connector_settings={"online": True})
    asyncio.run(drain())
    assert look(maintainer, vehicle)["connection_problem"] == ""
    moved = change(maintainer, vehicle, vin=VIN[:-1] + "3")
    assert moved["connection_status"] == "disconnected"


class ChangedMeanwhile(MockConnector):
    """A mock whose vehicle gets other settings while it is probed for the first time."""

    def __init__(self, user: User, vehicle: Vehicle) -> None:
        super().__init__()
        self.probed: list[Any] = []
        self._change = partial(change, user, vehicle, connector_settings={"online": False})

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        self.probed.append(vehicle.connector_settings)
        if len(self.probed) == 1:
            await asyncio.to_thread(self._change)
        return await super().probe(vehicle)


def test_a_probe_of_earlier_settings_tells_nothing(maintainer: User) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    connector = ChangedMeanwhile(maintainer, vehicle)
    asyncio.run(drain(connector))
    assert connector.probed == [{}, {"online": False}]
    assert look(maintainer, vehicle)["connection_status"] == "disconnected"


# --- Deleting


@pytest.mark.embedded
def test_a_vehicle_without_commands_is_deleted(maintainer: User) -> None:
    add(maintainer, ecus=[{"address": "0x10"}])
    vehicle = Vehicle.objects.get()
    client = api(maintainer)
    assert client.delete(address_of(vehicle)).status_code == 204
    assert not Vehicle.objects.exists()
    assert client.delete(address_of(vehicle)).status_code == 404


def test_a_vehicle_with_commands_is_not_deleted(
    maintainer: User, operator: User, vehicle: Vehicle
) -> None:
    submit(operator, vehicle)
    response = api(maintainer).delete(address_of(vehicle))
    assert (response.status_code, response.json()["code"]) == (409, "has_commands")
    assert Command.objects.get().vehicle == vehicle
