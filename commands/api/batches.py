"""The REST API of batches: one command for many vehicles."""

from typing import Any

import django_filters
from django.core.validators import RegexValidator
from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from commands import audit, batches, lifecycle, results
from commands.api.commands.serializers import (
    CommandSerializer,
    TimingSerializer,
    check_command,
    expires_of,
    known_name,
)
from commands.api.exceptions import Ended
from commands.api.pagination import Pages
from commands.api.results.serializers import SummarySerializer
from commands.api.schema.marks import errors, submission
from commands.api.submission import IdempotentCreateMixin, MaySubmit
from commands.api.submission_limit import CommandThrottle
from commands.api.vehicle_choice import (
    VehicleChoiceSerializer,
    VehiclePreviewSerializer,
    check_set,
)
from commands.batches import MAX_VEHICLES
from commands.catalogue import is_safe_to_repeat
from commands.models import (
    Action,
    Batch,
    Command,
    CommandQuerySet,
    ErrorCode,
    Status,
    StopReason,
)
from vehicles.connectors import dtc
from vehicles.models import Vehicle
from vehicles.serializers import StrictCharField, StrictIntegerField, VehicleSerializer


class CountsSerializer(serializers.Serializer[Any]):
    """Number of commands by status."""

    def get_fields(self) -> dict[str, Any]:
        return {status: serializers.IntegerField(min_value=0) for status in Status.values}


class BatchSerializer(
    TimingSerializer, VehicleChoiceSerializer, serializers.ModelSerializer[Batch]
):
    name = StrictCharField(max_length=100, default="", allow_blank=True)
    reason = StrictCharField(max_length=500, default="", allow_blank=True)
    command_params = serializers.DictField(default=dict)
    submitted_by = serializers.CharField(source="submitted_by.username", read_only=True)
    vehicle_count = StrictIntegerField(min_value=1, max_value=MAX_VEHICLES, required=False)
    vehicle_set = StrictCharField(
        max_length=64,
        required=False,
        write_only=True,
        help_text="The digest of the vehicles, from `preview/`.",
    )
    stop_above_failed_percent = StrictIntegerField(
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
            "name",
            "reason",
            "command_name",
            "command_params",
            "vehicle_ids",
            "vehicle_filter",
            "submitted_by",
            "submitted_at",
            "expires_in_seconds",
            "not_before",
            "expires_at",
            "priority",
            "vehicle_count",
            "vehicle_set",
            "stop_above_failed_percent",
            "stopped_at",
            "stop_reason",
            "counts",
            "has_ended",
            "ended_at",
        ]
        read_only_fields = ["batch_id", "submitted_at", "expires_at", "stopped_at"]

    def get_has_ended(self, batch: Any) -> bool:
        return batches.has_ended(batch.counts)

    def validate_command_name(self, value: str) -> str:
        return known_name(value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        user = self.context["request"].user
        attrs["command_params"] = check_command(attrs, attrs["vehicles"], user)
        if not is_safe_to_repeat(attrs["command_name"]):
            self._check_unsafe(attrs)
        self._check_count(attrs)
        check_set(attrs)
        return attrs

    def _check_unsafe(self, attrs: dict[str, Any]) -> None:
        name = attrs["command_name"]
        if not self.context["request"].user.has_perm("commands.send_unsafe_to_many"):
            raise PermissionDenied(
                f"{name} is not safe to repeat. Sending it to many vehicles needs the permission "
                "commands.send_unsafe_to_many (group Fleet admins)."
            )
        if "vehicle_count" not in attrs:
            raise ValidationError(
                {"vehicle_count": f"Required for {name}: the number of vehicles that you mean."}
            )
        if "vehicle_filter" in attrs and "vehicle_set" not in attrs:
            message = f"Required for {name} by filter. Get it from POST /api/v1/batches/preview/."
            raise ValidationError({"vehicle_set": message})

    def _check_count(self, attrs: dict[str, Any]) -> None:
        chosen = len(attrs["vehicles"])
        wanted = attrs.get("vehicle_count", chosen)
        if wanted != chosen:
            message = (
                f"{chosen} vehicles are chosen, not {wanted}. Check the choice, and send again."
            )
            raise ValidationError({"vehicle_count": message})

    def create(self, validated_data: dict[str, Any]) -> Any:
        batch = Batch(
            name=validated_data["name"],
            reason=validated_data["reason"],
            command_name=validated_data["command_name"],
            command_params=validated_data["command_params"],
            submitted_by=self.context["request"].user,
            stop_above_failed_percent=validated_data["stop_above_failed_percent"],
            not_before=validated_data["not_before"],
            priority=validated_data["priority"],
        )
        expires = expires_of(validated_data)
        self.first_command = batches.submit(batch, validated_data["vehicles"], expires)
        return batches.as_submitted(batch)


class BatchFilter(django_filters.FilterSet):
    command_name = django_filters.CharFilter(max_length=64)
    submitted_by = django_filters.CharFilter(field_name="submitted_by__username", max_length=150)


class ResultFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=Status.choices)
    error_code = django_filters.ChoiceFilter(choices=ErrorCode.choices)
    dtc_code = django_filters.CharFilter(
        method="filter_code",
        max_length=8,
        validators=[RegexValidator(dtc.PATTERN, "Must be a trouble code such as P0420.")],
        label="A trouble code that the vehicle reported",
    )

    def filter_code(self, commands: CommandQuerySet, name: str, value: str) -> CommandQuerySet:
        return results.with_code(commands, value)


class TargetSerializer(VehicleSerializer):
    class Meta(VehicleSerializer.Meta):
        fields = ["vehicle_id", "vin", "make", "model", "year", "connection_status"]


class ResultSerializer(CommandSerializer):
    vehicle = TargetSerializer(read_only=True)
    answers = serializers.ListField(
        child=serializers.DictField(),
        read_only=True,
        help_text="The last 20 responses since the last claim, or as many as fit into 16 KiB.",
    )
    answers_left_off = serializers.IntegerField(read_only=True)

    class Meta(CommandSerializer.Meta):
        fields = [*CommandSerializer.Meta.fields, "vehicle", "answers", "answers_left_off"]


class BatchPages(Pages):
    max_page_size = 100  # rows have counts or responses, which are more work


@extend_schema_view(
    list=extend_schema(summary="List batches"),
    retrieve=extend_schema(summary="Look at a batch"),
    create=extend_schema(
        summary="Send one command to many vehicles", extensions=submission("BatchSubmission")
    ),
)
class BatchViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, IdempotentCreateMixin):
    """Batches: yours, or all of them with the permission to view commands."""

    queryset = Batch.objects.none()
    serializer_class = BatchSerializer
    filterset_class = BatchFilter
    pagination_class = BatchPages
    lookup_field = "batch_id"
    lookup_by_command = "commands"
    orderings = [("-submitted_at", "-batch_id"), ("submitted_at", "batch_id")]

    def get_queryset(self) -> Any:
        visible = Batch.objects.visible_to(self.request.user).select_related("submitted_by")
        return batches.with_counts(visible)

    def get_permissions(self) -> list[Any]:
        writes = self.action in ("create", "cancel")
        return [IsAuthenticated(), MaySubmit()] if writes else [IsAuthenticated()]

    def get_throttles(self) -> list[Any]:
        return [CommandThrottle()] if self.action == "create" else []

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Submit one command for many vehicles: for all of them, or for none. With an
        Idempotency-Key a repeat within 24 hours gets the first response again."""
        return self.submit_once(request)

    @transaction.atomic(savepoint=False)
    def write(self, request: Request) -> tuple[Command, Any]:
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        batch = serializer.save()
        about = {"command_name": batch.command_name, "vehicles": batch.vehicle_count}
        about |= {key: text for key in ("name", "reason") if (text := getattr(batch, key))}
        audit.record(request, Action.SUBMIT, batch.pk, **about)
        if "vehicle_count" in serializer.validated_data:
            audit.record(request, Action.CONFIRM, batch.pk, **about)
        return serializer.first_command, serializer.data

    @extend_schema(
        summary="Count the vehicles of a choice",
        operation_id="v1_batches_preview",
        responses={200: VehiclePreviewSerializer},
    )
    @action(detail=False, methods=["post"], serializer_class=VehiclePreviewSerializer)
    def preview(self, request: Request) -> Response:
        """The number of vehicles that a batch would be sent to now, and a digest of exactly
        these. Nothing is submitted."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.to_representation(serializer.validated_data))

    @extend_schema(
        summary="The responses of each vehicle of a batch",
        responses={200: ResultSerializer(many=True)},
    )
    @action(
        detail=True,
        serializer_class=ResultSerializer,
        filterset_class=ResultFilter,
        orderings=[("vin",)],
    )
    def results(self, request: Request, batch_id: str) -> Response:
        """List the commands of a batch by VIN, each with its vehicle and its last responses."""
        batch = self._visible_batch()
        commands = self.filter_queryset(batch.commands.order_by())
        page = self.paginate_queryset(Vehicle.objects.filter(commands__in=commands))
        rows = self.get_serializer(batches.results(batch, page or []), many=True)
        return self.get_paginated_response(rows.data)

    @extend_schema(
        summary="The answer of a batch over all vehicles", responses={200: SummarySerializer}
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def summary(self, request: Request, batch_id: str) -> Response:
        """Count the trouble codes, or the values, that the vehicles of a batch have reported, and
        its failures by reason."""
        return Response(SummarySerializer(results.of_batch(self._visible_batch())).data)

    @extend_schema(
        summary="Cancel the rest of a batch",
        extensions=errors(409),
        request=None,
        responses={200: BatchSerializer},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, batch_id: str) -> Response:
        """Cancel the pending commands, and ask the running ones to stop."""
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
