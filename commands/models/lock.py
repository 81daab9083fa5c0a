"""The lock of a vehicle, which binds commands that are not safe to repeat."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from vehicles.models import Vehicle


class VehicleLockQuerySet(models.QuerySet["VehicleLock"]):
    def live(self) -> VehicleLockQuerySet:
        """Return the locks that have not expired, by the clock of the database."""
        return self.filter(expires_at__gt=Now())


class VehicleLock(models.Model):
    """The right of one user to change a vehicle until `expires_at`. See commands/locks.py.

    The ID is new whenever somebody takes the lock, and stays when its holder prolongs it.
    """

    vehicle = models.OneToOneField(Vehicle, on_delete=models.CASCADE, primary_key=True)
    lock_id = models.UUIDField("lock ID", unique=True, default=uuid.uuid4)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    expires_at = models.DateTimeField()

    objects = VehicleLockQuerySet.as_manager()

    class Meta:
        permissions = [("take_over_lock", "Can take over the lock of a vehicle from its holder")]

    def __str__(self) -> str:
        return f"lock of {self.vehicle_id}"
