"""Errors of the REST API that Django REST framework does not know."""

import logging
from time import monotonic
from typing import Self

from rest_framework import status
from rest_framework.exceptions import APIException

from commands.database.errors import BUSY, FULL, READ_ONLY, SLOW, Meaning, meaning_of
from commands.lifecycle import LockHeld
from vehicles import strict_json

logger = logging.getLogger(__name__)

READING = ("GET", "HEAD", "OPTIONS")


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body is larger than {strict_json.MAX_BYTES} bytes."
    default_code = "too_large"


class TooManyPending(APIException):
    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "too_many_pending"
    wait = 60  # seconds: becomes `Retry-After`


class VehicleLocked(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "lock_held"

    def __init__(self, lock: LockHeld) -> None:
        self.holder = lock.holder
        super().__init__(str(lock))


class VehicleRetired(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "vehicle_retired"

    def __init__(self, vin: str) -> None:
        super().__init__(
            f"{vin} is retired, so it is sent no new commands. Choose another vehicle, or ask "
            "a user with the permission vehicles.change_vehicle to restore it."
        )


class UnsafeCommandRuns(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "unsafe_command_runs"


class TooManyExports(APIException):
    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "throttled"
    wait = 10  # seconds: becomes `Retry-After`


class Unavailable(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The database does not answer. Ask again in a few seconds."
    default_code = "unavailable"
    wait = 5  # seconds: becomes `Retry-After`

    @classmethod
    def because(cls, error: Exception, method: str | None) -> Self:
        meaning = meaning_of(error)
        logger.warning("%s (%s)", meaning.reason, str(error).strip())
        refused_writes.note(meaning)
        code = "busy" if meaning.reason in (BUSY, SLOW) else "unavailable"
        return cls(f"{meaning.reason}{_advice(meaning, method)}", code)


def _advice(meaning: Meaning, method: str | None) -> str:
    if method in READING and meaning.reason == SLOW:
        return ". Ask for less: add a filter, or a shorter time. Or ask again in a few seconds."
    if method in READING:
        return ". Ask again in a few seconds."
    if meaning.is_undone:
        return ", so nothing was done. Send it again in a few seconds."
    return ", so this may have been done or not. Look whether it was done before you send it again."


class RefusedWrites:
    """Last write of this process that a full or read-only database refused.

    /readyz needs it, since only a write finds a full disk.
    """

    REMEMBERED_SECONDS = 5.0

    def __init__(self) -> None:
        self._reason, self._until = "", 0.0

    def note(self, meaning: Meaning) -> None:
        if meaning.reason in (FULL, READ_ONLY):
            self._reason, self._until = meaning.reason, monotonic() + self.REMEMBERED_SECONDS

    def reason(self) -> str:
        """Return the reason of a recent refusal, or an empty text."""
        return self._reason if monotonic() < self._until else ""


refused_writes = RefusedWrites()


class Ended(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "already_ended"

    def __init__(self, what: str) -> None:
        super().__init__(f"The {what}; it can no longer be cancelled.")
