"""The REST API of vehicles, with what the commands tell of them."""

from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from commands import trouble_codes
from commands.models import Command, CommandQuerySet, Status
from vehicles.api import VehicleSerializer, VehicleViewSet
from vehicles.models import VehicleQuerySet


class VehicleWithCommandsSerializer(VehicleSerializer):
    commands_waiting = serializers.IntegerField(
        read_only=True, help_text="Pending commands, of those that you may see."
    )

    class Meta(VehicleSerializer.Meta):
        fields = [*VehicleSerializer.Meta.fields, "commands_waiting"]


class ControlUnitSerializer(serializers.Serializer[Any]):
    """Whose trouble codes were read, and when last."""

    ecu_address = serializers.CharField()
    read_at = serializers.DateTimeField()
    command_id = serializers.UUIDField()
    submitted_by = serializers.CharField()


class StoredCodeSerializer(serializers.Serializer[trouble_codes.Stored]):
    ecu_address = serializers.CharField()
    dtc_code = serializers.CharField(source="code.dtc_code")
    description = serializers.CharField(source="code.description")
    status = serializers.CharField(source="code.status")
    status_bits = serializers.ListField(source="code.status_bits", child=serializers.CharField())
    confirmed = serializers.BooleanField(source="code.confirmed", allow_null=True)
    first_seen_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(source="read.at")
    command_id = serializers.UUIDField(source="read.command_id")


class ChangeSerializer(serializers.Serializer[trouble_codes.Change]):
    at = serializers.DateTimeField(source="origin.at")
    change = serializers.ChoiceField(
        trouble_codes.CHANGES,
        help_text="`cleared`: by a ClearDTC. `gone`: a later read no longer has it, and no "
        "command that you may see has cleared it.",
    )
    ecu_address = serializers.CharField()
    dtc_code = serializers.CharField(source="code.dtc_code")
    description = serializers.CharField(source="code.description")
    status = serializers.CharField(allow_null=True, help_text="null: it is no longer stored")
    previous_status = serializers.CharField(allow_null=True, help_text="null: it was not stored")
    command_id = serializers.UUIDField(source="origin.command_id")
    submitted_by = serializers.CharField(source="origin.submitted_by")


class TroubleCodesSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.UUIDField()
    control_units = ControlUnitSerializer(many=True)
    stored = StoredCodeSerializer(
        many=True, help_text="As last read, without what was cleared since."
    )
    timeline = ChangeSerializer(many=True, help_text="Newest first.")
    is_complete = serializers.BooleanField(
        help_text="false: there are more commands or answers than were looked at, or some answers "
        "were not understood."
    )


class VehiclesWithCommands(VehicleViewSet):
    serializer_class = VehicleWithCommandsSerializer
    __doc__ = VehicleViewSet.__doc__

    def get_queryset(self) -> VehicleQuerySet:
        vehicles: VehicleQuerySet = super().get_queryset()  # type: ignore[assignment]
        visible: CommandQuerySet = Command.objects.visible_to(self.request.user)
        waiting = visible.filter(vehicle=OuterRef("pk"), status=Status.PENDING)
        count = waiting.order_by().values("vehicle").values(count=Count("*"))
        return vehicles.annotate(commands_waiting=Coalesce(Subquery(count), 0))

    @extend_schema(responses=TroubleCodesSerializer)
    @action(detail=True, url_path="trouble-codes", pagination_class=None, filterset_class=None)
    def trouble_codes(self, request: Request, vehicle_id: str) -> Response:
        """The vehicle's trouble codes as last read, and what became of them, from the last 200
        completed ReadDTC and ClearDTC commands that you may see."""
        vehicle = self.get_object()
        history, is_complete = trouble_codes.of_vehicle(vehicle, request.user)
        body = {
            "vehicle_id": vehicle.pk,
            "control_units": history.control_units,
            "stored": history.stored,
            "timeline": history.newest_first,
            "is_complete": is_complete,
        }
        return Response(TroubleCodesSerializer(body).data)
