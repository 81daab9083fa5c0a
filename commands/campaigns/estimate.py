"""When a campaign may end: by its rate so far and its windows."""

from datetime import datetime, timedelta

from commands.campaigns.windows import open_hours
from commands.models import Campaign, CampaignState


def end_of(campaign: Campaign, now: datetime) -> datetime | None:
    """Return the estimated end, at most `expires_at`. None if it is not running, or nothing ended.

    Vehicles that are away make the rate small, and so the end late.
    """
    if campaign.state != CampaignState.RUNNING or campaign.started_at is None:
        return None
    ended = sum(wave.sent - wave.open for wave in campaign.wave_rows.all())
    if not ended:
        return None
    so_far = _length(open_hours(campaign.windows, campaign.started_at, now))
    left = so_far * (campaign.vehicle_count - ended) / ended
    for opens, closes in open_hours(campaign.windows, now, campaign.expires_at):
        if opens + left <= closes:
            return opens + left
        left -= closes - opens
    return campaign.expires_at


def _length(hours: list[tuple[datetime, datetime]]) -> timedelta:
    return sum((closes - opens for opens, closes in hours), timedelta())
