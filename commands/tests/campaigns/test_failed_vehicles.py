"""Campaigns and lists of the vehicles that failed in an earlier campaign."""

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from commands import lifecycle
from commands.models import CampaignVehicle, Status
from commands.tests.campaigns.requests import (
    CAMPAIGNS,
    advance,
    complaints,
    end,
    forward,
    post,
    started,
    waiting,
    written,
)
from conftest import api, mark_seen
from vehicles.models import Vehicle


@pytest.mark.embedded
def test_those_that_failed_are_the_vehicles_of_another_campaign(
    operator: User, fleet: list[Vehicle]
) -> None:
    first = started(operator)
    advance()
    mark_seen()
    one, other, *rest = sorted(lifecycle.claim(10), key=lambda command: command.vehicle.vin)
    lifecycle.fail(one, "vehicle_unreachable", "No.")
    lifecycle.time_out(other, "Silence.")
    for command in rest:
        lifecycle.complete(command, {})
    advance()
    Vehicle.objects.filter(pk=fleet[1].pk).update(retired_at=Now())
    body = {"vehicle_filter": None, "failed_of_campaign": first}
    preview = api(operator).post(f"{CAMPAIGNS}preview/", {"command_name": "ReadDTC", **body})
    assert preview.json()["vehicle_count"] == 1
    again = written(operator, **body)
    rows = CampaignVehicle.objects.filter(campaign_id=again)
    assert [row.vehicle_id for row in rows] == [fleet[0].pk]
    found = api(operator).get("/api/v1/commands/", {"failed_of_campaign": first}).json()["results"]
    assert {each["vehicle_id"] for each in found} == {str(one.pk) for one in fleet[:2]}


@pytest.mark.embedded
def test_a_vehicle_whose_further_try_succeeded_has_not_failed(
    operator: User, fleet: list[Vehicle]
) -> None:
    campaign = started(operator, retries=1)
    advance()
    end(waiting(), Status.FAILED)
    advance()
    forward(10)
    end(waiting(), Status.COMPLETED)
    advance()
    found = api(operator).get("/api/v1/commands/", {"failed_of_campaign": campaign})
    assert found.json()["results"] == []
    refused = post(operator, vehicle_filter=None, failed_of_campaign=campaign)
    assert "failed_of_campaign" in complaints(refused)


@pytest.mark.embedded
def test_the_failures_of_another_users_campaign_are_not_to_be_had(
    operator: User, stranger: User, fleet: list[Vehicle]
) -> None:
    campaign = started(operator)
    advance()
    end(waiting(), Status.FAILED)
    advance()
    refused = post(stranger, vehicle_filter=None, failed_of_campaign=campaign)
    assert "failed_of_campaign" in complaints(refused)
    found = api(stranger).get("/api/v1/commands/", {"failed_of_campaign": campaign})
    assert found.json()["results"] == []
