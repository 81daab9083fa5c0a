from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from vehicles.vin import VIN_PATTERN


class ConnectionStatus(models.TextChoices):
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ERROR = "error"


def presence_ends() -> Any:
    """The instant, by the database's clock, before which a vehicle must have been seen."""
    return Now() - timedelta(seconds=settings.VEHICLE_PRESENCE_SECONDS)


def is_connected(prefix: str = "") -> Q:
    """Connected by its row and seen lately: the only meaning of "connected" in queries."""
    return Q(
        **{
            f"{prefix}connection_status": ConnectionStatus.CONNECTED,
            f"{prefix}last_seen_at__gt": presence_ends(),
        }
    )


class VehicleQuerySet(models.QuerySet["Vehicle"]):
    def connected(self) -> VehicleQuerySet:
        return self.filter(is_connected())

    def with_connection_status(self, status: str) -> VehicleQuerySet:
        if status == ConnectionStatus.CONNECTED:
            return self.connected()
        if status == ConnectionStatus.DISCONNECTED:
            gone = Q(last_seen_at=None) | Q(last_seen_at__lte=presence_ends())
            return self.filter(
                Q(connection_status=ConnectionStatus.DISCONNECTED)
                | Q(connection_status=ConnectionStatus.CONNECTED) & gone
            )
        return self.filter(connection_status=status)

    def seen(self) -> int:
        """Refresh `last_seen_at` of the connected vehicles that were not just seen; how many."""
        stale = Now() - timedelta(seconds=settings.VEHICLE_PRESENCE_SECONDS / 3)
        return (
            self.filter(connection_status=ConnectionStatus.CONNECTED)
            .filter(Q(last_seen_at=None) | Q(last_seen_at__lt=stale))
            .update(last_seen_at=Now())
        )


class Vehicle(models.Model):
    vehicle_id = models.UUIDField(
        "vehicle ID", primary_key=True, default=uuid.uuid4, editable=False
    )
    vin = models.CharField(
        "VIN",
        max_length=17,
        unique=True,
        validators=[
            RegexValidator(
                VIN_PATTERN, "A VIN has 17 capital letters and digits, without I, O and Q."
            )
        ],
    )
    make = models.CharField(max_length=100, blank=True)
    model = models.CharField(max_length=100, blank=True)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    connection_status = models.CharField(
        max_length=12, choices=ConnectionStatus, default=ConnectionStatus.DISCONNECTED
    )
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = VehicleQuerySet.as_manager()

    class Meta:
        ordering = ["vin"]
        constraints = [
            models.CheckConstraint(
                name="vehicle_connection_status_is_known",
                condition=Q(connection_status__in=ConnectionStatus.values),
            )
        ]

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.vin, self.make, self.model) if part)

    @property
    def effective_connection_status(self) -> str:
        """What the row says, unless the vehicle was not seen for `VEHICLE_PRESENCE_SECONDS`."""
        if self.connection_status == ConnectionStatus.CONNECTED and not self._was_seen_lately():
            return ConnectionStatus.DISCONNECTED
        return self.connection_status

    def _was_seen_lately(self) -> bool:
        presence = timedelta(seconds=settings.VEHICLE_PRESENCE_SECONDS)
        return self.last_seen_at is not None and timezone.now() - self.last_seen_at < presence
