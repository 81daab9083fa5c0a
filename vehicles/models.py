from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.functional import cached_property

from vehicles.descriptions.meaning import NOTHING, Meaning
from vehicles.descriptions.models import MAX_NAME, Description
from vehicles.ecus import ECU_ADDRESS_PATTERN, number_of, upper
from vehicles.tags import TagsField
from vehicles.vin import VIN_PATTERN

validate_vin = RegexValidator(
    VIN_PATTERN, "A VIN has 17 capital letters and digits, without I, O and Q."
)
validate_ecu_address = RegexValidator(
    ECU_ADDRESS_PATTERN, "An address has two or four hexadecimal digits, such as 0x10 or 0x1010."
)


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


def is_tested(prefix: str = "") -> Q:
    """Held by a test of the connection, which may ask each ECU: a gateway accepts one."""
    return Q(
        **{
            f"{prefix}probe_requested_at__isnull": False,
            f"{prefix}probe_lease_expires_at__gt": Now(),
        }
    )


def effective_connection_status(status: str, last_seen_at: datetime | None) -> str:
    """Return the row's status, unless the vehicle was not seen for `VEHICLE_PRESENCE_SECONDS`."""
    presence = timedelta(seconds=settings.VEHICLE_PRESENCE_SECONDS)
    was_seen_lately = last_seen_at is not None and timezone.now() - last_seen_at < presence
    return status if was_seen_lately else ConnectionStatus.DISCONNECTED


class VehicleQuerySet(models.QuerySet["Vehicle"]):
    def connected(self) -> VehicleQuerySet:
        return self.filter(is_connected())

    def with_connection_status(self, status: str) -> VehicleQuerySet:
        if status == ConnectionStatus.DISCONNECTED:
            is_stale = Q(last_seen_at=None) | Q(last_seen_at__lte=presence_ends())
            return self.filter(Q(connection_status=ConnectionStatus.DISCONNECTED) | is_stale)
        return self.filter(connection_status=status, last_seen_at__gt=presence_ends())

    def in_use(self) -> VehicleQuerySet:
        return self.filter(retired_at=None)

    def due_for_probe(self) -> VehicleQuerySet:
        """Vehicles whose probe is due and that nobody probes now, the longest waiting first."""
        is_free = Q(probe_lease_expires_at=None) | Q(probe_lease_expires_at__lte=Now())
        return self.in_use().filter(is_free, probe_at__lte=Now()).order_by("probe_at")


class Vehicle(models.Model):
    vehicle_id = models.UUIDField(
        "vehicle ID", primary_key=True, default=uuid.uuid4, editable=False
    )
    vin = models.CharField(
        "VIN",
        max_length=17,
        unique=True,
        validators=[validate_vin],
    )
    make = models.CharField(max_length=100, blank=True)
    model = models.CharField(max_length=100, blank=True)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    connection_status = models.CharField(
        max_length=12, choices=ConnectionStatus, default=ConnectionStatus.DISCONNECTED
    )
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    tags = TagsField(help_text="Words, separated by blanks or commas.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Out of use: hidden from lists, not probed, and sent no new commands.
    retired_at = models.DateTimeField(null=True, editable=False)

    # How it is reached. The settings that its connector's schema marks as `writeOnly` are secrets
    # and are kept apart, so that nothing which shows settings shows them. The version counts the
    # changes: a probe of the earlier settings tells nothing about the present ones.
    connector = models.CharField(max_length=32, default="mock")
    connector_settings = models.JSONField(default=dict, blank=True)
    connector_secrets = models.JSONField(default=dict, blank=True, editable=False)
    settings_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    # What the last probe found. `probe_at` is when the next one is due. A worker that takes a probe
    # holds it until `probe_lease_expires_at`. `probe_requested_at`: a person waits for a test of
    # the connection, which also asks the ECUs; `probe_found` is what the last test found.
    connection_problem = models.TextField(blank=True, editable=False)
    probe_at = models.DateTimeField(db_default=Now(), editable=False)
    probe_lease_expires_at = models.DateTimeField(null=True, editable=False)
    probe_requested_at = models.DateTimeField(null=True, editable=False)
    probed_at = models.DateTimeField(null=True, editable=False)
    probe_found = models.JSONField(null=True, editable=False)

    objects = VehicleQuerySet.as_manager()

    class Meta:
        ordering = ["vin"]
        indexes = [
            # Read by the probes of the workers.
            models.Index(name="vehicle_probe_due", fields=["connector", "probe_at"]),
        ]
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
        return effective_connection_status(self.connection_status, self.last_seen_at)

    @cached_property
    def configured_ecus(self) -> Sequence[Ecu]:
        return list(self.ecus.all())

    @property
    def matched_variants(self) -> list[dict[str, Any]]:
        """The variants that were recognized, by the addresses of their ECUs."""
        found = [(ecu.address, ecu.matched_variant) for ecu in self.ecus.all()]
        return [{"address": address, **match} for address, match in found if match]

    def forget_presence(self) -> None:
        """Count as disconnected until a probe of the new settings, which is due now."""
        self.settings_version += 1
        self.connection_status, self.connection_problem = ConnectionStatus.DISCONNECTED, ""
        self.probe_at, self.probed_at, self.probe_found = Now(), None, None


def matched_variant(
    match: dict[str, Any] | None, description_id: uuid.UUID | None, variant: str
) -> dict[str, Any] | None:
    """Return the variant of an ECU that was recognized, unless somebody has chosen one since."""
    is_valid = match and match["description"] == str(description_id)
    return match if is_valid and not variant else None


class Ecu(models.Model):
    """A control unit of a vehicle, and how its connector addresses it."""

    meaning: Meaning = NOTHING  # of its description, once that was attached
    candidates: Sequence[Any] = ()  # the variants that may be recognized, with their patterns

    vehicle = models.ForeignKey(
        Vehicle, on_delete=models.CASCADE, related_name="ecus", db_index=False
    )
    address = models.CharField(max_length=6, validators=[validate_ecu_address])
    number = models.PositiveIntegerField(editable=False)  # of the address: 0x10 and 0x0010 are one
    name = models.CharField(max_length=100, blank=True)
    logical_address = models.CharField(
        max_length=6,
        blank=True,
        validators=[validate_ecu_address],
        help_text="For DoIP; without one, the address itself.",
    )
    component = models.CharField(
        max_length=100,
        blank=True,
        help_text="For SOVD.",
    )
    description = models.ForeignKey(
        Description,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="ecus",
        help_text="By which its responses are read.",
    )
    variant = models.CharField(
        max_length=MAX_NAME,
        blank=True,
        help_text="The short name of a layer of the description; without one, the layer that its "
        "patterns recognize, else the only or base layer.",
    )
    # The layer that was recognized, of which description, by which values and when.
    match = models.JSONField(null=True, default=None, editable=False)

    class Meta:
        verbose_name = "ECU"
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(name="one_ecu_per_address", fields=["vehicle", "number"])
        ]

    def __str__(self) -> str:
        return f"{self.address} {self.name}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.address = upper(self.address)
        self.number = number_of(self.address)
        super().save(*args, **kwargs)

    @property
    def matched_variant(self) -> dict[str, Any] | None:
        return matched_variant(self.match, self.description_id, self.variant)

    @property
    def read_as(self) -> str:
        """The layer by which its responses are read; empty for the default one."""
        return self.variant or (self.matched_variant or {}).get("variant", "")

    def length_of(self, data_id: int) -> int | None:
        """Return the number of bytes of an identifier, if the ECU's description fixes it."""
        return self.meaning.length_of(data_id)
