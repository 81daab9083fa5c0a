"""A retirement and a submission at once: one of them sees the other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.db.models.functions import Now

from commands import lifecycle
from commands.models import AuditEntry, Command, Event
from conftest import ReadDTC, api, make_user, meanwhile, until_blocked
from vehicles.models import Vehicle


@pytest.fixture
def keeper(transactional_db: None) -> User:
    return make_user("keeper", "add_command", "view_vehicle", "change_vehicle")


@pytest.mark.parametrize("kind", ["command", "batch"])
def test_a_submission_that_read_the_vehicle_before_its_retirement_is_refused(
    operator: User, vehicle: Vehicle, kind: str
) -> None:
    """The retirement commits between the check of the submission and its statement."""
    client = api(operator)
    ids = {"vehicle_id": str(vehicle.pk)} if kind == "command" else {"vehicle_ids": [vehicle.pk]}
    address = "/api/v1/commands/" if kind == "command" else "/api/v1/batches/"
    with meanwhile("vehicles_vehicle", lambda: retire_at_once(vehicle)):
        response = client.post(address, ReadDTC | ids)
    assert (response.status_code, response.json()["code"]) == (409, "vehicle_retired")
    assert Command.objects.count() == 0
    assert Event.objects.count() == 0
    assert not AuditEntry.objects.filter(action="submit").exists()


def retire_at_once(vehicle: Vehicle) -> None:
    Vehicle.objects.filter(pk=vehicle.pk).update(retired_at=Now())


def test_a_retirement_waits_for_a_submission_that_has_the_vehicle(
    keeper: User, operator: User, vehicle: Vehicle
) -> None:
    client = api(keeper)
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            lifecycle.submit(operator, vehicle, "ReadDTC", {"ecuAddress": "0x10"})
            address = f"/api/v1/vehicles/{vehicle.pk}/retire/"
            retiring = thread.submit(client.post, address)
            until_blocked()
        assert retiring.result().status_code == 409
        thread.submit(connections.close_all).result()
