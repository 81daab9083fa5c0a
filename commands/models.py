from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from commands import plain_json
from vehicles.models import Vehicle, is_connected

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


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


MOST_LOST_WORKERS = 3  # after so many, a command is taken for what kills them


class ErrorCode(models.TextChoices):
    VEHICLE_UNREACHABLE = "vehicle_unreachable"
    VEHICLE_REFUSED = "vehicle_refused"
    MALFORMED_ANSWER = "malformed_answer"
    WORKER_LOST = "worker_lost"
    VEHICLE_TIMEOUT = "vehicle_timeout"
    EXPIRED = "expired"


def sees_all_commands(user: User | AnonymousUser) -> bool:
    return user.has_perm("commands.view_command")  # which is False for who is not active


class StopReason(models.TextChoices):
    CANCELLED = "cancelled"
    FAILURES = "failures"


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, user: User | AnonymousUser) -> BatchQuerySet:
        """As for its commands."""
        return self if sees_all_commands(user) else self.filter(submitted_by_id=user.pk)


class Batch(models.Model):
    """One command for many vehicles: a group of ordinary commands. See `commands/batches.py`."""

    batch_id = models.UUIDField("batch ID", primary_key=True, default=uuid.uuid4)
    command_name = models.CharField(max_length=64)
    command_params = models.JSONField(default=dict, decoder=plain_json.Decoder)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="batches", db_index=False
    )
    submitted_at = models.DateTimeField(db_default=Now())
    vehicle_count = models.PositiveIntegerField()
    stop_above_failed_percent = models.PositiveSmallIntegerField(null=True)  # of all its vehicles
    stopped_at = models.DateTimeField(null=True)
    stop_reason = models.CharField(max_length=9, choices=StopReason, blank=True)

    objects: ClassVar[Any] = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-submitted_at", "-batch_id"]
        permissions = [
            ("send_unsafe_to_many", "Can send what must not run twice to many vehicles at once")
        ]
        indexes = [
            # Read by the lists of the API, the console and the admin.
            models.Index(name="batch_latest", fields=["-submitted_at"]),
            models.Index(name="batch_latest_of_user", fields=["submitted_by", "-submitted_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.command_name} for {self.vehicle_count} vehicles"


class CommandQuerySet(models.QuerySet["Command"]):
    def visible_to(self, user: User | AnonymousUser) -> CommandQuerySet:
        """Who sees what, the one rule: all with `view_command`, else what one submitted."""
        return self if sees_all_commands(user) else self.filter(submitted_by_id=user.pk)

    def claimable(self) -> CommandQuerySet:
        """The first in line of each connected vehicle that is not busy, oldest first."""
        same_vehicle = Command.objects.filter(vehicle_id=OuterRef("vehicle_id"))
        busy = same_vehicle.filter(status=Status.IN_PROGRESS)
        earlier = same_vehicle.waiting().filter(
            Q(submitted_at__lt=OuterRef("submitted_at")) | Q(command_id__lt=OuterRef("command_id")),
            submitted_at__lte=OuterRef("submitted_at"),
        )
        return (
            self.waiting()
            .filter(~Exists(busy), ~Exists(earlier), is_connected("vehicle__"))
            .order_by("submitted_at", "command_id")
        )

    def waiting(self) -> CommandQuerySet:
        return self.filter(status=Status.PENDING, expires_at__gt=Now())

    def still_open(self) -> CommandQuerySet:
        """Locked, in one order for all who lock many, until the transaction ends."""
        return self.filter(status__in=OPEN).order_by("pk").select_for_update()

    def unsuspected(self) -> CommandQuerySet:
        return self.filter(lost_workers__lt=MOST_LOST_WORKERS - 1)

    def overdue(self) -> CommandQuerySet:
        return self.filter(status=Status.PENDING, expires_at__lte=Now()).order_by("expires_at")

    def lapsed(self) -> CommandQuerySet:
        """Claimed by a worker that stopped renewing its lease."""
        return self.filter(status=Status.IN_PROGRESS, lease_expires_at__lte=Now()).order_by(
            "lease_expires_at"
        )


class Command(models.Model):
    command_id = models.UUIDField("command ID", primary_key=True, default=uuid.uuid4)
    vehicle = models.ForeignKey(
        Vehicle, on_delete=models.PROTECT, related_name="commands", db_index=False
    )
    command_name = models.CharField(max_length=64)
    command_params = models.JSONField(default=dict, decoder=plain_json.Decoder)
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    error_code = models.CharField(max_length=32, choices=ErrorCode, blank=True)
    error_message = models.TextField(blank=True)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="commands",
        db_index=False,
    )
    batch = models.ForeignKey(
        Batch, on_delete=models.PROTECT, null=True, related_name="commands", db_index=False
    )
    submitted_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    last_sequence_number = models.PositiveIntegerField(default=0)

    # What a worker holds. The claim token fences its writes, the lease says until when it may be
    # silent, and `sent_at` is written before a vehicle is asked what must not be asked twice.
    claim_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    lost_workers = models.PositiveSmallIntegerField(db_default=0)

    objects: ClassVar[Any] = CommandQuerySet.as_manager()

    class Meta:
        ordering = ["-submitted_at", "-command_id"]
        constraints = [
            models.UniqueConstraint(
                name="one_running_command_per_vehicle",
                fields=["vehicle"],
                condition=Q(status=Status.IN_PROGRESS),
            ),
            models.CheckConstraint(
                name="command_status_is_known", condition=Q(status__in=Status.values)
            ),
        ]
        indexes = [
            # Read by the worker: the claim, its look for earlier commands, and both sweeps.
            models.Index(
                name="command_queue",
                fields=["submitted_at", "command_id"],
                condition=Q(status=Status.PENDING),
            ),
            models.Index(
                name="command_vehicle_queue",
                fields=["vehicle", "submitted_at", "command_id"],
                condition=Q(status=Status.PENDING),
            ),
            models.Index(
                name="command_overdue", fields=["expires_at"], condition=Q(status=Status.PENDING)
            ),
            models.Index(
                name="command_lapsed",
                fields=["lease_expires_at"],
                condition=Q(status=Status.IN_PROGRESS),
            ),
            # Read by the lists of the API, the console and the admin.
            models.Index(name="command_latest", fields=["-submitted_at"]),
            models.Index(name="command_latest_of_user", fields=["submitted_by", "-submitted_at"]),
            models.Index(name="command_latest_of_vehicle", fields=["vehicle", "-submitted_at"]),
            # The same by what may be rare, or not be there at all: without these the whole table
            # would be read to find that out.
            models.Index(name="command_latest_of_name", fields=["command_name", "-submitted_at"]),
            models.Index(
                name="command_latest_unsuccessful",
                fields=["status", "-submitted_at"],
                condition=Q(status__in=UNSUCCESSFUL),
            ),
            # Read by a batch's page and by what stops it.
            models.Index(
                name="command_of_batch",
                fields=["batch", "status", "completed_at"],
                condition=~Q(batch=None),
            ),
            # Read by the timeline of a vehicle's trouble codes.
            models.Index(
                name="command_trouble_codes",
                fields=["vehicle", "-submitted_at"],
                condition=Q(command_name__in=["ReadDTC", "ClearDTC"], status=Status.COMPLETED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.command_name} {self.command_id}"

    @property
    def is_suspect(self) -> bool:
        """One more lost worker, and it is the command that is to blame."""
        return self.lost_workers >= MOST_LOST_WORKERS - 1

    @property
    def has_ended(self) -> bool:
        return self.status in TERMINAL

    def answers_that_count(self) -> EventQuerySet:
        """The vehicle's answers since it was last claimed (see `lifecycle.release`)."""
        claims = self.events.filter(kind=Kind.STATUS, payload__status=Status.IN_PROGRESS)
        # Looked for once: of this command alone, and not anew for each of its events.
        last = claims.order_by("-sequence_number").values("sequence_number")[:1]
        answers: EventQuerySet = self.events.filter(
            kind=Kind.RESPONSE, sequence_number__gt=models.Subquery(last)
        )
        return answers


class IdempotencyKey(models.Model):
    """A client's own name for one submission. See `commands/idempotency.py`."""

    command = models.OneToOneField(Command, on_delete=models.CASCADE, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # of the payload: SHA-256 in hexadecimal
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(name="one_command_per_key", fields=["user", "key"])]
        # Read by the sweep.
        indexes = [models.Index(name="idempotency_key_age", fields=["created_at"])]

    def __str__(self) -> str:
        return f"{self.key} of {self.user_id}"


class StreamTicket(models.Model):
    """Opens one stream, once. See `commands/tickets.py`."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    command = models.ForeignKey(Command, on_delete=models.CASCADE, db_index=False)
    expires_at = models.DateTimeField()
    stream_ends_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(name="stream_ticket_age", fields=["expires_at"])]

    def __str__(self) -> str:
        return f"ticket of {self.user_id} for {self.command_id}"


class UsedToken(models.Model):
    """A refresh token that was used or given up, until it would have expired."""

    digest = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(name="used_token_age", fields=["expires_at"])]

    def __str__(self) -> str:
        return self.digest


class LogInCount(models.Model):
    """How often one name was tried from one address since `since`. See `commands/limits.py`."""

    digest = models.CharField(max_length=64, primary_key=True)
    attempts = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(name="log_in_count_age", fields=["since"])]

    def __str__(self) -> str:
        return f"{self.attempts} since {self.since}"


class Kind(models.TextChoices):
    STATUS = "status"
    RESPONSE = "response"
    ERROR = "error"


class EventQuerySet(models.QuerySet["Event"]):
    def after(self, sequence_number: int) -> EventQuerySet:
        return self.filter(sequence_number__gt=sequence_number).order_by("sequence_number")


class Event(models.Model):
    """One thing that a subscriber may learn of a command. Append-only: the truth of the stream."""

    command = models.ForeignKey(
        Command, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    sequence_number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)
    payload = models.JSONField(decoder=plain_json.Decoder)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = EventQuerySet.as_manager()

    class Meta:
        ordering = ["command", "sequence_number"]
        constraints = [
            models.UniqueConstraint(
                name="event_sequence_number_is_unique", fields=["command", "sequence_number"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sequence_number} of {self.command_id}"


class Action(models.TextChoices):
    SUBMIT = "submit"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    LOG_IN = "log_in", "Log in"
    LOG_IN_FAILED = "log_in_failed", "Failed log-in"
    LOG_OUT = "log_out", "Log out"
    EXPORT = "export"


class AuditEntry(models.Model):
    """Who did what, when. Append-only; without foreign keys, so that it outlives what it names."""

    at = models.DateTimeField(db_default=Now())
    username = models.CharField(max_length=150)  # or a digest: see commands/audit.py
    user_id = models.BigIntegerField("user ID", null=True)
    action = models.CharField(max_length=16, choices=Action)
    subject = models.CharField(max_length=100, blank=True)  # the ID of a command or batch
    details = models.JSONField(default=dict, decoder=plain_json.Decoder)
    address = models.GenericIPAddressField("IP address", null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-id"]
        indexes = [
            # Read by the search and the filters of the admin.
            models.Index(name="audit_latest", fields=["-at"]),
            models.Index(name="audit_of_user", fields=["username", "-id"]),
            models.Index(name="audit_of_action", fields=["action", "-id"]),
            models.Index(name="audit_of_subject", fields=["subject", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.username}: {self.action} {self.subject}".strip()
