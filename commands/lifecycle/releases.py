"""Releases: a claim is given up by a worker that shuts down, or taken from one that was lost."""

from contextlib import suppress
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from commands import events
from commands.catalogue import is_safe_to_repeat
from commands.lifecycle import writing
from commands.lifecycle.locking import end_without_lock
from commands.lifecycle.moves import EXPIRED_AT_ONCE, expire_overdue
from commands.lifecycle.writing import LostClaim
from commands.metrics import counters
from commands.models import MAX_LOST_WORKERS, TO_READ_BACK, Command, ErrorCode, Status
from vehicles.connectors import READ_BACK


def release(command: Command) -> None:
    """Give up a claim, because the worker shuts down.

    A command that was sent and is not safe to repeat is left to a worker that can read back, or
    ends here. Any other command is pending again.
    """
    if _may_be_repeated(command):
        _give_back(command)
    elif command.vehicle.connector in READ_BACK:
        _leave_to_read_back(command)
    else:
        _end_as_lost(command, "shut down")


def _leave_to_read_back(command: Command) -> None:
    """Leave the row in progress, with a lease that has run out and no claim: no worker is lost."""
    held = writing.claimed_row(command).filter(lease_expires_at__gt=Now())
    with transaction.atomic():
        if not held.update(lease_expires_at=Now(), claim_token=None):
            raise LostClaim(command)
        writing.keep_new_exchanges(command)
        writing.wake_workers("command.pending")
    command.claim_token = None
    command.exchanges_to_keep.clear()


def release_lapsed(command: Command) -> None:
    """Release a command of a lost worker, unless that worker renewed the lease in the last moment.

    A command that has cost MAX_LOST_WORKERS workers fails instead.
    """
    lapsed = Q(lease_expires_at__lte=Now())
    lost = command.lost_workers + 1
    if not _may_be_repeated(command):
        _end_as_lost(command, "was lost", lapsed)
    elif lost < MAX_LOST_WORKERS:
        _give_back(command, lapsed, lost_workers=lost)
    else:
        message = (
            f"{lost} workers were lost while they had it, so it is given to no other. "
            "Look into their logs before you send it again."
        )
        writing.end_with_error(
            command, Status.FAILED, ErrorCode.WORKER_LOST, message, lapsed, lost_workers=lost
        )
    counters.leases_taken_over.inc()


def _may_be_repeated(command: Command) -> bool:
    return command.sent_at is None or is_safe_to_repeat(command.command_name)


def _end_as_lost(command: Command, how: str, guard: Q = writing.ALWAYS) -> None:
    message = (
        f"The worker {how} after it had sent the command: it may or may not have been "
        "carried out, and was not repeated. Read the vehicle's state before sending it again."
    )
    writing.end_with_error(command, Status.FAILED, ErrorCode.WORKER_LOST, message, guard)


def _give_back(command: Command, guard: Q = writing.ALWAYS, **changes: Any) -> None:
    """Make the command pending again, or cancel it if a user asked for that.

    The row decides: the copy in hand may be older than the request to cancel.
    """
    is_wanted = Q(cancel_requested_at=None)
    with suppress(LostClaim):
        writing.move(
            command, Status.CANCELLED, [events.status(Status.CANCELLED)], guard & ~is_wanted
        )
        return
    pending = [events.status(Status.PENDING)]
    writing.move(command, Status.PENDING, pending, guard & is_wanted, started_at=None, **changes)
    writing.wake_workers("command.pending")


def sweep(limit: int = 100, batches: int = 5) -> None:
    """Release commands whose lease has lapsed, then end those that expired or lost their lock."""
    for command in Command.objects.lapsed().exclude(TO_READ_BACK).select_related("vehicle")[:limit]:
        writing.unless_moved(release_lapsed, command)
    while batches and expire_overdue() == EXPIRED_AT_ONCE:
        batches -= 1
    end_without_lock()
