"""The API's routes of descriptions: ODX files by which responses are read."""

from typing import Any

from django.db import transaction
from django.db.models import Count, Prefetch
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from commands import audit
from commands.api.schema.marks import errors
from commands.api.views import ApiView
from commands.models import Action
from vehicles.api import MayViewVehicles
from vehicles.descriptions import storage
from vehicles.descriptions.models import Description, State
from vehicles.models import Vehicle

MAX_VEHICLES = 50
NEEDS = {"create": "vehicles.add_description", "destroy": "vehicles.delete_description"}


class MayMaintainDescriptions(BasePermission):
    """Permission of its own for each way of changing descriptions."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        permission = NEEDS[view.action]  # type: ignore[attr-defined]
        self.message = f"You may not do this. Ask for the permission {permission}."
        return request.user.has_perm(permission)


class IsInUse(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "description_in_use"
    default_detail = "An ECU names this description. Take it from the ECU before you delete it."


class LeftOutSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    reason = serializers.CharField()


class UserSerializer(serializers.Serializer[Any]):
    """A vehicle with ECUs that are read by a description."""

    vehicle_id = serializers.UUIDField(source="pk")
    vin = serializers.CharField()
    ecus = serializers.SerializerMethodField(help_text="Addresses.")

    def get_ecus(self, vehicle: Vehicle) -> list[str]:
        return [ecu.address for ecu in vehicle.ecus.all()]


class DescriptionSerializer(serializers.ModelSerializer[Description]):
    ecu_count = serializers.IntegerField(read_only=True, help_text="ECUs that name it.")
    vehicle_count = serializers.IntegerField(read_only=True, help_text="Vehicles of these ECUs.")
    state = serializers.ChoiceField(State.choices)
    layers = serializers.ListField(
        child=serializers.CharField(), help_text="Short names of base variants and ECU variants."
    )

    class Meta:
        model = Description
        fields = [
            "description_id",
            "file_name",
            "size",
            "state",
            "reason",
            "revision",
            "layers",
            "dtc_count",
            "did_count",
            "routine_count",
            "ecu_count",
            "vehicle_count",
            "created_at",
        ]
        read_only_fields = fields


class ImportReportSerializer(DescriptionSerializer):
    left_out = LeftOutSerializer(many=True, help_text="Elements of the file that are not used.")

    vehicles = serializers.SerializerMethodField(help_text=f"The first {MAX_VEHICLES}.")

    class Meta(DescriptionSerializer.Meta):
        fields = [*DescriptionSerializer.Meta.fields, "left_out", "vehicles"]
        read_only_fields = fields

    @extend_schema_field(UserSerializer(many=True))
    def get_vehicles(self, description: Description) -> Any:
        own = Prefetch("ecus", description.ecus.all())
        found = Vehicle.objects.filter(ecus__description=description).distinct()
        return UserSerializer(found.prefetch_related(own)[:MAX_VEHICLES], many=True).data


class UploadSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(help_text="A PDX file, of at most DESCRIPTION_MAX_MB megabytes.")

    def validate_file(self, file: Any) -> Any:
        if problem := storage.too_large(file.size):
            raise ValidationError(problem)
        return file


@extend_schema_view(
    list=extend_schema(summary="List descriptions"),
    retrieve=extend_schema(summary="Look at a description and the report of its import"),
    destroy=extend_schema(summary="Delete a description", extensions=errors(409)),
)
class DescriptionViewSet(
    ApiView,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[Description],
):
    """ODX files by which trouble codes, identifiers and routines get names and values."""

    queryset = Description.objects.annotate(
        ecu_count=Count("ecus"), vehicle_count=Count("ecus__vehicle", distinct=True)
    )
    serializer_class = ImportReportSerializer
    parser_classes = [MultiPartParser]
    lookup_field = "description_id"
    orderings = [("-created_at", "-description_id")]

    def get_serializer_class(self) -> type[Any]:
        return DescriptionSerializer if self.action == "list" else super().get_serializer_class()

    def get_permissions(self) -> list[Any]:
        is_change = self.action in NEEDS
        return [IsAuthenticated(), MayMaintainDescriptions() if is_change else MayViewVehicles()]

    @extend_schema(
        summary="Upload a PDX file",
        request={"multipart/form-data": UploadSerializer},
        responses={202: ImportReportSerializer},
    )
    def create(self, request: Request) -> Response:
        """Keep the file; a worker imports it. `state` then is `ready`, or `refused` with a
        `reason`."""
        upload = UploadSerializer(data=request.data)
        upload.is_valid(raise_exception=True)
        file = upload.validated_data["file"]
        with transaction.atomic():
            description = storage.add(file.name, file.chunks())
            name = description.file_name
            audit.record(request, Action.ADD_DESCRIPTION, description.pk, file_name=name)
        added = self.get_queryset().get(pk=description.pk)
        return Response(self.get_serializer(added).data, status.HTTP_202_ACCEPTED)

    @transaction.atomic
    def perform_destroy(self, description: Description) -> None:
        """Delete a description that no ECU names."""
        pk, name = description.pk, description.file_name
        try:
            storage.delete(description)
        except storage.InUse as error:
            raise IsInUse from error
        audit.record(self.request, Action.DELETE_DESCRIPTION, pk, file_name=name)
