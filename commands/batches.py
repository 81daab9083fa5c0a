"""Batches: one command for many vehicles, as a group of ordinary commands.

Each of them lives its own life in `commands/lifecycle.py`, and is claimed, streamed and swept like
any other. What a batch adds is that they are submitted together, that those which have not ended
are taken back together, and that this happens by itself when too many have failed.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Max,
    OuterRef,
    Q,
    Subquery,
    Sum,
    TextField,
    When,
    Window,
)
from django.db.models.functions import Cast, Coalesce, JSONObject, Length, Now

from commands import lifecycle
from commands.models import (
    OPEN,
    Batch,
    BatchQuerySet,
    Command,
    Event,
    IdempotencyKey,
    Kind,
    Status,
    StopReason,
)
from vehicles.models import Vehicle

logger = logging.getLogger(__name__)

MOST_VEHICLES = 1_000
MOST_ANSWERS = 20  # of each command on a page of results
MOST_TEXT = 16 * 1024  # characters of them together: a page is to stay one, whatever vehicles say

FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT})


# --- Submitting


def submit(batch: Batch, vehicles: Sequence[Vehicle], key: IdempotencyKey | None = None) -> None:
    """A new one with all of its commands, or nothing. Raises IntegrityError if another submission
    has this key."""
    batch.vehicle_count = len(vehicles)
    with transaction.atomic(savepoint=False):
        batch.save(force_insert=True)
        lifecycle.submit_many([_command(batch, vehicle) for vehicle in vehicles], key)


def _command(batch: Batch, vehicle: Vehicle) -> Command:
    return Command(
        vehicle=vehicle,
        command_name=batch.command_name,
        command_params=batch.command_params,
        submitted_by=batch.submitted_by,
        batch=batch,
    )


def as_submitted(batch: Any) -> Any:
    """What happened to it since is left out, so that a repeat reads what the first one read."""
    batch.stopped_at, batch.stop_reason, batch.ended_at = None, "", None
    batch.counts = dict.fromkeys(Status, 0) | {Status.PENDING: batch.vehicle_count}
    return batch


# --- How it stands


def with_counts(batches: BatchQuerySet) -> Any:
    """Each with `counts`, how many of its commands have which status, and with `ended_at`, when
    the last of them ended, once none is open. All of it is read from one index."""
    counts = {status: Count("status", filter=Q(status=status)) for status in Status}
    commands = Command.objects.filter(batch=OuterRef("pk")).order_by().values("batch")
    rows = commands.annotate(counts=JSONObject(**counts)).values("counts")
    last = commands.annotate(at=Max("completed_at")).values("at")
    is_open = Exists(commands.filter(status__in=OPEN))
    return batches.annotate(
        counts=Subquery(rows), ended_at=Case(When(~is_open, then=Subquery(last)))
    )


def has_ended(counts: dict[str, int]) -> bool:
    return not any(counts[status] for status in OPEN)


def results(batch: Batch, vehicles: Sequence[Vehicle]) -> list[Any]:
    """The commands of these vehicles, each with its `answers` and how many were left off."""
    claims = Event.objects.filter(
        command=OuterRef("pk"), kind=Kind.STATUS, payload__status=Status.IN_PROGRESS
    ).order_by("-sequence_number")
    commands: Any = (
        Command.objects.filter(batch=batch, vehicle__in=vehicles)
        .annotate(claimed=Coalesce(Subquery(claims.values("sequence_number")[:1]), 0))
        .select_related("vehicle", "submitted_by")
        .order_by("vehicle__vin")
    )
    found = {command.pk: command for command in commands}
    for command in found.values():
        command.answers, command.answers_left_off = [], 0
    for command_id, *event in _latest_events(list(found)):
        _add_answer(found[command_id], *event)
    return list(found.values())


def _latest_events(commands: list[uuid.UUID]) -> Any:
    """With the payloads that fit, the last ones first. At most two events follow the last answer:
    given back, and then expired or cancelled."""
    since = F("command__last_sequence_number") - MOST_ANSWERS - 2
    size = Case(
        When(kind=Kind.RESPONSE, length__lte=MOST_TEXT, then="length"), default=0
    )  # of those that may be shown
    until_then = Window(Sum(size), partition_by="command", order_by="-sequence_number")
    fits = Q(length__lte=MOST_TEXT, together__lte=MOST_TEXT)
    return (
        Event.objects.filter(command__in=commands, sequence_number__gt=since)
        .alias(length=Length(Cast("payload", TextField())))
        .alias(together=until_then)
        .annotate(short=Case(When(Q(kind=Kind.STATUS) | fits, then="payload")))
        .order_by("command", "sequence_number")
        .values_list("command", "sequence_number", "kind", "short")
    )


def _add_answer(command: Any, number: int, kind: str, payload: dict[str, Any] | None) -> None:
    """Those that count follow the last claim without a gap."""
    if kind == Kind.STATUS and payload == {"status": Status.IN_PROGRESS}:
        command.claimed, command.answers, command.answers_left_off = number, [], 0
    elif kind == Kind.RESPONSE:
        shown = [payload["response"]] if payload else []
        command.answers = [*command.answers, *shown][-MOST_ANSWERS:]
        command.answers_left_off = number - command.claimed - len(command.answers)


# --- Stopping


def cancel(batch: Batch) -> None:
    """Cancel what is pending and ask what is running to stop. Raises AlreadyEnded."""
    with transaction.atomic():
        _mark_stopped(batch.pk, StopReason.CANCELLED)
        if not any(lifecycle.cancel_many(batch.commands.all())):
            raise lifecycle.AlreadyEnded(batch)


def stop_if_failing(batch_id: uuid.UUID) -> None:
    """If more of it failed than it allows. Of two who find that at once, one stops it."""
    if _failing().filter(pk=batch_id).exists():
        _stop(batch_id)


def sweep() -> None:
    """Stop what a worker should have stopped that was lost just then."""
    lately = _failing().filter(submitted_at__gt=Now() - _longest_life())
    for batch_id in lately.values_list("pk", flat=True):
        _stop(batch_id)


def _failing() -> Any:
    failed = Command.objects.filter(batch=OuterRef("pk"), status__in=FAILURES)
    count = failed.order_by().values("batch").annotate(count=Count("*")).values("count")
    return (
        Batch.objects.filter(stopped_at=None, stop_above_failed_percent__isnull=False)
        .alias(failures=Subquery(count))
        .filter(failures__gt=F("stop_above_failed_percent") * F("vehicle_count") / 100)
    )


def _longest_life() -> timedelta:
    """Nothing is claimed after it expired, and nothing runs length than a lost worker's last."""
    last_run = settings.COMMAND_TIMEOUT_SECONDS + 2 * settings.COMMAND_LEASE_SECONDS
    return timedelta(seconds=settings.COMMAND_EXPIRES_SECONDS + last_run)


def _stop(batch_id: uuid.UUID) -> None:
    with transaction.atomic():
        if _mark_stopped(batch_id, StopReason.FAILURES):
            lifecycle.cancel_many(Command.objects.filter(batch=batch_id))
            logger.warning("Batch %s was stopped: too many of its commands failed", batch_id)


def _mark_stopped(batch_id: uuid.UUID, reason: StopReason) -> bool:
    running = Batch.objects.filter(pk=batch_id, stopped_at=None)
    return bool(running.update(stopped_at=Now(), stop_reason=reason))
