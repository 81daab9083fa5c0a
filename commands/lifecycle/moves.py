"""Moves by the worker that holds the claim, by users, and by the clock."""

from collections import defaultdict
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from commands import events
from commands.lifecycle import locking, writing
from commands.lifecycle.worker_moves import ClaimedMove, Step
from commands.lifecycle.writing import AlreadyEnded, LostClaim
from commands.models import Command, CommandQuerySet, ErrorCode, Status
from vehicles.models import ConnectionStatus
from vehicles.route import route_digest

EXPIRED_AT_ONCE = 1_000  # commands in one transaction


def mark_sent(command: Command, before: list[str] | None = None) -> None:
    """Record that a request that is not safe to repeat is about to be sent.

    `before`: the trouble codes that are stored in the vehicle now. Writing it twice does no harm:
    a caller that got no answer to the COMMIT may try again. Raise LockHeld or LockLost, and then
    nothing may be sent.
    """
    with transaction.atomic():
        locking.hold_vehicle(command.vehicle_id)
        unsent = writing.claimed_row(command).filter(sent_at=None)
        if unsent.exists():
            locking.check_lock(command)
        changes = {"codes_before": before, "sent_route": route_digest(command.vehicle)}
        if unsent.update(sent_at=Now(), **changes):
            writing.keep_new_exchanges(command)
        elif not writing.claimed_row(command).exists():
            raise LostClaim(command)
    command.sent_at, command.codes_before = timezone.now(), before
    command.exchanges_to_keep.clear()


@ClaimedMove
def respond(command: Command, response: dict[str, Any]) -> Step:
    """Store a response that is not the last one."""
    return Step(command, [events.response(response, is_final=False)])


@ClaimedMove
def complete(command: Command, response: dict[str, Any]) -> Step:
    """Store the last response of the vehicle, and end the command."""
    last = events.response(response, is_final=True)
    return Step(command, [last, events.status(Status.COMPLETED)], Status.COMPLETED)


@ClaimedMove
def fail(command: Command, code: str, message: str) -> Step:
    return Step(command, [events.error(Status.FAILED, code, message)], Status.FAILED, code, message)


@ClaimedMove
def time_out(command: Command, message: str) -> Step:
    code = ErrorCode.VEHICLE_TIMEOUT
    entries = [events.error(Status.TIMED_OUT, code, message)]
    return Step(command, entries, Status.TIMED_OUT, code, message)


@ClaimedMove
def cancel_running(command: Command) -> Step:
    return Step(command, [events.status(Status.CANCELLED)], Status.CANCELLED)


def cancel(command: Command) -> bool:
    """Cancel a pending command (True), or ask a running one to stop (False).

    Raise AlreadyEnded. `command` need not be fresh: the row decides.
    """
    while not command.has_ended:
        if withdraw(command):
            return True
        if command.status == Status.IN_PROGRESS and _ask_to_stop(command):
            return False
        command.refresh_from_db()
    raise AlreadyEnded(command)


def withdraw(command: Command) -> bool:
    """Cancel a command if it is still pending, as far as the copy in hand knows."""
    if command.status != Status.PENDING:
        return False
    with suppress(LostClaim):
        writing.move(command, Status.CANCELLED, [events.status(Status.CANCELLED)])
        return True
    return False


def _ask_to_stop(command: Command) -> bool:
    running = Command.objects.filter(pk=command.pk, status=Status.IN_PROGRESS)
    with transaction.atomic():
        writing.wake_workers("command.cancel")
        return bool(running.update(cancel_requested_at=Now()))


def cancel_many(commands: CommandQuerySet) -> tuple[int, int]:
    """Cancel all of these. Return how many were cancelled, and how many were asked to stop."""
    with transaction.atomic():
        # All rows are locked before the first write, in the order of `renew`: no deadlock, and a
        # command that a worker claims meanwhile is either cancelled here or seen as running.
        locked = list(commands.still_open())
        pending = [command for command in locked if command.status == Status.PENDING]
        running = [command.pk for command in locked if command.status == Status.IN_PROGRESS]
        if pending:
            writing.move_pending(pending, events.status(Status.CANCELLED), completed_at=Now())
        if running:
            Command.objects.filter(pk__in=running).update(cancel_requested_at=Now())
            writing.wake_workers("command.cancel")
    return len(pending), len(running)


def expire_overdue(limit: int = EXPIRED_AT_ONCE) -> int:
    """End commands that no worker could send before they expired. Return their number."""
    if not Command.objects.overdue()[:1]:  # in order, as `exists()` is not: it may read all rows
        return 0
    with transaction.atomic():
        overdue = Command.objects.overdue().select_related("vehicle")
        rows = list(overdue.select_for_update(skip_locked=True, of=("self",))[:limit])
        by_message: defaultdict[str, list[Command]] = defaultdict(list)
        for command in rows:
            by_message[_why_expired(command)].append(command)
        for message, commands in by_message.items():
            writing.move_pending(
                commands,
                events.error(Status.EXPIRED, ErrorCode.EXPIRED, message),
                completed_at=Now(),
                error_code=ErrorCode.EXPIRED,
                error_message=message,
            )
    return len(rows)


def _why_expired(command: Command) -> str:
    was_started = command.last_sequence_number > 1
    what = "was started but not carried out to its end" if was_started else "was not sent"
    status = command.vehicle.effective_connection_status
    if status == ConnectionStatus.CONNECTED:
        why = (
            "no worker was free, earlier commands of the vehicle took too long, "
            "or another user held its lock"
        )
        hint = "Submit it again."
    else:
        why = f"the vehicle was not connected (now: {status})"
        hint = "Submit it again when the vehicle is connected."
    return f"The command expired before a worker could send it: {why}. It {what}. {hint}"
