from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from commands.models.status import Status
from vehicles import strict_json
from vehicles.models import Vehicle

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class CampaignState(models.TextChoices):
    DRAFT = "draft"
    WAITING = "waiting_for_approval"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class CampaignStop(models.TextChoices):
    CANCELLED = "cancelled"
    FAILURES = "failures"
    EXPIRED = "expired"


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def visible_to(self, user: User | AnonymousUser) -> CampaignQuerySet:
        """Return those that the user may see: by the rule for commands, or all to approve them."""
        if user.has_perm("commands.view_command") or user.has_perm("commands.approve_campaign"):
            return self
        return self.filter(submitted_by_id=user.pk)

    def closed(self) -> CampaignQuerySet:
        """Return those whose commands may not be sent now."""
        is_outside = Q(opens_at__gt=Now()) | Q(closes_at__lte=Now())
        return self.filter(~Q(state=CampaignState.RUNNING) | is_outside)

    def to_advance(self) -> CampaignQuerySet:
        """Return those that a worker has to look at."""
        return self.filter(is_settled=False, started_at__isnull=False, due_at__lte=Now())


class Campaign(models.Model):
    """One command for many vehicles, in waves. See `commands/campaigns/`."""

    campaign_id = models.UUIDField("campaign ID", primary_key=True, default=uuid.uuid4)
    state = models.CharField(max_length=20, choices=CampaignState, default=CampaignState.DRAFT)
    stop_reason = models.CharField(max_length=9, choices=CampaignStop, blank=True)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="campaigns", db_index=False
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="approved_campaigns",
        db_index=False,
    )
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    command_name = models.CharField(max_length=64)
    command_params = models.JSONField(default=dict, decoder=strict_json.Decoder)
    vehicle_filter = models.JSONField(null=True, decoder=strict_json.Decoder)
    vehicle_count = models.PositiveIntegerField(default=0)
    waves = models.JSONField(default=list)  # cumulative percentages
    go_on_below_failed_percent = models.PositiveSmallIntegerField(null=True)
    windows = models.JSONField(default=list)
    retries = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField()
    needs_approval = models.BooleanField(default=False)

    # How far it is, written by the worker that advances it. The window is the one that is open or
    # opens next; without windows both ends are null.
    wave = models.PositiveSmallIntegerField(default=0)  # the number of waves that have begun
    opens_at = models.DateTimeField(null=True)
    closes_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(db_default=Now())
    is_settled = models.BooleanField(default=False)  # ended, and each outcome is counted

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-campaign_id"]
        permissions = [("approve_campaign", "Can approve campaigns of others")]
        indexes = [
            # Read by the workers.
            models.Index(name="campaign_due", fields=["due_at"], condition=Q(is_settled=False)),
            # Read by the lists of the API and the console.
            models.Index(name="campaign_latest", fields=["-created_at"]),
            models.Index(name="campaign_latest_of_user", fields=["submitted_by", "-created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.command_name} for {self.vehicle_count} vehicles"


class CampaignWave(models.Model):
    """The part of a campaign's vehicles that is sent the command together, and its outcomes."""

    campaign = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="wave_rows", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    first_place = models.PositiveIntegerField()
    vehicle_count = models.PositiveIntegerField()
    started_at = models.DateTimeField(null=True)
    sent = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    timed_out = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["campaign", "number"]
        constraints = [
            models.UniqueConstraint(name="one_row_per_wave", fields=["campaign", "number"])
        ]

    def __str__(self) -> str:
        return f"wave {self.number}"

    @property
    def open(self) -> int:
        """Return the number of vehicles whose last try has not ended."""
        ended = self.completed + self.failed + self.timed_out + self.cancelled + self.expired
        return self.sent - ended

    @property
    def failed_percent(self) -> float:
        """Return how many of its vehicles, sent to or not, have failed."""
        return 100 * (self.failed + self.timed_out) / max(self.vehicle_count, 1)


class CampaignVehicle(models.Model):
    """A vehicle of a campaign, with the command of its last try and the outcome of all."""

    campaign = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="vehicle_rows", db_index=False
    )
    vehicle = models.ForeignKey(Vehicle, on_delete=models.PROTECT, related_name="+")
    place = models.PositiveIntegerField()
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    command = models.OneToOneField(
        "commands.Command", on_delete=models.PROTECT, null=True, related_name="+"
    )
    outcome = models.CharField(max_length=12, blank=True, db_default="")
    error_code = models.CharField(max_length=32, blank=True, db_default="")

    class Meta:
        ordering = ["campaign", "place"]
        constraints = [
            models.UniqueConstraint(name="one_place_of_campaign", fields=["campaign", "place"]),
            models.UniqueConstraint(name="vehicle_once_a_campaign", fields=["campaign", "vehicle"]),
        ]
        indexes = [
            # Read by the page of a campaign.
            models.Index(
                name="campaign_failures",
                fields=["campaign", "error_code"],
                condition=~Q(error_code=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} at {self.place}"

    @classmethod
    def failed_of(cls, campaign_id: uuid.UUID) -> models.QuerySet[CampaignVehicle]:
        """Return those whose last try failed, timed out or expired."""
        outcomes = (Status.FAILED, Status.TIMED_OUT, Status.EXPIRED)
        return cls.objects.filter(campaign=campaign_id, outcome__in=outcomes).order_by()
