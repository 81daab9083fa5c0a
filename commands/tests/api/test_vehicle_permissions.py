"""Permissions that changes of vehicles need."""

import pytest
from django.contrib.auth.models import User

from commands.tests.api.vehicle_requests import VEHICLES, VIN, address_of
from conftest import api, make_user
from vehicles.models import Vehicle


@pytest.mark.embedded
@pytest.mark.parametrize("right", ["add_vehicle", "change_vehicle", "delete_vehicle", None])
def test_each_way_of_changing_vehicles_needs_its_own_permission(
    transactional_db: None, vehicle: Vehicle, right: str | None
) -> None:
    client = api(make_user("somebody", "view_vehicle", "add_command", *([right] if right else [])))
    attempts = {
        "add_vehicle": [client.post(VEHICLES, {"vin": VIN})],
        "change_vehicle": [
            client.patch(address_of(vehicle), {"make": "Ford"}),
            client.post(address_of(vehicle, "probe/")),
        ],
        "delete_vehicle": [client.delete(address_of(vehicle))],
    }
    for needed, responses in attempts.items():
        for response in responses:
            assert (response.status_code == 403) is (needed != right), needed
            if needed != right:
                assert f"vehicles.{needed}" in response.json()["detail"]
    made = Vehicle.objects.values_list("vin", "make").order_by("vin")
    expected = {
        "add_vehicle": [(vehicle.vin, "Honda"), (VIN, "")],
        "change_vehicle": [(vehicle.vin, "Ford")],
        "delete_vehicle": [],
        None: [(vehicle.vin, "Honda")],
    }
    assert list(made) == expected[right]


def test_nobody_changes_vehicles_without_a_login(vehicle: Vehicle) -> None:
    client = api(None)
    assert client.post(VEHICLES, {"vin": VIN}).status_code == 401
    assert client.patch(address_of(vehicle), {"make": "Ford"}).status_code == 401
    assert client.delete(address_of(vehicle)).status_code == 401
    assert client.post(address_of(vehicle, "probe/")).status_code == 401
    assert client.get("/api/v1/connectors/").status_code == 401


def test_a_vehicle_is_not_put(maintainer: User, vehicle: Vehicle) -> None:
    response = api(maintainer).put(address_of(vehicle), {"vin": VIN})
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
