"""Vehicles in the REST API, with their waiting commands and trouble codes."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.events import iso
from commands.models import Command
from commands.tests.query_plans import add_old_commands, plan_of
from conftest import ClearDTC, ReadDTC, api, claim_one, make_vehicle, submit
from vehicles.models import Vehicle

VEHICLES = "/api/v1/vehicles/"


def waiting(user: User) -> dict[str, int]:
    """Return the counts of the list, which are also those of each vehicle's own page."""
    client = api(user)
    rows = client.get(VEHICLES).json()["results"]
    for row in rows:
        page = client.get(f"{VEHICLES}{row['vehicle_id']}/").json()
        assert page.pop("trouble_codes_at", "missing") != "missing"
        assert page.pop("lock", "missing") is None
        assert page.pop("note_count", "missing") == 0
        assert page.pop("queue", None) is not None
        assert page == row
    return {row["vin"][-1]: row["commands_waiting"] for row in rows}


@pytest.mark.embedded
def test_waiting_commands_are_counted_that_the_user_may_see(
    operator: User, stranger: User, viewer: User
) -> None:
    one, two, _ = [make_vehicle(number) for number in (1, 2, 3)]
    for _ in range(3):
        submit(operator, one)
    submit(stranger, one)
    submit(stranger, two)
    assert waiting(operator) == {"1": 3, "2": 0, "3": 0}
    assert waiting(stranger) == {"1": 1, "2": 1, "3": 0}
    assert waiting(viewer) == {"1": 4, "2": 1, "3": 0}
    assert api(None).get(VEHICLES).status_code == 401


def test_running_and_ended_commands_are_not_waiting(operator: User, vehicle: Vehicle) -> None:
    for _ in range(3):
        submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    claim_one()
    assert waiting(operator) == {"1": 1}


def test_vehicles_are_filtered_and_paged(operator: User) -> None:
    for number in range(1, 4):
        submit(operator, make_vehicle(number))
    page = api(operator).get(f"{VEHICLES}?search=honda&page_size=2").json()
    assert [row["commands_waiting"] for row in page["results"]] == [1, 1]
    assert len(api(operator).get(page["next"]).json()["results"]) == 1


def test_trouble_codes_at_is_the_last_read_or_clear_of_any_user(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    def at() -> Any:
        return api(operator).get(f"{VEHICLES}{vehicle.pk}/").json()["trouble_codes_at"]

    assert at() is None
    for user, order in ((operator, ReadDTC), (stranger, ClearDTC)):
        submit(user, vehicle, order)
        command = claim_one()
        before = at()
        lifecycle.complete(command, {})
        command.refresh_from_db()
        assert command.completed_at
        assert before != at() == iso(command.completed_at)


@pytest.mark.parametrize("vehicle_id", ["car", "00000000-0000-0000-0000-000000000000"])
def test_trouble_codes_of_an_unknown_vehicle_are_not_found(operator: User, vehicle_id: str) -> None:
    response = api(operator).get(f"{VEHICLES}{vehicle_id}/trouble-codes/")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_waiting_commands_are_counted_by_an_index(operator: User, viewer: User) -> None:
    for number in range(100):
        vehicle = make_vehicle(number)
        Command.objects.bulk_create(
            Command(vehicle=vehicle, submitted_by=operator, expires_at=Now()) for _ in range(10)
        )
    add_old_commands(20)
    for user in (operator, viewer):
        with CaptureQueriesContext(connection) as asked:
            assert api(user).get(VEHICLES).json()["results"][0]["commands_waiting"] == 10
        (listing,) = [row["sql"] for row in asked if "commands_waiting" in row["sql"]]
        plan = plan_of(listing)
        assert "command_vehicle_queue" in plan
        assert "Seq Scan on commands" not in plan
