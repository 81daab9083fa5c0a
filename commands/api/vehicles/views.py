"""The REST API of vehicles, which shows and maintains them."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from commands import audit, trouble_codes
from commands.api import bodies
from commands.api.pagination import is_filtered
from commands.api.schema.marks import errors
from commands.api.vehicle_choice import VehicleCountSerializer
from commands.api.vehicles import plain
from commands.api.vehicles import tags as tagging
from commands.api.vehicles.queue import QueuedSerializer, queue_of
from commands.api.vehicles.serializers import (
    OneVehicleSerializer,
    TroubleCodesSerializer,
    VehicleWithCommandsSerializer,
)
from commands.api.views import ApiView
from commands.models import (
    OPEN,
    Action,
    CampaignState,
    CampaignVehicle,
    Command,
    CommandQuerySet,
    Note,
)
from commands.notifications import wake_probes
from vehicles import probes
from vehicles.api import MayViewVehicles, VehicleViewSet
from vehicles.connectors import CONNECTORS
from vehicles.models import Vehicle, VehicleQuerySet
from vehicles.serializers import VIN_IS_TAKEN, ConnectorsSerializer

NEEDS = {
    "create": "vehicles.add_vehicle",
    "partial_update": "vehicles.change_vehicle",
    "destroy": "vehicles.delete_vehicle",
    "probe": "vehicles.change_vehicle",
    "retire": "vehicles.change_vehicle",
    "restore": "vehicles.change_vehicle",
    "tags": "vehicles.change_vehicle",
    "preview_tags": "vehicles.change_vehicle",
}


class MayMaintain(BasePermission):
    """Permission of its own for each way of changing vehicles."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        permission = NEEDS[view.action]  # type: ignore[attr-defined]
        self.message = f"You may not do this. Ask for the permission {permission}."
        return request.user.has_perm(permission)


class HasCommands(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "has_commands"
    default_detail = (
        "The vehicle has commands or is in a campaign, which are kept with it. Only a vehicle "
        "without any is deleted."
    )


class HasOpenCommands(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "has_open_commands"
    default_detail = (
        "Commands of the vehicle have not ended, or a campaign still counts on it. Wait until they "
        "end, or cancel them, and retire it then."
    )


@extend_schema_view(
    list=extend_schema(summary="Find vehicles"),
    retrieve=extend_schema(summary="Look at a vehicle"),
    create=extend_schema(summary="Add a vehicle"),
    partial_update=extend_schema(summary="Change a vehicle"),
    destroy=extend_schema(summary="Delete a vehicle", extensions=errors(409)),
)
class VehiclesWithCommands(ApiView, VehicleViewSet):
    """Vehicles that commands can be sent to, and how each is reached."""

    serializer_class = VehicleWithCommandsSerializer

    def get_serializer_class(self) -> type[Any]:
        return OneVehicleSerializer if self.action == "retrieve" else super().get_serializer_class()

    def get_permissions(self) -> list[Any]:
        if self.action in NEEDS:
            return [IsAuthenticated(), MayMaintain()]
        return [IsAuthenticated(), MayViewVehicles()]

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if is_filtered(request, self.filterset_class):
            found = self.filter_queryset(self.get_queryset()).values(*plain.columns())
        else:
            found = plain.listing(request.user)
        page = self.paginate_queryset(found) or []
        return self.get_paginated_response(plain.bodies_of(page))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        vehicle = self.get_object()
        queue = QueuedSerializer(queue_of(vehicle, request.user), many=True)
        return Response(self._body_of(vehicle) | {"queue": queue.data})

    def _body_of(self, vehicle: Vehicle) -> dict[str, Any]:
        return bodies.body_of(self.get_serializer_class(), vehicle)

    def create(self, request: Request) -> Response:
        """Add a vehicle. A worker probes it at once."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        _save(serializer)
        return Response(serializer.data, status.HTTP_201_CREATED)

    @transaction.atomic
    def partial_update(self, request: Request, vehicle_id: str) -> Response:
        """Change a vehicle. With other settings it is disconnected until it is probed."""
        vehicle = self._locked()
        serializer = self.get_serializer(vehicle, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        _save(serializer)
        return Response(self.get_serializer(self.get_object()).data)

    @transaction.atomic
    def destroy(self, request: Request, vehicle_id: str) -> Response:
        """Delete a vehicle that has no commands."""
        vehicle = self._locked()
        is_planned = CampaignVehicle.objects.filter(vehicle=vehicle)
        if vehicle.commands.exists() or is_planned.exists():
            raise HasCommands
        audit.record(request, Action.DELETE_VEHICLE, vehicle.pk, vin=vehicle.vin)
        vehicle.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="Retire a vehicle",
        extensions=errors(409),
        request=None,
        responses={200: VehicleWithCommandsSerializer},
    )
    @action(detail=True, methods=["post"])
    @transaction.atomic
    def retire(self, request: Request, vehicle_id: str) -> Response:
        """Take a vehicle out of use: it is hidden from lists, not probed, and sent no new
        commands. Its history stays."""
        vehicle = self._locked()
        counting = CampaignVehicle.objects.exclude(campaign__state=CampaignState.ENDED)
        is_planned = counting.filter(vehicle=vehicle)
        if vehicle.commands.filter(status__in=OPEN).exists() or is_planned.exists():
            raise HasOpenCommands
        return self._set_retired(request, vehicle, timezone.now(), Action.RETIRE_VEHICLE)

    @extend_schema(
        summary="Restore a retired vehicle",
        request=None,
        responses={200: VehicleWithCommandsSerializer},
    )
    @action(detail=True, methods=["post"])
    @transaction.atomic
    def restore(self, request: Request, vehicle_id: str) -> Response:
        """Take a retired vehicle into use again."""
        return self._set_retired(request, self._locked(), None, Action.RESTORE_VEHICLE)

    def _set_retired(
        self, request: Request, vehicle: Vehicle, at: datetime | None, what: Action
    ) -> Response:
        if bool(vehicle.retired_at) != bool(at):
            vehicle.retired_at = at
            vehicle.save(update_fields=["retired_at"])
            audit.record(request, what, vehicle.pk, vin=vehicle.vin)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Test the connection to a vehicle",
        request=None,
        responses={202: VehicleWithCommandsSerializer},
    )
    @action(detail=True, methods=["post"])
    def probe(self, request: Request, vehicle_id: str) -> Response:
        """Test the connection: a worker asks the vehicle, its gateway and its ECUs at once.
        `probe_requested_at` becomes null when it has been done."""
        vehicle = self.get_object()
        with transaction.atomic():
            probes.request_test(vehicle)
            audit.record(request, Action.TEST_CONNECTION, vehicle.pk, vin=vehicle.vin)
            wake_probes()
        return Response(self.get_serializer(self.get_object()).data, status.HTTP_202_ACCEPTED)

    @extend_schema(
        summary="Add and remove tags of many vehicles",
        request=tagging.TagsSerializer,
        responses={200: tagging.TagsSerializer},
    )
    @action(detail=False, methods=["post"], pagination_class=None, filterset_class=None)
    @transaction.atomic
    def tags(self, request: Request) -> Response:
        """Give tags to vehicles, and take others from them. Their other tags stay."""
        context = self.get_serializer_context()
        serializer = tagging.TagsSerializer(data=request.data, context=context)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)

    @extend_schema(
        summary="List the tags in use",
        operation_id="v1_vehicles_tags_list",
        responses={200: tagging.TagCountsSerializer},
    )
    @tags.mapping.get
    def list_tags(self, request: Request) -> Response:
        """List each tag with the number of vehicles that have it, the most frequent first."""
        page = {"next": None, "previous": None, "results": tagging.in_use()}
        return Response(tagging.TagCountsSerializer(page).data)

    @extend_schema(
        summary="Count the vehicles whose tags would be changed",
        operation_id="v1_vehicles_tags_preview",
        request=VehicleCountSerializer,
        responses={200: VehicleCountSerializer},
    )
    @action(
        detail=False,
        methods=["post"],
        url_path="tags/preview",
        pagination_class=None,
        filterset_class=None,
    )
    def preview_tags(self, request: Request) -> Response:
        """Count the vehicles of a choice, before their tags are changed."""
        context = self.get_serializer_context()
        serializer = VehicleCountSerializer(data=request.data, context=context)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.data)

    def _locked(self) -> Vehicle:
        """Return the vehicle; nobody else changes it until the transaction ends."""
        pk = self.get_object().pk
        vehicle: Vehicle = get_object_or_404(Vehicle.objects.select_for_update(), pk=pk)
        return vehicle

    def get_queryset(self) -> VehicleQuerySet:
        vehicles: VehicleQuerySet = super().get_queryset()  # type: ignore[assignment]
        if self.action == "list" and not self.request.query_params.get("retired"):
            vehicles = vehicles.in_use()
        visible: CommandQuerySet = Command.objects.visible_to(self.request.user)
        vehicles = plain.with_waiting(vehicles, visible)
        if self.action != "retrieve":
            return vehicles
        evidence = trouble_codes.evidence(vehicle=OuterRef("pk")).values("completed_at")[:1]
        notes = Note.objects.filter(vehicle=OuterRef("pk")).values("vehicle")
        return vehicles.annotate(
            trouble_codes_at=Subquery(evidence),
            note_count=Coalesce(Subquery(notes.values(count=Count("*"))), 0),
        )

    @extend_schema(summary="The trouble codes of a vehicle", responses=TroubleCodesSerializer)
    @action(detail=True, url_path="trouble-codes", pagination_class=None, filterset_class=None)
    def trouble_codes(self, request: Request, vehicle_id: str) -> Response:
        """The vehicle's trouble codes as last read, and their history, from the last 200 completed
        ReadDTC, ClearDTC and ScanVehicle commands of all users."""
        vehicle = self.get_object()
        history, is_complete = trouble_codes.of_vehicle(vehicle, request.user)
        body = {
            "vehicle_id": vehicle.pk,
            "control_units": history.control_units,
            "stored": history.stored,
            "timeline": history.newest_first,
            "scans": history.scans,
            "is_complete": is_complete,
        }
        return Response(TroubleCodesSerializer(body).data)


def _save(serializer: BaseSerializer[Any]) -> None:
    """Save, or raise ValidationError if another request was faster to take the VIN."""
    try:
        with transaction.atomic():
            serializer.save()
    except IntegrityError as error:
        others = Vehicle.objects.filter(vin=serializer.validated_data.get("vin"))
        if not others.exists():
            raise
        raise ValidationError({"vin": [VIN_IS_TAKEN]}) from error


class ConnectorsView(ApiView):
    """The ways of reaching vehicles, with the JSON Schema of each one's settings."""

    @extend_schema(
        summary="List the ways of reaching vehicles",
        operation_id="v1_connectors_list",
        responses=ConnectorsSerializer,
    )
    def get(self, request: Request) -> Response:
        page = {"next": None, "previous": None, "results": CONNECTORS.values()}
        return Response(ConnectorsSerializer(page).data)
