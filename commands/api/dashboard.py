"""The dashboard: commands in flight, and the outcomes of the last hour.

It counts the commands that the user may see. The last hour has the commands that were submitted in
its sixty whole minutes, at most the newest 10,000, which the index of the lists finds.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Value
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.commands.serializers import CommandSerializer
from commands.api.views import ApiView
from commands.models import TERMINAL, Command, CommandQuerySet, Status
from vehicles.models import Vehicle, is_connected

MINUTE = timedelta(minutes=1)
MINUTES = 60
MAX_COMMANDS = 10_000
MAX_FAILURES = 10
FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT, Status.EXPIRED})


# --- The last hour


@dataclass(frozen=True)
class Outcome:
    """Columns of one command that the dashboard needs."""

    command_id: UUID
    status: str
    submitted_at: datetime
    took: timedelta | None  # from submission to end


@dataclass
class Minute:
    at: datetime
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    seconds: list[float] = field(default_factory=list)  # of the completed commands

    def count(self, outcome: Outcome) -> None:
        if outcome.status == Status.COMPLETED:
            self.completed += 1
            self.seconds.append(outcome.took.total_seconds() if outcome.took else 0)
        elif outcome.status in FAILURES:
            self.failed += 1
        elif outcome.status == Status.CANCELLED:
            self.cancelled += 1

    @property
    def median_seconds(self) -> float | None:
        return round(median(self.seconds), 3) if self.seconds else None


@dataclass(frozen=True)
class LastHour:
    minutes: list[Minute]  # oldest first
    submitted: int
    ended: int
    is_capped: bool

    @property
    def since(self) -> datetime:
        return self.minutes[0].at

    @property
    def completed(self) -> int:
        return sum(minute.completed for minute in self.minutes)

    @property
    def success_rate(self) -> float | None:
        """Share of completed commands among those that completed or failed, without cancelled."""
        decided = self.completed + sum(minute.failed for minute in self.minutes)
        return round(self.completed / decided, 4) if decided else None

    @property
    def median_seconds(self) -> float | None:
        seconds = self._seconds()
        return round(median(seconds), 3) if seconds else None

    @property
    def p95_seconds(self) -> float | None:
        """95th percentile by the nearest rank: one command in twenty took longer."""
        seconds = sorted(self._seconds())
        return round(seconds[math.ceil(len(seconds) * 0.95) - 1], 3) if seconds else None

    def _seconds(self) -> list[float]:
        return [seconds for minute in self.minutes for seconds in minute.seconds]


def first_minute(now: datetime) -> datetime:
    """Return the start of the first of sixty minutes, the last of which is the present one."""
    return now.replace(second=0, microsecond=0) - (MINUTES - 1) * MINUTE


def last_hour_of(outcomes: list[Outcome], now: datetime) -> LastHour:
    """Count the commands since `first_minute`, which come newest first."""
    since = first_minute(now)
    minutes = [Minute(since + number * MINUTE) for number in range(MINUTES)]
    counted = outcomes[:MAX_COMMANDS]
    for outcome in counted:
        number = (outcome.submitted_at - since) // MINUTE
        minutes[min(number, MINUTES - 1)].count(outcome)  # the database's clock may be ahead
    ended = sum(outcome.status in TERMINAL for outcome in counted)
    return LastHour(minutes, len(counted), ended, len(outcomes) > len(counted))


def _outcomes(visible: CommandQuerySet, now: datetime) -> list[Outcome]:
    """Read the commands of the last hour, as durations, which are faster to read than instants."""
    since = first_minute(now)
    rows = (
        visible.filter(submitted_at__gte=since)
        .order_by("-submitted_at")
        .annotate(
            after=F("submitted_at") - Value(since), took=F("completed_at") - F("submitted_at")
        )
        .values_list("command_id", "status", "after", "took")
    )
    return [
        Outcome(pk, status, since + after, took)
        for pk, status, after, took in rows[: MAX_COMMANDS + 1]
    ]


def _failures(visible: CommandQuerySet, outcomes: list[Outcome]) -> Any:
    """Read the newest failures by key: a filter would read the whole hour if few have failed."""
    failed = [o.command_id for o in outcomes[:MAX_COMMANDS] if o.status in FAILURES]
    latest = visible.filter(pk__in=failed[:MAX_FAILURES]).order_by("-submitted_at", "-command_id")
    return latest.select_related("submitted_by", "vehicle")


# --- In flight


def _in_flight(visible: CommandQuerySet) -> dict[str, Any]:
    """Count up to `MAX_COMMANDS` commands, in the order of an index that has all that is read."""
    pending = visible.filter(status=Status.PENDING).order_by("submitted_at", "command_id")
    running = visible.filter(status=Status.IN_PROGRESS).order_by("lease_expires_at")
    return {
        "pending": pending.values("submitted_at", "command_id")[:MAX_COMMANDS].count(),
        "in_progress": running.values("lease_expires_at")[:MAX_COMMANDS].count(),
        "oldest_pending": pending.select_related("vehicle").first(),
    }


def _vehicles(user: Any) -> dict[str, int] | None:
    """Count the vehicles, for users who may see them."""
    if not user.has_perm("vehicles.view_vehicle"):
        return None
    counts: dict[str, int] = Vehicle.objects.in_use().aggregate(
        connected=Count("pk", filter=is_connected()), total=Count("pk")
    )
    return counts


# --- HTTP


class OldestPendingSerializer(serializers.ModelSerializer[Command]):
    vin = serializers.CharField(source="vehicle.vin")

    class Meta:
        model = Command
        fields = ["command_id", "command_name", "vin", "submitted_at"]


class VehicleCountsSerializer(serializers.Serializer[Any]):
    connected = serializers.IntegerField()
    total = serializers.IntegerField()


class MinuteSerializer(serializers.Serializer[Minute]):
    """Outcomes of the commands that were submitted in this minute."""

    at = serializers.DateTimeField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="failed, timed out, expired")
    cancelled = serializers.IntegerField()
    median_seconds = serializers.FloatField(allow_null=True)


class LastHourSerializer(serializers.Serializer[LastHour]):
    since = serializers.DateTimeField()
    submitted = serializers.IntegerField()
    ended = serializers.IntegerField()
    completed = serializers.IntegerField()
    success_rate = serializers.FloatField(
        allow_null=True, help_text="completed / (completed + failed + timed out + expired)"
    )
    median_seconds = serializers.FloatField(
        allow_null=True, help_text="From submission to end, of the completed commands."
    )
    p95_seconds = serializers.FloatField(allow_null=True)
    is_capped = serializers.BooleanField(
        help_text=f"true: only the newest {MAX_COMMANDS:,} commands were counted."
    )
    minutes = MinuteSerializer(many=True, help_text=f"{MINUTES} of them, oldest first.")


class DashboardSerializer(serializers.Serializer[Any]):
    pending = serializers.IntegerField(help_text=f"Counted up to {MAX_COMMANDS:,}.")
    in_progress = serializers.IntegerField()
    oldest_pending = OldestPendingSerializer(allow_null=True)
    vehicles = VehicleCountsSerializer(allow_null=True, help_text="null: you may not see vehicles.")
    last_hour = LastHourSerializer(help_text="The commands that were submitted in it.")
    recent_failures = CommandSerializer(
        many=True, help_text=f"At most {MAX_FAILURES}, of the last hour, newest first."
    )


class DashboardView(ApiView):
    """Commands in flight and outcomes of the last hour, of the commands that you may see."""

    @extend_schema(summary="Commands in flight, and the last hour", responses=DashboardSerializer)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        visible: CommandQuerySet = Command.objects.visible_to(request.user)
        outcomes = _outcomes(visible, now)
        body = _in_flight(visible) | {
            "vehicles": _vehicles(request.user),
            "last_hour": last_hour_of(outcomes, now),
            "recent_failures": _failures(visible, outcomes),
        }
        return Response(DashboardSerializer(body).data)
