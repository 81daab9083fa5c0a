from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from vehicles.models import Vehicle


class Note(models.Model):
    """Text that a person has written about a vehicle. It is never changed."""

    note_id = models.UUIDField("note ID", primary_key=True, default=uuid.uuid4)
    vehicle = models.ForeignKey(
        Vehicle, on_delete=models.CASCADE, related_name="notes", db_index=False
    )
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        indexes = [models.Index(name="note_latest", fields=["vehicle", "-created_at"])]

    def __str__(self) -> str:
        return f"note of {self.author} on {self.vehicle_id}"
