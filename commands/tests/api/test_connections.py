"""Connectors, and tests of the connection to a vehicle."""

import asyncio
from datetime import datetime

import pytest
from django.contrib.auth.models import User

from commands.models import AuditEntry
from commands.tests.api.vehicle_requests import VIN, add, address_of, look
from conftest import api, drain
from vehicles.connectors import CONNECTORS
from vehicles.connectors.base import Probe, TargetVehicle
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle


@pytest.mark.embedded
def test_the_connectors_are_listed_with_the_schema_of_their_settings(stranger: User) -> None:
    page = api(stranger).get("/api/v1/connectors/").json()
    found = {row["name"]: row for row in page["results"]}
    assert found.keys() == CONNECTORS.keys()
    assert found["doip"]["settings_schema"]["properties"]["port"]["default"] == 13400
    assert found["mock"]["description"]


class WatchedConnector(MockConnector):
    """A mock that notes which of its probes are tests."""

    def __init__(self) -> None:
        super().__init__()
        self.tests: list[bool] = []

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        self.tests.append(with_ecus)
        return await super().probe(vehicle)


@pytest.mark.embedded
def test_a_test_of_the_connection_is_done_at_once_and_asks_the_ecus(maintainer: User) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    connector = WatchedConnector()
    asyncio.run(drain(connector))
    assert look(maintainer, vehicle)["probe_found"] is None
    response = api(maintainer).post(address_of(vehicle, "probe/"))
    assert response.status_code == 202
    assert response.json()["probe_requested_at"]
    asyncio.run(drain(connector))
    assert connector.tests == [False, True]
    shown = look(maintainer, vehicle)
    assert shown["probe_requested_at"] is None
    assert shown["probe_found"]["vin"] == VIN
    assert "0x10" in shown["probe_found"]["ecus"]
    assert datetime.fromisoformat(shown["probed_at"]) >= datetime.fromisoformat(
        response.json()["probe_requested_at"]
    )
    (entry,) = AuditEntry.objects.filter(action="test_connection")
    assert (entry.subject, entry.username) == (str(vehicle.pk), "maintainer")


class AskedMeanwhile(WatchedConnector):
    """A mock whose connection somebody tests during its first probe."""

    def __init__(self, user: User, vehicle: Vehicle) -> None:
        super().__init__()
        self._client, self._address = api(user), address_of(vehicle, "probe/")
        self.running = self.most_at_once = 0

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        if not self.tests:
            assert (await asyncio.to_thread(self._client.post, self._address)).status_code == 202
            await drain(self)
        found = await super().probe(vehicle, with_ecus=with_ecus)
        self.running -= 1
        return found


def test_a_test_waits_for_the_probe_that_runs_already(maintainer: User) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    connector = AskedMeanwhile(maintainer, vehicle)
    asyncio.run(drain(connector))
    assert connector.tests == [False, True]
    assert connector.most_at_once == 1
    assert look(maintainer, vehicle)["probe_found"]
