"""Progress of campaigns, by the workers: see the package."""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from commands import lifecycle
from commands.campaigns import steps
from commands.campaigns.windows import next_window
from commands.catalogue import is_safe_to_repeat
from commands.models import (
    TERMINAL,
    Action,
    AuditEntry,
    Campaign,
    CampaignState,
    CampaignStop,
    CampaignVehicle,
    CampaignWave,
    Command,
    ErrorCode,
    Priority,
    Status,
)
from vehicles.models import ConnectionStatus

logger = logging.getLogger(__name__)

AT_ONCE = 500  # vehicles of one transaction
STEPS_AT_ONCE = 4  # of one campaign, before the others have theirs
PAUSE = timedelta(seconds=1)  # before the next look at a campaign that has nothing to do
FIRST_DELAY = timedelta(minutes=1)  # before the second try, then twice as long each time
LONGEST_DELAY = timedelta(hours=1)
FAILURES = {Status.FAILED, Status.TIMED_OUT}
NEVER_AGAIN = {ErrorCode.VEHICLE_REFUSED, ErrorCode.WRONG_VEHICLE}
WORKER = "manage.py runworker"  # the author of audit entries: no user's name has a blank


def advance() -> None:
    """Let each campaign that is due make a few steps."""
    for campaign_id in list(Campaign.objects.to_advance().values_list("pk", flat=True)):
        for _ in range(STEPS_AT_ONCE):
            if not step(campaign_id):
                break


def step(campaign_id: Any) -> bool:
    """Make one step in one transaction. Return whether there may be more to do at once."""
    with transaction.atomic():
        due = Campaign.objects.to_advance().filter(pk=campaign_id).annotate(now=Now())
        campaign: Any = due.select_for_update(skip_locked=True, no_key=True).first()
        if campaign is None:
            return False
        has_more = _count_ended(campaign) or _go_on(campaign)
        if not has_more:
            _save(campaign, due_at=campaign.now + PAUSE)
        return has_more


def _go_on(campaign: Any) -> bool:
    if campaign.state == CampaignState.ENDED:
        return _wind_up(campaign)
    if reason := _why_to_stop(campaign):
        _end(campaign, reason)
        return True
    if campaign.state == CampaignState.PAUSED or not _is_open(campaign):
        return False
    return _send(campaign) or _begin_next_wave(campaign)


def _why_to_stop(campaign: Any) -> str:
    if campaign.expires_at <= campaign.now:
        return CampaignStop.EXPIRED
    limit = campaign.go_on_below_failed_percent
    if limit is None:
        return ""
    failing = (wave for wave in campaign.wave_rows.all() if wave.failed_percent > limit)
    return CampaignStop.FAILURES if any(failing) else ""


def _is_open(campaign: Any) -> bool:
    if campaign.closes_at and campaign.closes_at <= campaign.now:
        window = next_window(campaign.windows, campaign.now)
        opens, closes = window or (None, campaign.closes_at)
        _save(campaign, opens_at=opens, closes_at=closes)
    return not campaign.windows or campaign.opens_at <= campaign.now < campaign.closes_at


# --- Sending


def _send(campaign: Any) -> bool:
    """Submit the next commands of the wave that has begun last. Return False if all are."""
    wave = campaign.wave_rows.filter(number=campaign.wave).first()
    if wave is None or wave.sent == wave.vehicle_count:
        return False
    begin = wave.first_place + wave.sent
    end = min(begin + AT_ONCE, wave.first_place + wave.vehicle_count)
    rows = list(campaign.vehicle_rows.filter(place__gte=begin, place__lt=end))
    _submit(campaign, rows, campaign.now)
    campaign.wave_rows.filter(pk=wave.pk).update(sent=F("sent") + len(rows))
    return True


def _submit(campaign: Any, rows: Sequence[CampaignVehicle], start: datetime) -> None:
    """Submit a command for each of these vehicles, and note it as the vehicle's last try."""
    not_before = start if start > campaign.now else None
    commands = [_command(campaign, row, not_before) for row in rows]
    lifecycle.submit_many(commands, expires=campaign.expires_at - start)
    for row, command in zip(rows, commands, strict=True):
        row.command, row.tries = command, row.tries + 1
    CampaignVehicle.objects.bulk_update(rows, ["command", "tries"])


def _command(campaign: Campaign, row: CampaignVehicle, not_before: datetime | None) -> Command:
    return Command(
        vehicle_id=row.vehicle_id,
        command_name=campaign.command_name,
        command_params=campaign.command_params,
        submitted_by_id=campaign.submitted_by_id,
        campaign=campaign,
        priority=Priority.BACKGROUND,
        not_before=not_before,
    )


def _begin_next_wave(campaign: Any) -> bool:
    if campaign.wave == len(campaign.waves):
        return _end_if_all_have(campaign)
    if campaign.wave and _is_held_up(campaign):
        return False
    _save(campaign, wave=campaign.wave + 1)
    campaign.wave_rows.filter(number=campaign.wave).update(started_at=Now())
    _record(campaign, Action.BEGIN_WAVE, wave=campaign.wave)
    return True


def _is_held_up(campaign: Any) -> bool:
    """Return whether a command of an earlier wave may end soon: its vehicle is not away.

    A vehicle counts as away when a probe says so, and not because nobody has probed it lately.
    """
    still_open = _uncounted(campaign).exclude(status__in=TERMINAL)
    is_there = Q(vehicle__connection_status=ConnectionStatus.CONNECTED)
    return bool(still_open.filter(Q(status=Status.IN_PROGRESS) | is_there).exists())


def _end_if_all_have(campaign: Any) -> bool:
    if _uncounted(campaign).exists():
        return False
    _end(campaign, "")
    return True


def _uncounted(campaign: Campaign) -> Any:
    return Command.objects.filter(campaign=campaign, is_counted=False).order_by()


# --- Counting what has ended


def _count_ended(campaign: Any) -> bool:
    """Count commands that have ended, or submit further tries. Return False if there were none."""
    ended = {each.pk: each for each in _uncounted(campaign).filter(status__in=TERMINAL)[:AT_ONCE]}
    if not ended:
        return False
    rows = list(campaign.vehicle_rows.filter(command__in=ended).order_by("tries"))
    again = [row for row in rows if _gets_another_try(campaign, row, ended[row.command_id])]
    _settle(campaign, [row for row in rows if row not in again], ended)
    for tries, some in groupby(again, key=attrgetter("tries")):
        _submit(campaign, list(some), campaign.now + delay_after(tries))
    Command.objects.filter(pk__in=ended).update(is_counted=True)
    return True


def _gets_another_try(campaign: Any, row: CampaignVehicle, ended: Command) -> bool:
    return (
        campaign.state != CampaignState.ENDED
        and ended.status in FAILURES
        and ended.error_code not in NEVER_AGAIN
        and is_safe_to_repeat(campaign.command_name)
        and row.tries <= campaign.retries
        and bool(campaign.now + delay_after(row.tries) < campaign.expires_at)
    )


def delay_after(tries: int) -> timedelta:
    """Return how long a vehicle waits after so many tries."""
    return min(FIRST_DELAY * (1 << (tries - 1)), LONGEST_DELAY)


def _settle(campaign: Any, rows: Sequence[CampaignVehicle], ended: dict[Any, Command]) -> None:
    waves = list(campaign.wave_rows.order_by("-first_place"))
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        command = ended[row.command_id]
        row.outcome, row.error_code = command.status, command.error_code
        counts[_wave_of(row, waves).pk][command.status] += 1
    CampaignVehicle.objects.bulk_update(rows, ["outcome", "error_code"])
    for wave, more in counts.items():
        CampaignWave.objects.filter(pk=wave).update(**{s: F(s) + n for s, n in more.items()})


def _wave_of(row: CampaignVehicle, waves: Collection[CampaignWave]) -> CampaignWave:
    return next(wave for wave in waves if wave.first_place <= row.place and wave.vehicle_count)


# --- Ending


def _end(campaign: Any, reason: str) -> None:
    steps.end(campaign, reason)
    _record(campaign, Action.END_CAMPAIGN, reason=reason or "all vehicles have ended")
    logger.info("Campaign %s has ended (%s)", campaign.pk, reason or "complete")


def _wind_up(campaign: Any) -> bool:
    """Cancel what is open of a campaign that has ended, until each outcome is counted."""
    still_open = _uncounted(campaign).exclude(status__in=TERMINAL)
    some = still_open.filter(cancel_requested_at=None)[:AT_ONCE].values_list("pk", flat=True)
    if found := list(some):
        lifecycle.cancel_many(Command.objects.filter(pk__in=found))
        return True
    if not _uncounted(campaign).exists():  # one that has just ended is counted first
        steps.settle(campaign)
    return False


def _record(campaign: Campaign, action: Action, **details: Any) -> None:
    subject = str(campaign.pk)
    AuditEntry.objects.create(username=WORKER, action=action, subject=subject, details=details)


def _save(campaign: Campaign, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(campaign, name, value)
    Campaign.objects.filter(pk=campaign.pk).update(**changes)
