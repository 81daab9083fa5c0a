"""Commands as the API reads and writes them, and the checks of a submission."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError

from commands.api.exceptions import VehicleRetired
from commands.api.pagination import check_instant
from commands.catalogue import COMMAND_TYPES
from commands.models import Command, CommandQuerySet, ErrorCode, Priority, Status
from vehicles.models import Vehicle
from vehicles.serializers import StrictIntegerField, StrictSerializer

MAX_EXPIRES_SECONDS = 30 * 24 * 3600
LATEST_START = timedelta(days=365)  # of `not_before`, from now
WRONG_CONFIRMATION = (
    "Not the last six characters of this vehicle's VIN. Check that it is the vehicle you mean."
)


def check_all_found(what: str, ids: Iterable[UUID], found: Iterable[UUID]) -> None:
    """Raise ValidationError that names the missing IDs."""
    missing = sorted(str(pk) for pk in set(ids) - set(found))
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise ValidationError(f"There is no {what} {', '.join(missing[:10])}{more}.")


def known_name(command_name: str) -> str:
    if command_name not in COMMAND_TYPES:
        raise ValidationError(f"Unknown command. Known: {', '.join(COMMAND_TYPES)}.")
    return command_name


def check_command(attrs: Any, vehicles: Sequence[Vehicle], user: Any) -> dict[str, Any]:
    """Return the parameters as they are stored.

    Raise PermissionDenied, VehicleRetired, or ValidationError for parameters or a connector that do
    not fit.
    """
    for vehicle in vehicles:
        if vehicle.retired_at:
            raise VehicleRetired(vehicle.vin)
    command_type = COMMAND_TYPES[attrs["command_name"]]
    if errors := command_type.errors(attrs["command_params"]):
        raise ValidationError({"command_params": errors})
    if command_type.permission and not user.has_perm(command_type.permission):
        raise PermissionDenied(
            f"{command_type.name} changes more than trouble codes. Ask for the permission "
            f"{command_type.permission}, or ask a user who has it."
        )
    unable = [each for each in vehicles if each.connector not in command_type.connectors]
    if unable:
        more = f" and {len(unable) - 1} more" if len(unable) > 1 else ""
        raise ValidationError(
            {
                "command_name": f"The connector {unable[0].connector} of {unable[0].vin}{more} "
                f"cannot carry out {command_type.name}. Choose another command or vehicle."
            }
        )
    return command_type.normal_params(attrs["command_params"])


def check_start(value: datetime) -> None:
    if value > timezone.now() + LATEST_START:
        raise ValidationError(f"Must lie within the next {LATEST_START.days} days.")


class TimingSerializer(serializers.Serializer[Any]):
    """Times between which a command may be sent, and its precedence over others."""

    expires_in_seconds = StrictIntegerField(
        min_value=1,
        max_value=MAX_EXPIRES_SECONDS,
        required=False,
        write_only=True,
        help_text="How long it may wait after its submission, or after `not_before`; "
        "COMMAND_EXPIRES_SECONDS by default.",
    )
    not_before = serializers.DateTimeField(
        allow_null=True,
        default=None,
        validators=[check_instant, check_start],
        help_text="It waits until then, and holds up no later command of the vehicle.",
    )
    priority = serializers.ChoiceField(
        Priority.choices,
        default=Priority.INTERACTIVE,
        help_text="`background` comes after everything that is `interactive`.",
    )


def expires_of(wanted: Mapping[str, Any]) -> timedelta | None:
    """Return how long the commands of a valid submission may wait, or None for the default."""
    seconds = wanted.get("expires_in_seconds")
    return timedelta(seconds=seconds) if seconds else None


class CommandSerializer(TimingSerializer, StrictSerializer, serializers.ModelSerializer[Command]):
    vehicle_id = serializers.UUIDField()
    vin = serializers.CharField(source="vehicle.vin", read_only=True)
    command_params = serializers.DictField(default=dict)
    confirmation = serializers.CharField(
        write_only=True,
        required=False,
        help_text="The last six characters of the vehicle's VIN, as a proof that you mean it.",
    )
    error_code = serializers.ChoiceField(ErrorCode.choices, allow_blank=True, read_only=True)
    submitted_by = serializers.CharField(source="submitted_by.username", read_only=True)
    batch_id = serializers.UUIDField(allow_null=True, read_only=True)
    campaign_id = serializers.UUIDField(allow_null=True, read_only=True)

    class Meta:
        model = Command
        fields = [
            "command_id",
            "vehicle_id",
            "vin",
            "command_name",
            "command_params",
            "confirmation",
            "expires_in_seconds",
            "not_before",
            "priority",
            "batch_id",
            "campaign_id",
            "status",
            "error_code",
            "error_message",
            "submitted_by",
            "submitted_at",
            "started_at",
            "completed_at",
            "expires_at",
            "last_sequence_number",
        ]
        read_only_fields = ["command_id", *fields[9:]]

    def validate_vehicle_id(self, value: Any) -> Vehicle:
        vehicle: Vehicle | None = Vehicle.objects.filter(pk=value).first()
        if vehicle is None:
            raise ValidationError(f"There is no vehicle {value}. GET /api/v1/vehicles/ lists them.")
        return vehicle

    def validate_command_name(self, value: str) -> str:
        return known_name(value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        vehicle = attrs["vehicle_id"]
        attrs["command_params"] = check_command(attrs, [vehicle], self.context["request"].user)
        expected = vehicle.vin[-6:]
        if attrs.get("confirmation", expected).upper() != expected:
            raise ValidationError({"confirmation": [WRONG_CONFIRMATION]})
        return attrs


class ListedCommandSerializer(CommandSerializer):
    result = serializers.CharField(
        read_only=True,
        help_text="What the completed command found, in few words; empty for others.",
    )

    class Meta(CommandSerializer.Meta):
        fields = [*CommandSerializer.Meta.fields, "result"]


class OneCommandSerializer(CommandSerializer):
    commands_ahead = serializers.SerializerMethodField(
        help_text="Commands of all users that the vehicle carries out before this one."
    )

    class Meta(CommandSerializer.Meta):
        fields = [*CommandSerializer.Meta.fields, "commands_ahead"]

    def get_commands_ahead(self, command: Command) -> int:
        is_waiting = command.status == Status.PENDING
        return Command.objects.ahead_of(command).count() if is_waiting else 0


class CancellingSerializer(StrictSerializer):
    command_ids = serializers.ListField(
        child=serializers.UUIDField(), allow_empty=False, max_length=1_000, write_only=True
    )
    cancelled = serializers.IntegerField(read_only=True, help_text="They were pending.")
    asked_to_stop = serializers.IntegerField(read_only=True, help_text="They are running.")
    already_ended = serializers.IntegerField(read_only=True)

    def validate_command_ids(self, ids: list[UUID]) -> CommandQuerySet:
        visible = Command.objects.visible_to(self.context["request"].user).filter(pk__in=ids)
        check_all_found("command", ids, visible.values_list("pk", flat=True))
        commands: CommandQuerySet = Command.objects.filter(pk__in=ids)
        return commands
