"""Steps that people take with a campaign. Each is allowed in some states only."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from commands.campaigns.windows import next_window
from commands.deliveries import outbox
from commands.models import Campaign, CampaignState, CampaignStop


class NotNow(Exception):
    """Error for a step that the state of the campaign does not allow."""

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(f"campaign is {campaign.get_state_display().lower()}")


class OwnCampaign(Exception):
    """Error for an approval by the person who wrote the campaign."""


def submit(campaign: Campaign) -> None:
    """Start the campaign, or ask for approval. Raise NotNow."""
    with transaction.atomic():
        draft = _locked(campaign, [CampaignState.DRAFT])
        if draft.needs_approval:
            _save(draft, state=CampaignState.WAITING)
        else:
            _start(draft)


def approve(campaign: Campaign, user: User) -> None:
    """Start a campaign of another person. Raise NotNow or OwnCampaign."""
    with transaction.atomic():
        waiting = _locked(campaign, [CampaignState.WAITING])
        if waiting.submitted_by_id == user.pk:
            raise OwnCampaign
        _start(waiting, approved_by=user)


def pause(campaign: Campaign) -> None:
    """Send nothing more for a time. Raise NotNow."""
    with transaction.atomic():
        _save(_locked(campaign, [CampaignState.RUNNING]), state=CampaignState.PAUSED)


def resume(campaign: Campaign) -> None:
    with transaction.atomic():
        _save(_locked(campaign, [CampaignState.PAUSED]), state=CampaignState.RUNNING, due_at=Now())


def cancel(campaign: Campaign) -> None:
    """End the campaign. A worker then cancels its open commands. Raise NotNow."""
    with transaction.atomic():
        end(_locked(campaign, set(CampaignState) - {CampaignState.ENDED}), CampaignStop.CANCELLED)


def end(locked: Campaign, reason: str) -> None:
    _save(locked, state=CampaignState.ENDED, stop_reason=reason, ended_at=Now(), due_at=Now())
    if locked.started_at is None:
        settle(locked)


def settle(locked: Campaign) -> None:
    """Note that the campaign has ended, and each outcome is counted."""
    _save(locked, is_settled=True)
    outbox.note_ended_campaign(locked)


def _start(draft: Campaign, **changes: Any) -> None:
    window = next_window(draft.windows, timezone.now())
    opens, closes = window or (None, None)
    changes |= {"opens_at": opens, "closes_at": closes}
    _save(draft, state=CampaignState.RUNNING, started_at=Now(), due_at=Now(), **changes)


def _locked(campaign: Campaign, states: Collection[str]) -> Campaign:
    found: Campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    if found.state not in states:
        raise NotNow(found)
    return found


def _save(locked: Campaign, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(locked, name, value)
    Campaign.objects.filter(pk=locked.pk).update(**changes)
