"""The states in which a command can be, and the codes of the errors in which it can end."""

from django.db import models


class Priority(models.TextChoices):
    """Precedence of commands in the claim, over all vehicles."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


class Status(models.TextChoices):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OPEN = frozenset({Status.PENDING, Status.IN_PROGRESS})
TERMINAL = frozenset(Status) - OPEN
UNSUCCESSFUL = sorted(TERMINAL - {Status.COMPLETED})


class ErrorCode(models.TextChoices):
    VEHICLE_UNREACHABLE = "vehicle_unreachable"
    VEHICLE_REFUSED = "vehicle_refused"
    MALFORMED_ANSWER = "malformed_answer"
    WORKER_LOST = "worker_lost"
    VEHICLE_TIMEOUT = "vehicle_timeout"
    EXPIRED = "expired"
    WRONG_VEHICLE = "wrong_vehicle"
    OUTCOME_UNKNOWN = "outcome_unknown"
    LOCK_LOST = "lock_lost"
