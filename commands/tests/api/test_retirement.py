"""Vehicles that are taken out of use, and their history."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands import lifecycle
from commands.models import AuditEntry
from conftest import ReadDTC, api, claim_one, make_user, submit
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded

VEHICLES = "/api/v1/vehicles/"


@pytest.fixture
def keeper(transactional_db: None) -> User:
    return make_user("keeper", "add_command", "view_vehicle", "change_vehicle")


def post(user: User, vehicle: Vehicle, what: str) -> Any:
    return api(user).post(f"{VEHICLES}{vehicle.pk}/{what}/")


def listed(user: User, query: str = "") -> list[str]:
    return [row["vin"] for row in api(user).get(f"{VEHICLES}?{query}").json()["results"]]


def test_a_retired_vehicle_is_hidden_and_sent_nothing_new(
    keeper: User, operator: User, vehicle: Vehicle
) -> None:
    submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    assert post(keeper, vehicle, "retire").json()["retired_at"]
    assert listed(operator) == []
    assert listed(operator, "retired=true") == listed(operator, "retired=all") == [vehicle.vin]
    assert not Vehicle.objects.due_for_probe().exists()

    ids = [str(vehicle.pk)]
    for address, body in (
        ("commands/", {"vehicle_id": ids[0]}),
        ("commands/", {"vehicle_id": ids[0], "confirmation": vehicle.vin[-6:]}),
        ("batches/", {"vehicle_ids": ids}),
    ):
        response = api(operator).post(f"/api/v1/{address}", ReadDTC | body)
        assert (response.status_code, response.json()["code"]) == (409, "vehicle_retired")
        assert vehicle.vin in response.json()["detail"]
    by_filter = api(operator).post("/api/v1/batches/", ReadDTC | {"vehicle_filter": {}})
    assert list(by_filter.json()["fields"]) == ["vehicle_filter"]
    assert len(api(operator).get("/api/v1/commands/").json()["results"]) == 1

    assert post(keeper, vehicle, "restore").json()["retired_at"] is None
    assert listed(operator) == [vehicle.vin]
    submit(operator, vehicle)
    subject = AuditEntry.objects.filter(subject=vehicle.pk).order_by("id")
    assert [entry.action for entry in subject] == ["retire_vehicle", "restore_vehicle"]


def test_a_vehicle_with_open_commands_is_not_retired(keeper: User, vehicle: Vehicle) -> None:
    submit(keeper, vehicle)
    response = post(keeper, vehicle, "retire")
    assert (response.status_code, response.json()["code"]) == (409, "has_open_commands")
    vehicle.refresh_from_db()
    assert vehicle.retired_at is None


def test_only_users_who_may_change_vehicles_retire_them(operator: User, vehicle: Vehicle) -> None:
    assert post(operator, vehicle, "retire").status_code == 403
    assert post(operator, vehicle, "restore").status_code == 403
