"""The REST API of batches: one command for many vehicles."""

from typing import Any
from uuid import UUID

import django_filters
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from commands import audit, batches, lifecycle
from commands.api import (
    CommandSerializer,
    Ended,
    MaySubmit,
    StrictSerializer,
    SubmitsOnce,
    check_all_found,
)
from commands.batches import MOST_VEHICLES
from commands.catalogue import COMMAND_TYPES
from commands.limits import CommandThrottle
from commands.models import Action, Batch, Command, IdempotencyKey, Status, StopReason
from sovd.pagination import Pages
from vehicles.api import VehicleFilter, VehicleSerializer
from vehicles.models import Vehicle


class WholeNumber(serializers.IntegerField):
    """Not also a text or a fraction that could be taken for one."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """Not also a number that could be written as one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class CountsSerializer(serializers.Serializer[Any]):
    """How many of its commands have which status."""

    def get_fields(self) -> dict[str, Any]:
        return {status: serializers.IntegerField(min_value=0) for status in Status.values}


class BatchSerializer(StrictSerializer, serializers.ModelSerializer[Batch]):
    command_params = serializers.DictField(default=dict)
    submitted_by = serializers.CharField(source="submitted_by.username", read_only=True)
    vehicle_ids = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        allow_empty=False,
        max_length=MOST_VEHICLES,
        write_only=True,
    )
    vehicle_filter = serializers.DictField(
        child=Text(allow_blank=True),
        required=False,
        write_only=True,
        help_text="As the list of vehicles finds them; empty for all.",
    )
    vehicle_count = WholeNumber(min_value=1, max_value=MOST_VEHICLES, required=False)
    stop_above_failed_percent = WholeNumber(
        min_value=0, max_value=100, allow_null=True, default=None
    )
    stop_reason = serializers.ChoiceField(StopReason.choices, allow_blank=True, read_only=True)
    counts = CountsSerializer(read_only=True)
    has_ended = serializers.SerializerMethodField()
    ended_at = serializers.DateTimeField(
        allow_null=True, read_only=True, help_text="When the last of its commands ended."
    )

    class Meta:
        model = Batch
        fields = [
            "batch_id",
            "command_name",
            "command_params",
            "vehicle_ids",
            "vehicle_filter",
            "submitted_by",
            "submitted_at",
            "vehicle_count",
            "stop_above_failed_percent",
            "stopped_at",
            "stop_reason",
            "counts",
            "has_ended",
            "ended_at",
        ]
        read_only_fields = ["batch_id", "submitted_at", "stopped_at"]

    def get_has_ended(self, batch: Any) -> bool:
        return batches.has_ended(batch.counts)

    def validate_vehicle_ids(self, ids: list[UUID]) -> list[Vehicle]:
        if len(set(ids)) < len(ids):
            raise ValidationError("Each vehicle may be named once.")
        vehicles = list(Vehicle.objects.filter(pk__in=ids))
        check_all_found("vehicle", ids, [vehicle.pk for vehicle in vehicles])
        return vehicles

    def validate_vehicle_filter(self, choice: dict[str, str]) -> list[Vehicle]:
        known = VehicleFilter.base_filters
        if unknown := sorted(set(choice) - set(known)):
            message = f"Unknown filter. Known: {', '.join(known)}."
            raise ValidationError(dict.fromkeys(unknown, message))
        found = VehicleFilter(choice, Vehicle.objects.all())
        if not found.is_valid():
            raise ValidationError(dict(found.errors))
        vehicles = list(found.qs[: MOST_VEHICLES + 1])
        if not vehicles:
            raise ValidationError("No vehicle is found by it.")
        if len(vehicles) > MOST_VEHICLES:
            raise ValidationError(
                f"More than {MOST_VEHICLES} vehicles are found by it: narrow it down."
            )
        return vehicles

    def validate_command_name(self, value: str) -> str:
        return CommandSerializer().validate_command_name(value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        command_type = COMMAND_TYPES[attrs["command_name"]]
        if errors := command_type.errors(attrs["command_params"]):
            raise ValidationError({"command_params": errors})
        chosen = [attrs[name] for name in ("vehicle_ids", "vehicle_filter") if name in attrs]
        if len(chosen) != 1:
            message = "Choose the vehicles by either `vehicle_ids` or `vehicle_filter`."
            raise ValidationError({"vehicle_ids": message})
        (attrs["vehicles"],) = chosen
        if not command_type.safe_to_repeat:
            self._check_unsafe(attrs)
        self._check_count(attrs)
        return attrs

    def _check_unsafe(self, attrs: dict[str, Any]) -> None:
        name = attrs["command_name"]
        if not self.context["request"].user.has_perm("commands.send_unsafe_to_many"):
            raise PermissionDenied(
                f"{name} must not run twice. Only a fleet admin, or who else has the permission "
                "commands.send_unsafe_to_many, may send it to many vehicles at once."
            )
        if "vehicle_count" not in attrs:
            raise ValidationError(
                {"vehicle_count": f"Required for {name}: for how many vehicles it is meant."}
            )

    def _check_count(self, attrs: dict[str, Any]) -> None:
        there_are = len(attrs["vehicles"])
        wanted = attrs.get("vehicle_count", there_are)
        if wanted != there_are:
            message = f"The choice has {there_are} vehicles now, not {wanted}: look again."
            raise ValidationError({"vehicle_count": message})

    def create(self, validated_data: dict[str, Any]) -> Any:
        batch = Batch(
            command_name=validated_data["command_name"],
            command_params=validated_data["command_params"],
            submitted_by=self.context["request"].user,
            stop_above_failed_percent=validated_data["stop_above_failed_percent"],
        )
        batches.submit(batch, validated_data["vehicles"], validated_data["key"])
        return batches.as_submitted(batch)


class BatchFilter(django_filters.FilterSet):  # type: ignore[misc]
    command_name = django_filters.CharFilter(max_length=64)
    submitted_by = django_filters.CharFilter(field_name="submitted_by__username", max_length=150)


class ResultFilter(django_filters.FilterSet):  # type: ignore[misc]
    status = django_filters.ChoiceFilter(choices=Status.choices)


class TargetSerializer(VehicleSerializer):
    class Meta(VehicleSerializer.Meta):
        fields = ["vehicle_id", "vin", "make", "model", "year", "connection_status"]


class ResultSerializer(CommandSerializer):
    vehicle = TargetSerializer(read_only=True)
    answers = serializers.ListField(
        child=serializers.DictField(),
        read_only=True,
        help_text="Those that count: the last 20, or as many of them as fit into 16 KiB.",
    )
    answers_left_off = serializers.IntegerField(read_only=True)

    class Meta(CommandSerializer.Meta):
        fields = [*CommandSerializer.Meta.fields, "vehicle", "answers", "answers_left_off"]


class BatchPages(Pages):
    max_page_size = 100  # each row is counted together, or holds answers


class BatchViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, SubmitsOnce):
    """Batches: yours, or all of them with the permission to view commands."""

    queryset = Batch.objects.none()
    serializer_class = BatchSerializer
    filterset_class = BatchFilter
    pagination_class = BatchPages
    lookup_field = "batch_id"
    orderings = [("-submitted_at", "-batch_id"), ("submitted_at", "batch_id")]

    def get_queryset(self) -> Any:
        visible = Batch.objects.visible_to(self.request.user).select_related("submitted_by")
        return batches.with_counts(visible)

    def get_permissions(self) -> list[Any]:
        writes = self.action in ("create", "cancel")
        return [IsAuthenticated(), MaySubmit()] if writes else [IsAuthenticated()]

    def get_throttles(self) -> list[Any]:
        return [CommandThrottle()] if self.action == "create" else []

    def submitted_with(self, command: Command) -> Any:
        return batches.as_submitted(command.batch)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Submit one command for many vehicles: for all of them, or for none. With an
        Idempotency-Key a repeat within 24 hours gets the first answer again."""
        return self.submit_once(request)

    @transaction.atomic
    def submit(self, request: Request, serializer: Any, key: IdempotencyKey | None) -> None:
        batch = serializer.save(key=key)
        about = {"command_name": batch.command_name, "vehicles": batch.vehicle_count}
        audit.record(request, Action.SUBMIT, batch.pk, **about)
        if "vehicle_count" in serializer.validated_data:
            audit.record(request, Action.CONFIRM, batch.pk, **about)

    @extend_schema(responses={200: ResultSerializer(many=True)})
    @action(
        detail=True,
        serializer_class=ResultSerializer,
        filterset_class=ResultFilter,
        orderings=[("vin",)],
    )
    def results(self, request: Request, batch_id: str) -> Response:
        """Its commands by VIN, each with its vehicle and the last answers."""
        batch = self._visible_batch()
        commands = self.filter_queryset(batch.commands.order_by())
        page = self.paginate_queryset(Vehicle.objects.filter(commands__in=commands))
        rows = self.get_serializer(batches.results(batch, page or []), many=True)
        return self.get_paginated_response(rows.data)

    @extend_schema(request=None, responses={200: BatchSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, batch_id: str) -> Response:
        """What is pending is cancelled, and what is running is asked to stop."""
        batch = self._visible_batch()
        try:
            with transaction.atomic():
                batches.cancel(batch)
                audit.record(request, Action.CANCEL, batch.pk)
        except lifecycle.AlreadyEnded as error:
            raise Ended("batch has ended") from error
        return Response(self.get_serializer(self.get_object()).data)

    def _visible_batch(self) -> Batch:
        visible = Batch.objects.visible_to(self.request.user)
        batch: Batch = get_object_or_404(visible, pk=self.kwargs["batch_id"])
        return batch
