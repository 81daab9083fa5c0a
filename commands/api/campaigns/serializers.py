"""Campaigns as the API reads and writes them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.db import connection
from django.db.models import Count
from django.db.models.expressions import RawSQL
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError

from commands.api.commands.serializers import check_all_found, check_command, known_name
from commands.api.exceptions import VehicleRetired
from commands.api.pagination import check_instant
from commands.api.vehicle_choice import filtered
from commands.campaigns import estimate, plan
from commands.campaigns.windows import DAYS
from commands.catalogue import is_safe_to_repeat
from commands.models import (
    Campaign,
    CampaignState,
    CampaignStop,
    CampaignVehicle,
    CampaignWave,
    Status,
)
from vehicles.models import Vehicle, is_connected
from vehicles.serializers import StrictCharField, StrictIntegerField, StrictSerializer

TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"
MAX_WINDOWS = 50
zones = cache(available_timezones)  # each call reads directories
LONGEST = timedelta(days=365)
DEFAULT_LIFETIME = timedelta(days=30)


class WindowSerializer(StrictSerializer):
    """Hours of some days of the week in which commands may be sent."""

    def get_fields(self) -> dict[str, Any]:
        days = serializers.ListField(
            child=serializers.ChoiceField(DAYS), allow_empty=False, max_length=len(DAYS)
        )
        invalid: Any = {"invalid": "Not a time such as 22:00."}
        return {
            "days": days,
            "from": serializers.RegexField(TIME, error_messages=invalid),
            "to": serializers.RegexField(
                TIME,
                error_messages=invalid,
                help_text="Of the next day, if it is not later than `from`.",
            ),
            "time_zone": StrictCharField(max_length=64, help_text="Such as Europe/Berlin."),
        }

    def validate_time_zone(self, name: str) -> str:
        if name not in zones():
            raise ValidationError("Unknown time zone. Name one of IANA's, such as Europe/Berlin.")
        return name


class WaveSerializer(serializers.ModelSerializer[CampaignWave]):
    """Progress of a wave: the outcomes of its vehicles, by their last try."""

    open = serializers.IntegerField(read_only=True, help_text="Sent, and not ended.")

    class Meta:
        model = CampaignWave
        fields = [
            "number",
            "vehicle_count",
            "started_at",
            "sent",
            "open",
            *sorted(set(Status.values) - {Status.PENDING, Status.IN_PROGRESS}),
        ]


def _one_parameter(ids: list[UUID]) -> Any:
    """Return the IDs for a condition: a hundred thousand parameters take seconds each time."""
    if connection.vendor != "postgresql":
        return ids
    return RawSQL("SELECT unnest(%s::uuid[])", (ids,))


class ManyVehiclesSerializer(StrictSerializer):
    """A choice of vehicles, which validation puts into `vehicles` as a query."""

    vehicle_ids = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        allow_empty=False,
        max_length=plan.MAX_VEHICLES,
        write_only=True,
    )
    vehicle_filter = serializers.DictField(
        child=StrictCharField(allow_blank=True),
        required=False,
        allow_null=True,
        help_text="The filters of the list of vehicles; empty for all vehicles.",
    )

    failed_of_campaign = serializers.UUIDField(
        required=False,
        write_only=True,
        help_text="The vehicles of this campaign whose last try failed, timed out or expired.",
    )

    def validate_failed_of_campaign(self, campaign_id: UUID) -> Any:
        user = self.context["request"].user
        if not Campaign.objects.visible_to(user).filter(pk=campaign_id).exists():
            raise ValidationError("There is no such campaign.")
        failed = CampaignVehicle.failed_of(campaign_id)
        vehicles = Vehicle.objects.in_use().filter(pk__in=failed.values("vehicle"))
        if not vehicles.exists():
            raise ValidationError("No vehicle of this campaign has failed and is in use.")
        return vehicles

    def validate_vehicle_ids(self, ids: list[UUID]) -> Any:
        if len(set(ids)) < len(ids):
            raise ValidationError("Each vehicle may be named once.")
        vehicles = Vehicle.objects.filter(pk__in=_one_parameter(ids))
        if vehicles.count() < len(ids):
            check_all_found("vehicle", ids, vehicles.values_list("pk", flat=True))
        for vehicle in vehicles.exclude(retired_at=None)[:1]:
            raise VehicleRetired(vehicle.vin)
        return vehicles

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        choices = [attrs.pop(name, None) for name in ("vehicle_ids", "failed_of_campaign")]
        by_filter = attrs.get("vehicle_filter")
        chosen = [choice for choice in (*choices, by_filter) if choice is not None]
        if len(chosen) != 1:
            message = (
                "Choose the vehicles by one of `vehicle_ids`, `vehicle_filter` and "
                "`failed_of_campaign`."
            )
            raise ValidationError({"vehicle_ids": message})
        attrs["vehicles"] = chosen[0] if by_filter is None else self._filtered(by_filter)
        return attrs

    def _filtered(self, choice: Any) -> Any:
        try:
            vehicles = filtered(choice, self.context["request"].user)
        except ValidationError as error:
            raise ValidationError({"vehicle_filter": error.detail}) from error
        if vehicles.order_by()[plan.MAX_VEHICLES :].exists():
            message = f"The filter matches more than {plan.MAX_VEHICLES} vehicles. Narrow it down."
            raise ValidationError({"vehicle_filter": message})
        if not vehicles.exists():
            message = "The filter matches no vehicle. Change or remove a condition."
            raise ValidationError({"vehicle_filter": message})
        return vehicles


class PlanSerializer(ManyVehiclesSerializer):
    """The vehicles and the windows of a campaign."""

    windows = WindowSerializer(many=True, default=list)
    command_name = StrictCharField(max_length=64)

    def validate_windows(self, windows: Sequence[Any]) -> Sequence[Any]:
        if len(windows) > MAX_WINDOWS:
            raise ValidationError(f"A campaign has at most {MAX_WINDOWS} windows.")
        return windows

    def validate_command_name(self, value: str) -> str:
        return known_name(value)


class CampaignPreviewSerializer(PlanSerializer):
    windows = WindowSerializer(many=True, default=list, write_only=True)
    command_name = StrictCharField(max_length=64, write_only=True)
    vehicle_count = serializers.IntegerField(read_only=True)
    disconnected_count = serializers.IntegerField(
        read_only=True, help_text="Those whose commands would wait until they are back, or expire."
    )
    needs_approval = serializers.BooleanField(read_only=True)
    next_window = serializers.DateTimeField(read_only=True, allow_null=True)

    def to_representation(self, choice: Any) -> dict[str, Any]:
        vehicles = choice["vehicles"].order_by()
        count = vehicles.count()
        return {
            "vehicle_count": count,
            "disconnected_count": count - vehicles.filter(is_connected()).count(),
            "needs_approval": plan.must_be_approved(choice["command_name"], count),
            "next_window": plan.first_window(choice["windows"]),
        }


class CampaignSerializer(PlanSerializer, serializers.ModelSerializer[Campaign]):
    command_params = serializers.DictField(default=dict)
    vehicle_count = StrictIntegerField(min_value=1, max_value=plan.MAX_VEHICLES, required=False)
    waves = serializers.ListField(
        child=StrictIntegerField(min_value=1, max_value=100),
        default=lambda: [100],
        min_length=1,
        max_length=100,
        help_text="Cumulative percentages of the vehicles, rounded up.",
    )
    go_on_below_failed_percent = StrictIntegerField(
        min_value=0,
        max_value=100,
        allow_null=True,
        default=None,
        help_text="When more of a wave have failed, the campaign ends.",
    )
    retries = StrictIntegerField(
        min_value=0, max_value=10, default=0, help_text="Further tries of safe commands."
    )
    expires_at = serializers.DateTimeField(required=False, validators=[check_instant])
    needs_approval = serializers.BooleanField(default=False)
    state = serializers.ChoiceField(CampaignState.choices, read_only=True)
    stop_reason = serializers.ChoiceField(CampaignStop.choices, allow_blank=True, read_only=True)
    submitted_by = serializers.CharField(source="submitted_by.username", read_only=True)
    approved_by = serializers.CharField(
        source="approved_by.username", read_only=True, allow_null=True, default=None
    )
    next_window = serializers.SerializerMethodField(
        help_text="When the window opens that is open or opens next."
    )
    progress = WaveSerializer(source="wave_rows", many=True, read_only=True)

    class Meta:
        model = Campaign
        fields = [
            "campaign_id",
            "state",
            "stop_reason",
            "command_name",
            "command_params",
            "vehicle_ids",
            "vehicle_filter",
            "failed_of_campaign",
            "vehicle_count",
            "waves",
            "go_on_below_failed_percent",
            "windows",
            "next_window",
            "retries",
            "expires_at",
            "needs_approval",
            "submitted_by",
            "approved_by",
            "created_at",
            "started_at",
            "ended_at",
            "progress",
        ]
        read_only_fields = ["campaign_id", "created_at", "started_at", "ended_at"]

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_window(self, campaign: Campaign) -> datetime | None:
        has_ended = campaign.state == CampaignState.ENDED
        return None if has_ended else plan.first_window(campaign.windows)

    def validate_waves(self, waves: list[int]) -> list[int]:
        if waves != sorted(set(waves)) or waves[-1] != 100:
            raise ValidationError("Must rise, and end with 100.")
        return waves

    def validate_expires_at(self, value: datetime) -> datetime:
        now = timezone.now()
        if not now < value <= now + LONGEST:
            raise ValidationError(f"Must lie within the next {LONGEST.days} days.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        vehicles = attrs.pop("vehicles")
        attrs["command_params"] = check_command(
            attrs, _odd_ones(vehicles), self.context["request"].user
        )
        if not is_safe_to_repeat(attrs["command_name"]):
            self._check_unsafe(attrs)
        count = attrs.pop("vehicle_count", None)
        if count is not None:
            _check_count(count, vehicles.count())
        return attrs | {"vehicles": vehicles}

    def _check_unsafe(self, attrs: dict[str, Any]) -> None:
        name = attrs["command_name"]
        if not self.context["request"].user.has_perm("commands.send_unsafe_to_many"):
            raise PermissionDenied(
                f"{name} is not safe to repeat. Sending it to many vehicles needs the permission "
                "commands.send_unsafe_to_many (group Fleet admins)."
            )
        if "vehicle_count" not in attrs:
            message = f"Required for {name}: the number of vehicles that you mean."
            raise ValidationError({"vehicle_count": message})
        if attrs["retries"]:
            message = f"{name} is not safe to repeat, so it is never tried again. Give 0."
            raise ValidationError({"retries": message})

    def create(self, validated_data: dict[str, Any]) -> Campaign:
        vehicles = validated_data.pop("vehicles")
        expires_at = validated_data.pop("expires_at", timezone.now() + DEFAULT_LIFETIME)
        user = self.context["request"].user
        campaign = Campaign(**validated_data, expires_at=expires_at, submitted_by=user)
        plan.write(campaign, vehicles)
        return campaign


class OneCampaignSerializer(CampaignSerializer):
    failures = serializers.SerializerMethodField(
        help_text="The number of vehicles by the `error_code` of their last try."
    )

    estimated_end = serializers.SerializerMethodField(
        help_text="By the rate so far and the windows; null while that is unknown."
    )

    class Meta(CampaignSerializer.Meta):
        fields = [*CampaignSerializer.Meta.fields, "failures", "estimated_end"]

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_estimated_end(self, campaign: Campaign) -> datetime | None:
        return estimate.end_of(campaign, timezone.now())

    def get_failures(self, campaign: Campaign) -> dict[str, int]:
        rows = campaign.vehicle_rows.exclude(error_code="").order_by().values("error_code")
        return Counter({row["error_code"]: row["n"] for row in rows.annotate(n=Count("*"))})


def _odd_ones(vehicles: Any) -> list[Vehicle]:
    """Return a vehicle of each connector: all that the check of a command has to see."""
    connectors = vehicles.order_by().values_list("connector", flat=True).distinct()
    return [vehicles.filter(connector=name).first() for name in connectors]


def _check_count(wanted: int, chosen: int) -> None:
    if wanted != chosen:
        message = f"{chosen} vehicles are chosen, not {wanted}. Check the choice, and send again."
        raise ValidationError({"vehicle_count": message})
