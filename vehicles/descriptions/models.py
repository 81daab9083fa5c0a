"""Descriptions: what an imported ODX file says about trouble codes, identifiers and routines.

A description that is ready never changes: another version of the file is another description.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now

MAX_NAME = 200


class State(models.TextChoices):
    IMPORTING = "importing"
    READY = "ready"
    REFUSED = "refused"


class Kind(models.TextChoices):
    DTC = "dtc"
    DATA = "data"
    ROUTINE = "routine"


class Description(models.Model):
    """One imported file, and the report of its import."""

    description_id = models.UUIDField(
        "description ID", primary_key=True, default=uuid.uuid4, editable=False
    )
    file_name = models.CharField(max_length=MAX_NAME)
    size = models.PositiveBigIntegerField(default=0)  # bytes
    state = models.CharField(max_length=9, choices=State, default=State.IMPORTING)
    reason = models.TextField(blank=True)  # why it was refused
    revision = models.CharField(max_length=MAX_NAME, blank=True)  # as the file calls itself
    layers = models.JSONField(default=list)  # short names
    dtc_count = models.PositiveIntegerField(default=0)
    did_count = models.PositiveIntegerField(default=0)
    routine_count = models.PositiveIntegerField(default=0)
    left_out = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())
    # The worker that imports it holds it until `lease_expires_at`; a worker that is killed does not
    # count `attempts` back.
    lease_expires_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-created_at", "-description_id"]
        default_permissions = ["add", "delete"]  # whoever may see vehicles may see it

    def __str__(self) -> str:
        return f"{self.file_name} ({self.state})"


class FilePart(models.Model):
    """Piece of an uploaded file, which is kept until the import has ended."""

    description = models.ForeignKey(Description, on_delete=models.CASCADE, related_name="parts")
    content = models.BinaryField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"part {self.pk}"


class Layer(models.Model):
    """A base variant or ECU variant of a description. A variant has what its base has, too."""

    description = models.ForeignKey(
        Description, on_delete=models.CASCADE, related_name="layer_rows", db_index=False
    )
    name = models.CharField(max_length=MAX_NAME)  # the short name
    base = models.ForeignKey("self", on_delete=models.CASCADE, null=True)
    patterns = models.JSONField(default=list)  # by which it is recognized: see `variants`

    class Meta:
        constraints = [models.UniqueConstraint(name="one_layer", fields=["description", "name"])]

    def __str__(self) -> str:
        return self.name


class Entry(models.Model):
    """A trouble code, identifier or routine of a layer, as far as it differs from its base."""

    layer = models.ForeignKey(
        Layer, on_delete=models.CASCADE, related_name="entries", db_index=False
    )
    kind = models.CharField(max_length=7, choices=Kind)
    number = models.PositiveIntegerField()  # three raw bytes of a trouble code, two of the others
    name = models.CharField(max_length=MAX_NAME)  # empty: the variant lacks what its base has
    coding = models.JSONField(default=dict)  # how the bytes are read: see `values`

    class Meta:
        constraints = [
            models.UniqueConstraint(name="one_entry", fields=["layer", "kind", "number"])
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number:X}"
