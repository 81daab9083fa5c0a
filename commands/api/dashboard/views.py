"""The dashboard: commands in flight, and the outcomes of a period.

It counts the commands that the user may see.
"""

from typing import Any

from django.db.models import Count
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from commands import trouble_codes
from commands.api.dashboard import period
from commands.api.dashboard.serializers import (
    MAX_FAILURES,
    MAX_IN_FLIGHT,
    DashboardSerializer,
    FrequentCodesSerializer,
    QuestionSerializer,
)
from commands.api.views import ApiView
from commands.models import Command, CommandQuerySet, Status
from commands.results.frequent_codes import most_frequent
from vehicles.models import Vehicle, is_connected


class DashboardView(ApiView):
    """Commands in flight and outcomes of a period, of the commands that you may see."""

    @extend_schema(
        summary="Commands in flight, and the outcomes of a period",
        parameters=[QuestionSerializer],
        responses=DashboardSerializer,
    )
    def get(self, request: Request) -> Response:
        asked, now = _period(request), timezone.now()
        visible: CommandQuerySet = Command.objects.visible_to(request.user)
        found = period.read(asked, visible, now)
        body = _in_flight(visible) | {
            "vehicles": _vehicles(request.user),
            "outcomes": period.count(asked, found, now),
            "recent_failures": _failures(visible, found[: asked.max_commands]),
        }
        return Response(DashboardSerializer(body).data)


class FrequentCodesView(ApiView):
    """The most frequent trouble codes, in the reads and scans that you may see.

    They are those of the newest 1,000 `ReadDTC` and `ScanVehicle` that are completed, among the
    commands that were submitted in the period. A vehicle counts once for a code.
    """

    @extend_schema(
        summary="Most frequent trouble codes of a period",
        parameters=[QuestionSerializer],
        responses=FrequentCodesSerializer,
    )
    def get(self, request: Request) -> Response:
        since = _period(request).since(timezone.now())
        read = trouble_codes.evidence(submitted_at__gte=since).exclude(command_name="ClearDTC")
        codes = most_frequent(read.visible_to(request.user))
        page = {"next": None, "previous": None, "results": codes}
        return Response(FrequentCodesSerializer(page).data)


def _period(request: Request) -> period.Period:
    question = QuestionSerializer(data=request.query_params.dict())
    question.is_valid(raise_exception=True)
    return period.PERIODS[question.validated_data["period"]]


def _failures(visible: CommandQuerySet, found: list[period.Outcome]) -> Any:
    """Read the newest failures by key: a filter would read the whole period if few have failed."""
    failed = [outcome.command_id for outcome in found if outcome.status in period.FAILURES]
    latest = visible.filter(pk__in=failed[:MAX_FAILURES]).order_by("-submitted_at", "-command_id")
    return latest.select_related("submitted_by", "vehicle")


def _in_flight(visible: CommandQuerySet) -> dict[str, Any]:
    """Count up to `MAX_IN_FLIGHT` commands, in the order of an index that has all that is read."""
    pending = visible.filter(status=Status.PENDING).order_by("submitted_at", "command_id")
    running = visible.filter(status=Status.IN_PROGRESS).order_by("lease_expires_at")
    return {
        "pending": pending.values("submitted_at", "command_id")[:MAX_IN_FLIGHT].count(),
        "in_progress": running.values("lease_expires_at")[:MAX_IN_FLIGHT].count(),
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
