"""The estimated end of a campaign."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from commands import lifecycle
from commands.campaigns import estimate
from commands.campaigns.windows import DAYS, open_hours
from commands.models import Campaign
from commands.tests.campaigns.requests import HOUR, advance, seen, started, step
from conftest import mark_seen
from vehicles.models import Vehicle


@pytest.mark.embedded
def test_the_end_is_estimated_once_some_have_ended(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator)
    advance()
    assert seen(operator, campaign)["estimated_end"] is None
    mark_seen()
    for command in lifecycle.claim(5):
        lifecycle.complete(command, {})
    advance()
    assert seen(operator, campaign)["estimated_end"]
    found = Campaign.objects.get()
    assert found.started_at
    now = found.started_at + HOUR
    assert estimate.end_of(found, now) == now + HOUR  # a half in an hour
    found.windows = [{"days": [*DAYS], "from": "00:00", "to": "00:30", "time_zone": "UTC"}]
    found.started_at = datetime(2026, 3, 2, tzinfo=UTC)
    found.expires_at = datetime(2026, 3, 20, tzinfo=UTC)
    now = datetime(2026, 3, 3, 0, 15, tzinfo=UTC)  # a half in 45 minutes of two windows
    assert estimate.end_of(found, now) == datetime(2026, 3, 4, 0, 30, tzinfo=UTC)
    found.expires_at = datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert estimate.end_of(found, now) == found.expires_at
    assert step(operator, campaign, "pause") == 200
    assert seen(operator, campaign)["estimated_end"] is None


@pytest.mark.embedded
def test_hours_of_several_windows_count_once() -> None:
    windows = [
        {"days": [*DAYS], "from": "22:00", "to": "02:00", "time_zone": "UTC"},
        {"days": [*DAYS], "from": "23:00", "to": "03:00", "time_zone": "UTC"},
    ]
    begin = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    hours = open_hours(windows, begin, begin + timedelta(days=1))
    assert sum((b - a for a, b in hours), timedelta()) == timedelta(hours=5)
    assert hours == sorted(hours)
