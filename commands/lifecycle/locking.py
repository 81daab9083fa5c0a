"""Locks of vehicles, as far as they decide which command is accepted, claimed and sent.

While a user holds the lock of a vehicle, no command of another user that is not safe to repeat is
accepted for it, and none that waits is in line (`CommandQuerySet.eligible`). The last check is in
`mark_sent`, immediately before the request: it and the taking of a lock hold the same row, that of
the vehicle, so that each sees what the other has done.

A command that its user submitted under a lock is not sent when that lock is gone.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from commands import events
from commands.catalogue import is_safe_to_repeat
from commands.lifecycle import readiness, writing
from commands.lifecycle.writing import LostClaim
from commands.models import Command, ErrorCode, Status, VehicleLock
from vehicles.models import Vehicle

ENDED_AT_ONCE = 1_000  # commands in one transaction
LOST = (
    "The command was submitted under a lock of the vehicle that is gone: it expired, was released "
    "or taken over. Nothing was sent. Take the lock, and submit the command again."
)


class LockHeld(LostClaim):
    """Error for a command that is not safe to repeat while another user holds the lock."""

    def __init__(self, lock: VehicleLock) -> None:
        self.holder = lock.holder.get_username()
        super().__init__(
            f"{self.holder} holds the lock of this vehicle until {events.iso(lock.expires_at)}. "
            "Until then only commands that are safe to repeat may be sent."
        )


class LockLost(LostClaim):
    """Error for a command whose lock is gone before it was sent."""


def locks_of(vehicle_ids: Iterable[UUID]) -> dict[UUID, VehicleLock]:
    """Return the live locks by vehicle, with their holders."""
    live = VehicleLock.objects.live().select_related("holder")
    return {lock.vehicle_id: lock for lock in live.filter(vehicle__in=vehicle_ids)}


def hold_vehicle(vehicle_id: UUID) -> None:
    """Let nobody take the lock, or send under one, until the transaction ends."""
    list(Vehicle.objects.select_for_update(no_key=True).filter(pk=vehicle_id).values_list("pk"))


def note_locks(commands: Collection[Command]) -> None:
    """Note under which lock each of these commands of one user is submitted. Raise LockHeld."""
    unsafe = [command for command in commands if not is_safe_to_repeat(command.command_name)]
    locks = locks_of([command.vehicle_id for command in unsafe]) if unsafe else {}
    for command in unsafe:
        if lock := locks.get(command.vehicle_id):
            if lock.holder_id != command.submitted_by_id:
                raise LockHeld(lock)
            command.lock_id = lock.lock_id


def check_lock(command: Command) -> None:
    """Raise LockHeld or LockLost if the command may not be sent now. Its vehicle is held."""
    if is_safe_to_repeat(command.command_name):
        return
    lock = locks_of([command.vehicle_id]).get(command.vehicle_id)
    if lock and lock.holder_id != command.submitted_by_id:
        raise LockHeld(lock)
    if command.lock_id and (lock is None or lock.lock_id != command.lock_id):
        raise LockLost(command)


def end_without_lock() -> int:
    """End pending commands whose lock is gone. Return their number."""
    gone = Command.objects.without_lock()
    if not gone.exists():
        return 0
    with transaction.atomic():
        rows = list(gone.select_for_update(skip_locked=True, of=("self",))[:ENDED_AT_ONCE])
        if rows:
            writing.move_pending(
                rows,
                events.error(Status.FAILED, ErrorCode.LOCK_LOST, LOST),
                completed_at=Now(),
                error_code=ErrorCode.LOCK_LOST,
                error_message=LOST,
            )
    return len(rows)


def lose_lock(command: Command) -> None:
    """End a claimed command whose lock is gone, before anything was sent."""
    writing.end_with_error(command, Status.FAILED, ErrorCode.LOCK_LOST, LOST)


def reconsider(vehicle_ids: Collection[UUID]) -> None:
    """Let the workers look again at what waits for these vehicles: their locks have changed."""
    readiness.mark_ready_after_commit(vehicle_ids)
    writing.wake_workers("command.pending")
