"""Windows, pauses, locks and ends: when a campaign sends, and when no longer."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.utils import timezone

from commands import lifecycle
from commands.lifecycle.submission import TURN
from commands.models import Campaign, Command, VehicleLock
from commands.tests.campaigns.requests import HOUR, advance, seen, started, step, waiting, written
from conftest import ClearDTC, make_vehicle, mark_seen, submit
from vehicles.models import Vehicle

# --- Windows, pauses and ends


@pytest.mark.embedded
def test_nothing_is_sent_outside_the_window(operator: User, fleet: list[Vehicle]) -> None:
    later = timezone.now() + 2 * HOUR
    day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][later.weekday()]
    hours = {"from": f"{later:%H}:00", "to": f"{later + HOUR:%H}:00", "time_zone": "UTC"}
    campaign = started(operator, windows=[{"days": [day], **hours}])
    opens = later.replace(minute=0, second=0, microsecond=0)
    assert seen(operator, campaign)["next_window"] == f"{opens:%Y-%m-%dT%H:%M:%SZ}"
    advance()
    assert Command.objects.count() == 0
    Campaign.objects.update(opens_at=Now() - HOUR)
    advance()
    assert Command.objects.count() == 10
    Campaign.objects.update(closes_at=Now())
    mark_seen()
    assert lifecycle.claim(10) == []
    Campaign.objects.update(closes_at=Now() + HOUR)
    mark_seen()
    assert len(lifecycle.claim(10)) == 10


@pytest.mark.embedded
def test_a_paused_campaign_sends_nothing_and_holds_up_no_other_command(
    operator: User, fleet: list[Vehicle]
) -> None:
    campaign = started(operator)
    advance()
    assert step(operator, campaign, "pause") == 200
    own = submit(operator, fleet[0])
    mark_seen()
    (claimed,) = lifecycle.claim(20)
    assert claimed == own
    lifecycle.complete(claimed, {})
    assert step(operator, campaign, "resume") == 200
    mark_seen()
    assert len(lifecycle.claim(20)) == 10


@pytest.mark.embedded
def test_a_campaign_that_expires_ends(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator, waves=[50, 100])
    advance()
    command = waiting().first()
    expires_at = Campaign.objects.get().expires_at
    assert abs(command.expires_at - expires_at) < timedelta(seconds=1)
    Campaign.objects.update(expires_at=Now())
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"], body["next_window"]) == ("ended", "expired", None)


@pytest.mark.embedded
def test_a_command_that_is_not_safe_waits_for_the_lock_of_another(
    admin: User, boss: User, operator: User, fleet: list[Vehicle]
) -> None:
    campaign = written(admin, **ClearDTC, vehicle_count=10)
    VehicleLock.objects.create(vehicle=fleet[3], holder=operator, expires_at=Now() + HOUR)
    assert (step(admin, campaign, "submit"), step(boss, campaign, "approve")) == (200, 200)
    advance()
    mark_seen()
    assert fleet[3].pk not in {command.vehicle_id for command in lifecycle.claim(20)}
    assert waiting().get().vehicle_id == fleet[3].pk


# --- Users and the limit


@pytest.mark.embedded
def test_a_campaign_does_not_use_up_the_limit_or_the_turns_of_its_author(
    operator: User, fleet: list[Vehicle], settings: Any
) -> None:
    settings.PENDING_COMMANDS_PER_USER = 1
    started(operator)
    advance()
    single = submit(operator, make_vehicle(500))
    assert single.turn - single.submitted_at == timedelta()
    last = waiting().filter(campaign__isnull=False).latest("turn")
    assert last.turn - last.submitted_at == timedelta(days=10_000) + 10 * TURN
