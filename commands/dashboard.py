"""How the commands are doing, at a glance: what is in flight, and how the last hour went.

All of it is about the commands that one may see. The last hour is what was submitted in it, in
whole minutes, and at most the newest 10,000: that is read by the index of the lists, and bounded.
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
from rest_framework.views import APIView

from commands.api import CommandSerializer
from commands.models import TERMINAL, Command, CommandQuerySet, Status
from vehicles.models import Vehicle, is_connected

MINUTE = timedelta(minutes=1)
MINUTES = 60
MOST_COMMANDS = 10_000
MOST_FAILURES = 10
FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT, Status.EXPIRED})


# --- The last hour


@dataclass(frozen=True)
class Outcome:
    """All that is read of one command."""

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
    seconds: list[float] = field(default_factory=list)  # of those that were completed

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
        """Of what was carried out or failed; what somebody cancelled is neither."""
        decided = self.completed + sum(minute.failed for minute in self.minutes)
        return round(self.completed / decided, 4) if decided else None

    @property
    def median_seconds(self) -> float | None:
        seconds = self._seconds()
        return round(median(seconds), 3) if seconds else None

    @property
    def p95_seconds(self) -> float | None:
        """By the nearest rank: one command in twenty took longer."""
        seconds = sorted(self._seconds())
        return round(seconds[math.ceil(len(seconds) * 0.95) - 1], 3) if seconds else None

    def _seconds(self) -> list[float]:
        return [seconds for minute in self.minutes for seconds in minute.seconds]


def first_minute(now: datetime) -> datetime:
    """The last of the sixty is the one that runs."""
    return now.replace(second=0, microsecond=0) - (MINUTES - 1) * MINUTE


def last_hour_of(outcomes: list[Outcome], now: datetime) -> LastHour:
    """From the commands since `first_minute`, the newest first."""
    since = first_minute(now)
    minutes = [Minute(since + number * MINUTE) for number in range(MINUTES)]
    counted = outcomes[:MOST_COMMANDS]
    for outcome in counted:
        number = (outcome.submitted_at - since) // MINUTE
        minutes[min(number, MINUTES - 1)].count(outcome)  # the database's clock may be ahead
    ended = sum(outcome.status in TERMINAL for outcome in counted)
    return LastHour(minutes, len(counted), ended, len(outcomes) > len(counted))


def _outcomes(visible: CommandQuerySet, now: datetime) -> list[Outcome]:
    """As durations, since most of the time would go into reading instants."""
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
        for pk, status, after, took in rows[: MOST_COMMANDS + 1]
    ]


def _failures(visible: CommandQuerySet, outcomes: list[Outcome]) -> Any:
    """Not by a query of their own: where few fail, that would look through the whole hour."""
    failed = [o.command_id for o in outcomes[:MOST_COMMANDS] if o.status in FAILURES]
    latest = visible.filter(pk__in=failed[:MOST_FAILURES]).order_by("-submitted_at", "-command_id")
    return latest.select_related("submitted_by", "vehicle")


# --- In flight


def _in_flight(visible: CommandQuerySet) -> dict[str, Any]:
    """Counted up to `MOST_COMMANDS`, in the order of an index that holds all that is read."""
    pending = visible.filter(status=Status.PENDING).order_by("submitted_at", "command_id")
    running = visible.filter(status=Status.IN_PROGRESS).order_by("lease_expires_at")
    return {
        "pending": pending.values("submitted_at", "command_id")[:MOST_COMMANDS].count(),
        "in_progress": running.values("lease_expires_at")[:MOST_COMMANDS].count(),
        "oldest_pending": pending.select_related("vehicle").first(),
    }


def _vehicles() -> dict[str, int]:
    counts: dict[str, int] = Vehicle.objects.aggregate(
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
    """What became of the commands that were submitted in this minute."""

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
        allow_null=True, help_text="From submission to end, of what was completed."
    )
    p95_seconds = serializers.FloatField(allow_null=True)
    is_capped = serializers.BooleanField(
        help_text=f"true: only the newest {MOST_COMMANDS:,} commands were counted."
    )
    minutes = MinuteSerializer(many=True, help_text=f"{MINUTES} of them, oldest first.")


class DashboardSerializer(serializers.Serializer[Any]):
    pending = serializers.IntegerField(help_text=f"Counted up to {MOST_COMMANDS:,}.")
    in_progress = serializers.IntegerField()
    oldest_pending = OldestPendingSerializer(allow_null=True)
    vehicles = VehicleCountsSerializer()
    last_hour = LastHourSerializer(help_text="The commands that were submitted in it.")
    recent_failures = CommandSerializer(
        many=True, help_text=f"At most {MOST_FAILURES}, of the last hour, newest first."
    )


class DashboardView(APIView):
    """What is in flight and how the last hour went, of the commands that you may see."""

    @extend_schema(responses=DashboardSerializer)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        visible: CommandQuerySet = Command.objects.visible_to(request.user)
        outcomes = _outcomes(visible, now)
        body = _in_flight(visible) | {
            "vehicles": _vehicles(),
            "last_hour": last_hour_of(outcomes, now),
            "recent_failures": _failures(visible, outcomes),
        }
        return Response(DashboardSerializer(body).data)
