"""The dashboard, as the API writes it."""

from typing import Any

from rest_framework import serializers

from commands.api.commands.serializers import CommandSerializer
from commands.api.dashboard.period import PERIODS, Outcomes, Step
from commands.api.results.serializers import CodeCountSerializer
from commands.models import Command, ErrorCode

MAX_IN_FLIGHT = 10_000
MAX_FAILURES = 10


class QuestionSerializer(serializers.Serializer[Any]):
    period = serializers.ChoiceField(
        [*PERIODS], default="1h", help_text="The last hour, day or week."
    )


class OldestPendingSerializer(serializers.ModelSerializer[Command]):
    vin = serializers.CharField(source="vehicle.vin")

    class Meta:
        model = Command
        fields = ["command_id", "command_name", "vin", "submitted_at"]


class VehicleCountsSerializer(serializers.Serializer[Any]):
    connected = serializers.IntegerField()
    total = serializers.IntegerField()


class StepSerializer(serializers.Serializer[Step]):
    """Outcomes of the commands that were submitted in this step."""

    at = serializers.DateTimeField(help_text="Its start.")
    completed = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="failed, timed out, expired")
    cancelled = serializers.IntegerField()
    median_seconds = serializers.FloatField(source="seconds.median", allow_null=True)
    p95_seconds = serializers.FloatField(source="seconds.p95", allow_null=True)


class FailuresByCodeSerializer(serializers.Serializer[Any]):
    error_code = serializers.ChoiceField(ErrorCode.choices)
    commands = serializers.IntegerField()


class OutcomesSerializer(serializers.Serializer[Outcomes]):
    period = serializers.ChoiceField([*PERIODS], source="period.name")
    since = serializers.DateTimeField()
    step_seconds = serializers.IntegerField(source="period.step_seconds")
    submitted = serializers.IntegerField()
    ended = serializers.IntegerField()
    completed = serializers.IntegerField()
    success_rate = serializers.FloatField(
        allow_null=True, help_text="completed / (completed + failed + timed out + expired)"
    )
    median_seconds = serializers.FloatField(
        source="seconds.median",
        allow_null=True,
        help_text="From submission to end, of the completed commands.",
    )
    p95_seconds = serializers.FloatField(source="seconds.p95", allow_null=True)
    is_capped = serializers.BooleanField(
        help_text="true: only the newest 10,000 commands of an hour, or 50,000 of a longer "
        "period, were counted."
    )
    failures = FailuresByCodeSerializer(many=True, help_text="Most frequent first.")
    steps = StepSerializer(
        many=True,
        help_text="Oldest first: 60 of a minute, 48 of half an hour, or 84 of two hours.",
    )


class DashboardSerializer(serializers.Serializer[Any]):
    pending = serializers.IntegerField(help_text=f"Counted up to {MAX_IN_FLIGHT:,}.")
    in_progress = serializers.IntegerField()
    oldest_pending = OldestPendingSerializer(allow_null=True)
    vehicles = VehicleCountsSerializer(allow_null=True, help_text="null: you may not see vehicles.")
    outcomes = OutcomesSerializer(help_text="Of the commands that were submitted in the period.")
    recent_failures = CommandSerializer(
        many=True, help_text=f"At most {MAX_FAILURES}, of the period, newest first."
    )


class FrequentCodesSerializer(serializers.Serializer[Any]):
    """One page, in the shape of every list."""

    next = serializers.URLField(allow_null=True, default=None)
    previous = serializers.URLField(allow_null=True, default=None)
    results = CodeCountSerializer(many=True)
