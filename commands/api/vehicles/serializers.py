"""Vehicles as the API reads and writes them, with their queue and their trouble codes."""

from copy import copy
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands import audit, locks, trouble_codes
from commands.api.vehicles.locks import LockSerializer
from commands.api.vehicles.queue import NOT_VISIBLE, QueuedSerializer
from commands.models import Action
from commands.notifications import wake_probes
from vehicles import changes
from vehicles.models import Vehicle
from vehicles.serializers import VehicleSerializer

FAILURE_TYPE = "The failure type byte in words; may be empty."


class VehicleWithCommandsSerializer(VehicleSerializer):
    commands_waiting = serializers.SerializerMethodField(
        help_text="Pending commands, of those that you may see."
    )

    class Meta(VehicleSerializer.Meta):
        fields = [*VehicleSerializer.Meta.fields, "commands_waiting"]

    def get_commands_waiting(self, vehicle: Vehicle) -> int:
        return getattr(vehicle, "commands_waiting", 0)

    def create(self, validated_data: dict[str, Any]) -> Vehicle:
        return self._save(Vehicle(), None, validated_data)

    def update(self, instance: Vehicle, validated_data: dict[str, Any]) -> Vehicle:
        return self._save(instance, copy(instance), validated_data)

    @transaction.atomic
    def _save(self, vehicle: Vehicle, before: Vehicle | None, values: dict[str, Any]) -> Vehicle:
        ecus = values.pop("ecus", None)
        for name, value in values.items():
            setattr(vehicle, name, value)
        changed = changes.save(vehicle, before)
        if ecus is not None:
            changed += changes.set_ecus(vehicle, ecus)
        if changed:
            what = Action.CHANGE_VEHICLE if before else Action.ADD_VEHICLE
            request = self.context["request"]
            audit.record(request, what, vehicle.pk, vin=vehicle.vin, fields=changed)
            wake_probes()
        return vehicle


class OneVehicleSerializer(VehicleWithCommandsSerializer):
    trouble_codes_at = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="When trouble codes were last read or cleared, by any user.",
    )

    lock = serializers.SerializerMethodField(help_text="null: nobody holds it.")
    note_count = serializers.IntegerField(read_only=True)
    queue = serializers.SerializerMethodField(
        help_text="The command that runs, and the first ten in line, of all users."
    )

    class Meta(VehicleWithCommandsSerializer.Meta):
        fields = [
            *VehicleWithCommandsSerializer.Meta.fields,
            "trouble_codes_at",
            "lock",
            "note_count",
            "queue",
        ]

    @extend_schema_field(QueuedSerializer(many=True))
    def get_queue(self, vehicle: Vehicle) -> Any:
        return []  # the view adds it, because it depends on the user

    @extend_schema_field(LockSerializer(allow_null=True))
    def get_lock(self, vehicle: Vehicle) -> Any:
        lock = locks.find(vehicle)
        return LockSerializer(lock).data if lock else None


class ControlUnitSerializer(serializers.Serializer[Any]):
    """A control unit, and the last read of its trouble codes."""

    ecu_address = serializers.CharField()
    read_at = serializers.DateTimeField()
    command_id = serializers.UUIDField(allow_null=True, help_text=NOT_VISIBLE)
    submitted_by = serializers.CharField(allow_null=True, help_text=NOT_VISIBLE)


class StoredCodeSerializer(serializers.Serializer[trouble_codes.Stored]):
    ecu_address = serializers.CharField()
    dtc_code = serializers.CharField(source="code.dtc_code")
    description = serializers.CharField(source="code.description")
    failure_type = serializers.CharField(source="code.failure_type", help_text=FAILURE_TYPE)
    status = serializers.CharField(source="code.status")
    status_bits = serializers.ListField(source="code.status_bits", child=serializers.CharField())
    confirmed = serializers.BooleanField(source="code.confirmed", allow_null=True)
    first_seen_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(source="read.at")
    command_id = serializers.UUIDField(
        source="read.command_id", allow_null=True, help_text=NOT_VISIBLE
    )


class ChangeSerializer(serializers.Serializer[trouble_codes.Change]):
    at = serializers.DateTimeField(source="source.at")
    change = serializers.ChoiceField(
        trouble_codes.CHANGES,
        help_text="`cleared`: by a ClearDTC. `gone`: a later read no longer has it, and no "
        "command has cleared it.",
    )
    ecu_address = serializers.CharField()
    dtc_code = serializers.CharField(source="code.dtc_code")
    description = serializers.CharField(source="code.description")
    failure_type = serializers.CharField(source="code.failure_type", help_text=FAILURE_TYPE)
    status = serializers.CharField(allow_null=True, help_text="null: it is no longer stored")
    previous_status = serializers.CharField(allow_null=True, help_text="null: it was not stored")
    command_id = serializers.UUIDField(
        source="source.command_id", allow_null=True, help_text=NOT_VISIBLE
    )
    submitted_by = serializers.CharField(
        source="source.submitted_by", allow_null=True, help_text=NOT_VISIBLE
    )


class ScanMarkSerializer(serializers.Serializer[Any]):
    """A completed scan of the whole vehicle."""

    at = serializers.DateTimeField()
    command_id = serializers.UUIDField(allow_null=True, help_text=NOT_VISIBLE)
    submitted_by = serializers.CharField(allow_null=True, help_text=NOT_VISIBLE)


class TroubleCodesSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.UUIDField()
    control_units = ControlUnitSerializer(many=True)
    stored = StoredCodeSerializer(
        many=True, help_text="As last read, without what was cleared since."
    )
    timeline = ChangeSerializer(many=True, help_text="Newest first.")
    scans = ScanMarkSerializer(many=True, help_text="Newest first.")
    is_complete = serializers.BooleanField(
        help_text="false: there are more commands or responses than were read, or some responses "
        "were not understood."
    )
