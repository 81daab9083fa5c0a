"""Taking, prolonging and releasing the lock of a vehicle.

One user holds it, until it expires by the clock of the database. It binds commands that are not
safe to repeat: see `commands/lifecycle/locking.py`.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from commands import audit, lifecycle
from commands.catalogue import SAFE_TO_REPEAT
from commands.lifecycle import LockHeld
from commands.models import Action, Command, VehicleLock, running_on
from vehicles.models import Vehicle

MIN_SECONDS, MAX_SECONDS = 1, 3_600
TAKE_OVER = "commands.take_over_lock"


class UnsafeCommandRuns(Exception):
    """Error for a lock that would be taken while the vehicle carries out another's command."""

    def __init__(self, command: Command) -> None:
        super().__init__(
            f"The vehicle is carrying out {command.command_name} of "
            f"{command.submitted_by.get_username()}, which is not safe to repeat. Take the lock "
            "when it has ended."
        )


def find(vehicle: Vehicle) -> VehicleLock | None:
    return lifecycle.locks_of([vehicle.pk]).get(vehicle.pk)


@transaction.atomic
def take(
    user: User, vehicle: Vehicle, seconds: int, request: Any, *, take_over: bool = False
) -> VehicleLock:
    """Take the lock, or prolong one's own. Raise LockHeld or UnsafeCommandRuns."""
    lifecycle.hold_vehicle(vehicle.pk)
    lock = find(vehicle)
    former = lock.holder.get_username() if lock else ""
    if lock and lock.holder_id != user.pk and not take_over:
        raise LockHeld(lock)
    if lock is None or lock.holder_id != user.pk:
        _check_idle(user, vehicle)
        lock = VehicleLock(vehicle=vehicle, lock_id=uuid4(), holder=user)
    lock.expires_at = Now() + timedelta(seconds=seconds)
    lock.save()
    lock.refresh_from_db()
    about = {"vin": vehicle.vin, "seconds": seconds}
    taken_from = {"taken_from": former} if former not in ("", user.get_username()) else {}
    action = Action.TAKE_OVER_LOCK if taken_from else Action.TAKE_LOCK
    audit.record_of(user, request, action, vehicle.pk, **about, **taken_from)
    _changed(vehicle)
    return lock


@transaction.atomic
def release(user: User, vehicle: Vehicle, request: Any) -> bool:
    """Release one's own lock; return False if there is none. Raise LockHeld."""
    lifecycle.hold_vehicle(vehicle.pk)
    lock = find(vehicle)
    if lock is None:
        return False
    if lock.holder_id != user.pk:
        raise LockHeld(lock)
    lock.delete()
    audit.record_of(user, request, Action.RELEASE_LOCK, vehicle.pk, vin=vehicle.vin)
    _changed(vehicle)
    return True


def _check_idle(user: User, vehicle: Vehicle) -> None:
    """Raise UnsafeCommandRuns if the vehicle carries out such a command of somebody else."""
    others = running_on(vehicle).exclude(submitted_by=user).exclude(command_name__in=SAFE_TO_REPEAT)
    if command := others.select_related("submitted_by").first():
        raise UnsafeCommandRuns(command)


def _changed(vehicle: Vehicle) -> None:
    """End the commands of the former lock, and let those that waited for its end be claimed."""
    lifecycle.end_without_lock()
    lifecycle.reconsider([vehicle.pk])
