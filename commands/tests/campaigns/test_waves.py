"""Waves of a campaign, and further tries of what failed."""

from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from commands import lifecycle
from commands.campaigns import progress
from commands.models import Campaign, CampaignVehicle, Command, Status
from commands.tests.campaigns.requests import (
    advance,
    end,
    forward,
    make_fleet,
    seen,
    started,
    step,
    waiting,
)
from conftest import api, mark_seen
from vehicles.models import ConnectionStatus, Vehicle

# --- Waves


@pytest.mark.embedded
def test_each_wave_begins_when_the_last_one_has_ended(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator, waves=[5, 50, 100])
    sizes = []
    for _ in range(3):
        advance()
        sizes.append(waiting().count())
        end(waiting(), Status.COMPLETED)
    advance()
    assert sizes == [1, 4, 5]
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "")
    assert [wave["completed"] for wave in body["progress"]] == sizes
    assert Counter(Command.objects.values_list("vehicle_id", flat=True)) == Counter(
        vehicle.pk for vehicle in fleet
    )
    found = api(operator).get("/api/v1/commands/", {"campaign_id": campaign}).json()["results"]
    assert {command["campaign_id"] for command in found} == {campaign}
    assert {command["priority"] for command in found} == {"background"}
    assert len(found) == 10


@pytest.mark.embedded
def test_vehicles_that_are_away_hold_up_no_wave_and_count_when_they_end(
    operator: User, fleet: list[Vehicle]
) -> None:
    away = Vehicle.objects.filter(pk=fleet[0].pk)
    away.update(connection_status=ConnectionStatus.DISCONNECTED)
    campaign = started(operator, waves=[20, 100], go_on_below_failed_percent=40)
    advance()
    assert waiting().count() == 2
    end(waiting(), Status.COMPLETED)
    advance()
    assert waiting().count() == 9  # the second wave, and the one that is away
    end(waiting(), Status.COMPLETED)
    advance()
    assert seen(operator, campaign)["state"] == "running"
    away.update(connection_status=ConnectionStatus.CONNECTED)
    end(waiting(), Status.FAILED)
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "failures")
    assert body["failures"] == {"vehicle_unreachable": 1}


@pytest.mark.embedded
def test_a_wave_with_too_many_failures_is_the_last(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator, waves=[50, 100], go_on_below_failed_percent=20)
    advance()
    mark_seen()
    first, second, third, *_ = lifecycle.claim(5)
    lifecycle.fail(first, "vehicle_refused", "No.")
    advance()
    assert seen(operator, campaign)["state"] == "running"  # 20 % are not above 20 %
    lifecycle.fail(second, "vehicle_refused", "No.")
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "failures")
    assert Command.objects.get(pk=third.pk).cancel_requested_at
    assert Command.objects.count() == 5


@pytest.mark.embedded
def test_a_large_wave_is_sent_in_parts_and_ends_by_its_cancellation(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "AT_ONCE", 4)
    fleet = make_fleet(10)
    campaign = started(operator)
    for sent in (0, 4, 8, 10, 10):
        progress.step(campaign)
        assert Command.objects.count() == sent
    assert step(operator, campaign, "cancel") == 200
    assert lifecycle.claim(10) == []
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "cancelled")
    assert body["progress"][0]["cancelled"] == len(fleet)
    assert not Campaign.objects.to_advance().exists()


# --- Tries


@pytest.mark.embedded
def test_a_safe_command_is_tried_again_after_a_while(operator: User, fleet: list[Vehicle]) -> None:
    body = {"vehicle_ids": [str(fleet[0].pk)], "vehicle_filter": None, "retries": 2}
    campaign = started(operator, **body)
    for minutes in (1, 2):
        advance()
        end(waiting(), Status.FAILED)
        advance()
        end(waiting(), Status.FAILED)  # nothing: it waits for its time
        (again,) = waiting()
        assert again.not_before - again.submitted_at > timedelta(seconds=60 * minutes - 30)
        forward(minutes + 1)
    end(waiting(), Status.FAILED)
    advance()
    assert seen(operator, campaign)["state"] == "ended"
    assert (Command.objects.count(), CampaignVehicle.objects.get().tries) == (3, 3)


@pytest.mark.embedded
@pytest.mark.parametrize("code", ["vehicle_refused", "wrong_vehicle"])
def test_a_refusal_is_not_tried_again(operator: User, fleet: list[Vehicle], code: str) -> None:
    campaign = started(operator, retries=3)
    advance()
    end(waiting(), Status.FAILED, code)
    advance()
    assert seen(operator, campaign)["failures"] == {code: 10}
    assert Command.objects.count() == 10
