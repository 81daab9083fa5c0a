from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from commands.models.command import sees_all_commands
from commands.models.status import Priority
from vehicles import strict_json

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class StopReason(models.TextChoices):
    CANCELLED = "cancelled"
    FAILURES = "failures"


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, user: User | AnonymousUser) -> BatchQuerySet:
        """Return the batches that the user may see, by the same rule as for commands."""
        return self if sees_all_commands(user) else self.filter(submitted_by_id=user.pk)


class Batch(models.Model):
    """Group of ordinary commands, one for each of many vehicles. See `commands/batches.py`."""

    batch_id = models.UUIDField("batch ID", primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100, blank=True, db_default="")
    reason = models.CharField(max_length=500, blank=True, db_default="")
    command_name = models.CharField(max_length=64)
    command_params = models.JSONField(default=dict, decoder=strict_json.Decoder)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="batches", db_index=False
    )
    submitted_at = models.DateTimeField(db_default=Now())
    # As of each of its commands; null in the rows of earlier versions.
    not_before = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    priority = models.CharField(
        max_length=11,
        choices=Priority,
        default=Priority.INTERACTIVE,
        db_default=Priority.INTERACTIVE,
    )
    vehicle_count = models.PositiveIntegerField()
    stop_above_failed_percent = models.PositiveSmallIntegerField(null=True)  # of all its vehicles
    stopped_at = models.DateTimeField(null=True)
    stop_reason = models.CharField(max_length=9, choices=StopReason, blank=True)
    # Its end is noted for webhooks. Kept only while one asks for batches.
    is_settled = models.BooleanField(default=False, db_default=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-submitted_at", "-batch_id"]
        permissions = [
            (
                "send_unsafe_to_many",
                "Can send commands that are not safe to repeat to many vehicles at once",
            )
        ]
        indexes = [
            # Read by the lists of the API, the console and the admin.
            models.Index(name="batch_latest", fields=["-submitted_at"]),
            models.Index(name="batch_latest_of_user", fields=["submitted_by", "-submitted_at"]),
            # Read by the sweep of failing batches.
            models.Index(
                name="batch_to_watch",
                fields=["expires_at"],
                condition=Q(stopped_at=None, stop_above_failed_percent__isnull=False),
            ),
            # Read by the workers, while a webhook asks for batches.
            models.Index(
                name="batch_not_settled",
                fields=["-submitted_at"],
                condition=Q(is_settled=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.command_name} for {self.vehicle_count} vehicles"
