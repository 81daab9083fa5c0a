"""The REST API of vehicles, with what the commands tell of them."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.models import Command
from commands.tests.test_trouble_codes import add_old_commands, plan_of
from conftest import api, claim_one, make_vehicle, submit
from vehicles.models import Vehicle

VEHICLES = "/api/v1/vehicles/"


def waiting(user: User) -> dict[str, int]:
    """In the list, which says the same as the vehicle's own page."""
    client = api(user)
    rows = client.get(VEHICLES).json()["results"]
    for row in rows:
        assert client.get(f"{VEHICLES}{row['vehicle_id']}/").json() == row
    return {row["vin"][-1]: row["commands_waiting"] for row in rows}


@pytest.mark.embedded
def test_each_sees_how_many_of_the_commands_that_they_may_see_wait(
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


def test_what_runs_or_has_ended_does_not_wait(operator: User, vehicle: Vehicle) -> None:
    for _ in range(3):
        submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    claim_one()
    assert waiting(operator) == {"1": 1}


def test_filters_and_pages_are_as_ever(operator: User) -> None:
    for number in range(1, 4):
        submit(operator, make_vehicle(number))
    page = api(operator).get(f"{VEHICLES}?search=honda&page_size=2").json()
    assert [row["commands_waiting"] for row in page["results"]] == [1, 1]
    assert len(api(operator).get(page["next"]).json()["results"]) == 1


@pytest.mark.parametrize("vehicle_id", ["car", "00000000-0000-0000-0000-000000000000"])
def test_trouble_codes_of_no_vehicle(operator: User, vehicle_id: str) -> None:
    response = api(operator).get(f"{VEHICLES}{vehicle_id}/trouble-codes/")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_what_waits_is_counted_by_its_index(operator: User, viewer: User) -> None:
    for number in range(100):
        vehicle = make_vehicle(number)
        Command.objects.bulk_create(
            Command(vehicle=vehicle, submitted_by=operator, expires_at=Now()) for _ in range(10)
        )
    add_old_commands(20)
    for user in (operator, viewer):
        with CaptureQueriesContext(connection) as asked:
            assert api(user).get(VEHICLES).json()["results"][0]["commands_waiting"] == 10
        plan = plan_of(asked.captured_queries[-1]["sql"])
        assert "command_vehicle_queue" in plan
        assert "Seq Scan on commands" not in plan
