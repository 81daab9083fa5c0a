"""Confirmations, which name the vehicle again by the end of its VIN."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.models import AuditEntry, Command
from conftest import ClearDTC, api
from vehicles.models import Vehicle


def confirmed(user: User, vehicle: Vehicle, confirmation: Any) -> Any:
    body = {"vehicle_id": str(vehicle.pk), **ClearDTC, "confirmation": confirmation}
    return api(user).post("/api/v1/commands/", body)


@pytest.mark.parametrize(
    "confirmation", ["000102", "00101", "1HGCM82623A000101", "", None, 101, []]
)
def test_a_wrong_confirmation_is_refused(
    operator: User, vehicle: Vehicle, confirmation: Any
) -> None:
    response = confirmed(operator, vehicle, confirmation)
    assert (response.status_code, response.json()["fields"].keys()) == (400, {"confirmation"})
    assert not Command.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_confirmation_may_be_in_small_letters(operator: User) -> None:
    vehicle = Vehicle.objects.create(vin="1HGCM82623AABC101")
    assert confirmed(operator, vehicle, "abc101").status_code == 201
