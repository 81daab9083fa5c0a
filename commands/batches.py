"""Batches: one command for many vehicles, as a group of ordinary commands.

Each command moves on its own, by `commands/lifecycle/`, and is claimed, streamed and swept like
any other. A batch adds three things: its commands are submitted together, the ones that have not
ended are cancelled together, and this happens automatically when too many have failed.
"""

import hashlib
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
from django.db.models.functions import Cast, JSONObject, Length, Now, RowNumber

from commands import lifecycle
from commands.lifecycle import insertion
from commands.models import (
    OPEN,
    Batch,
    BatchQuerySet,
    Command,
    Event,
    Status,
    StopReason,
)
from vehicles.models import Vehicle

logger = logging.getLogger(__name__)

MAX_VEHICLES = 1_000
MAX_ANSWERS = 20  # of each command on a page of results
MAX_LATER_EVENTS = 2  # after the last response: released, and then expired or cancelled
MAX_TEXT = 16 * 1024  # characters of the responses of one command: bounds the size of a page

FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT})


# --- Submitting


def digest_of(vehicles: Sequence[Vehicle]) -> str:
    """Return a text that the same vehicles have in any order, and no others."""
    ids = sorted(str(vehicle.pk) for vehicle in vehicles)
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()


def submit(batch: Batch, vehicles: Sequence[Vehicle], expires: timedelta | None = None) -> Command:
    """Store a new batch with all of its commands, or nothing. Return the first command."""
    expires = expires or timedelta(seconds=settings.COMMAND_EXPIRES_SECONDS)
    batch.vehicle_count = len(vehicles)
    commands = [_command(batch, vehicle) for vehicle in vehicles]
    with transaction.atomic(savepoint=False):
        batch.expires_at = insertion.start_of(batch.not_before) + expires
        batch.save(force_insert=True)
        batch.expires_at = insertion.known_start(batch) + expires
        lifecycle.submit_many(commands, expires=expires)
    return commands[0]


def _command(batch: Batch, vehicle: Vehicle) -> Command:
    return Command(
        vehicle=vehicle,
        command_name=batch.command_name,
        command_params=batch.command_params,
        submitted_by=batch.submitted_by,
        not_before=batch.not_before,
        priority=batch.priority,
        batch=batch,
    )


def as_submitted(batch: Any) -> Any:
    """Return a new batch with its counts: all commands are pending. Needs no query."""
    batch.ended_at = None
    batch.counts = dict.fromkeys(Status, 0) | {Status.PENDING: batch.vehicle_count}
    return batch


# --- Counts and results


def with_counts(batches: BatchQuerySet) -> Any:
    """Annotate `counts`, the number of commands by status, and `ended_at`.

    `ended_at` is the end of the last command, or None while one is open. One index has all of it.
    """
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
    """Return the commands of these vehicles, with `answers` and the number that was left off."""
    commands: Any = (
        Command.objects.filter(batch=batch, vehicle__in=vehicles)
        .select_related("vehicle", "submitted_by")
        .order_by("vehicle__vin")
    )
    found = {command.pk: command for command in commands}
    for command in found.values():
        command.answers, command.answers_left_off = [], 0
    for command_id, count, payload in _latest_responses(list(found)):
        command = found[command_id]
        command.answers += [payload["response"]] if payload else []
        command.answers_left_off = count - len(command.answers)
    return list(found.values())


def _latest_responses(commands: list[uuid.UUID]) -> Any:
    """Return the last responses of each command: its count so far, and the payload if it fits."""
    since = F("command__last_sequence_number") - MAX_ANSWERS - MAX_LATER_EVENTS
    size = Case(When(length__lte=MAX_TEXT, then="length"), default=0)
    together = Window(Sum(size), partition_by="command", order_by="-sequence_number")
    place = Window(RowNumber(), partition_by="command", order_by="-sequence_number")
    return (
        Event.objects.filter(command__in=commands, sequence_number__gt=since)
        .current_responses()
        .alias(length=Length(Cast("payload", TextField())), together=together, place=place)
        .annotate(
            count=F("sequence_number") - F("command__claim_sequence_number"),
            short=Case(
                When(
                    length__lte=MAX_TEXT,
                    together__lte=MAX_TEXT,
                    place__lte=MAX_ANSWERS,
                    then="payload",
                )
            ),
        )
        .order_by("command", "sequence_number")
        .values_list("command", "count", "short")
    )


# --- Stopping


def cancel(batch: Batch) -> None:
    """Cancel the pending commands and ask the running ones to stop. Raise AlreadyEnded."""
    with transaction.atomic():
        _mark_stopped(batch.pk, StopReason.CANCELLED)
        if not any(lifecycle.cancel_many(batch.commands.all())):
            raise lifecycle.AlreadyEnded(batch)


def stop_if_failing(batch_id: uuid.UUID) -> None:
    """Stop a batch with too many failures. If two workers find that at once, one stops it."""
    if _failing().filter(pk=batch_id).exists():
        _stop(batch_id)


def sweep() -> None:
    """Stop the failing batches that a worker did not stop, because it was lost just then."""
    lately = _failing().filter(_may_have_just_failed())
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


def _may_have_just_failed() -> Q:
    """Return the condition that a command of the batch may have been open until lately.

    It cannot be claimed after it expires, nor run longer than one lost worker's lease, one timeout
    and one reading back.
    """
    last_run = settings.COMMAND_TIMEOUT_SECONDS + settings.READ_BACK_SECONDS
    since = Now() - timedelta(seconds=last_run + 2 * settings.COMMAND_LEASE_SECONDS)
    of_old = since - timedelta(seconds=settings.COMMAND_EXPIRES_SECONDS)
    return Q(expires_at__gt=since) | Q(expires_at=None, submitted_at__gt=of_old)


def _stop(batch_id: uuid.UUID) -> None:
    with transaction.atomic():
        if _mark_stopped(batch_id, StopReason.FAILURES):
            lifecycle.cancel_many(Command.objects.filter(batch=batch_id))
            logger.warning("Batch %s was stopped: too many of its commands failed", batch_id)


def _mark_stopped(batch_id: uuid.UUID, reason: StopReason) -> bool:
    running = Batch.objects.filter(pk=batch_id, stopped_at=None)
    return bool(running.update(stopped_at=Now(), stop_reason=reason))
