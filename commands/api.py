from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import django_filters
from django.contrib.auth.models import User
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, Throttled, ValidationError
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from commands import audit, export, idempotency, lifecycle, tickets
from commands.catalogue import COMMAND_TYPES, CommandType
from commands.events import (
    MAX_SEQUENCE_NUMBER,
    ErrorFrame,
    ResponseFrame,
    StatusFrame,
    frame_of,
    read_after,
)
from commands.limits import CommandThrottle
from commands.models import (
    Action,
    Command,
    CommandQuerySet,
    ErrorCode,
    EventQuerySet,
    IdempotencyKey,
    Status,
)
from commands.search import matching
from vehicles.models import Vehicle


class TokenScheme(SimpleJWTScheme):  # type: ignore[no-untyped-call]
    """How the documentation describes our authentication."""

    target_class = "commands.authentication.TokenAuthentication"


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know, or does not let a client write."""

    def to_internal_value(self, data: Any) -> Any:
        writable = {name for name, field in self.fields.items() if not field.read_only}
        unknown = sorted(set(data) - writable) if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(sorted(writable))
            raise ValidationError({name: [f"Unknown field. Known: {known}."] for name in unknown})
        return super().to_internal_value(data)


def check_all_found(what: str, ids: Iterable[UUID], found: Iterable[UUID]) -> None:
    """Raises ValidationError, which names those that are missing."""
    missing = sorted(str(pk) for pk in set(ids) - set(found))
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise ValidationError(f"There is no {what} {', '.join(missing[:10])}{more}.")


WRONG_CONFIRMATION = (
    "Not the last six characters of this vehicle's VIN. Look whether it is the one you mean."
)


class CommandSerializer(StrictSerializer, serializers.ModelSerializer[Command]):
    vehicle_id = serializers.UUIDField()
    vin = serializers.CharField(source="vehicle.vin", read_only=True)
    command_params = serializers.DictField(default=dict)
    confirmation = serializers.CharField(
        write_only=True,
        required=False,
        help_text="The last six characters of the vehicle's VIN: that it is the one you mean.",
    )
    error_code = serializers.ChoiceField(ErrorCode.choices, allow_blank=True, read_only=True)
    submitted_by = serializers.CharField(source="submitted_by.username", read_only=True)
    batch_id = serializers.UUIDField(allow_null=True, read_only=True)

    class Meta:
        model = Command
        fields = [
            "command_id",
            "vehicle_id",
            "vin",
            "command_name",
            "command_params",
            "confirmation",
            "batch_id",
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
        read_only_fields = ["command_id", *fields[6:]]

    def validate_vehicle_id(self, value: Any) -> Vehicle:
        vehicle: Vehicle | None = Vehicle.objects.filter(pk=value).first()
        if vehicle is None:
            raise ValidationError(f"There is no vehicle {value}. GET /api/v1/vehicles/ lists them.")
        return vehicle

    def validate_command_name(self, value: str) -> str:
        if value not in COMMAND_TYPES:
            raise ValidationError(f"Unknown command. Known: {', '.join(COMMAND_TYPES)}.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        errors = COMMAND_TYPES[attrs["command_name"]].errors(attrs["command_params"])
        if errors:
            raise ValidationError({"command_params": errors})
        expected = attrs["vehicle_id"].vin[-6:]
        if attrs.get("confirmation", expected).upper() != expected:
            raise ValidationError({"confirmation": [WRONG_CONFIRMATION]})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Command:
        return lifecycle.submit(
            self.context["request"].user,
            validated_data["vehicle_id"],
            validated_data["command_name"],
            validated_data["command_params"],
            validated_data["key"],
        )


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


# Instants at the edge of the calendar overflow when they are brought to UTC.
OUT_OF_TIME = "Must lie between the years 1970 and 9000."
IN_OUR_TIME = [
    MinValueValidator(datetime(1970, 1, 1, tzinfo=UTC), OUT_OF_TIME),
    MaxValueValidator(datetime(9000, 12, 31, tzinfo=UTC), OUT_OF_TIME),
]


class SeveralField(django_filters.fields.MultipleChoiceField):  # type: ignore[misc]
    """An empty one is none, as for the other filters."""

    def to_python(self, value: Any) -> list[str]:
        return [text for text in super().to_python(value) if text]


class SeveralFilter(django_filters.MultipleChoiceFilter):  # type: ignore[misc]
    field_class = SeveralField


class CommandFilter(django_filters.FilterSet):  # type: ignore[misc]
    vehicle_id = django_filters.UUIDFilter()
    batch_id = django_filters.UUIDFilter()
    status = SeveralFilter(choices=Status.choices, method="filter_status")
    search = django_filters.CharFilter(
        method="filter_search",
        max_length=100,
        label="Part of the VIN, or the beginning of a command's ID",
    )
    command_name = django_filters.CharFilter(max_length=64)
    submitted_by = django_filters.CharFilter(field_name="submitted_by__username", max_length=150)
    submitted_after = django_filters.IsoDateTimeFilter(
        field_name="submitted_at", lookup_expr="gt", validators=IN_OUR_TIME
    )
    submitted_before = django_filters.IsoDateTimeFilter(
        field_name="submitted_at", lookup_expr="lt", validators=IN_OUR_TIME
    )

    def filter_status(
        self, commands: CommandQuerySet, name: str, values: list[str]
    ) -> CommandQuerySet:
        return commands.filter(status__in=values) if values else commands

    def filter_search(self, commands: CommandQuerySet, name: str, value: str) -> CommandQuerySet:
        return commands.filter(matching(value))


class MaySubmit(BasePermission):
    message = "You may look, but not submit or cancel: that needs the permission to add commands."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("commands.add_command")


class Ended(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "already_ended"

    def __init__(self, what: str) -> None:
        super().__init__(f"The {what}; it can no longer be cancelled.")


FORMAT = {"type": "string", "enum": list(export.KINDS), "default": "csv"}
AFTER = {"type": "integer", "minimum": 0, "maximum": MAX_SEQUENCE_NUMBER, "default": 0}
FRAME = {
    "anyOf": [
        {"$ref": f"#/components/schemas/{frame.__name__}"}  # made in sovd/schema.py
        for frame in (StatusFrame, ResponseFrame, ErrorFrame)
    ]
}
FRAMES = {
    "type": "object",
    "properties": {"results": {"type": "array", "items": FRAME}},
    "required": ["results"],
}


class AnyType(BaseContentNegotiation):
    """What is sent is said by `format`, whatever is accepted. What is wrong is said in JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type


class SubmitsOnce(GenericViewSet[Any]):
    """However often a POST with one Idempotency-Key is repeated."""

    def submitted_with(self, command: Command) -> Any:
        """What the POST of this command made, as it was then."""
        return command

    def submit(self, request: Request, serializer: Any, key: IdempotencyKey | None) -> None:
        """In one transaction, with what the audit tells of it."""
        raise NotImplementedError

    def submit_once(self, request: Request) -> Response:
        key = idempotency.key_of(request)
        try:
            return self._repeated(key) or self._submitted(request, key)
        except IntegrityError:
            # The same request was faster on another connection, or a vehicle is gone by now: what
            # is said to the next one is said to this one.
            return self._repeated(key) or self._submitted(request, key)

    def _repeated(self, key: IdempotencyKey | None) -> Response | None:
        command = idempotency.command_of(key) if key else None
        if command is None:
            return None
        first = self.get_serializer(self.submitted_with(command)).data
        return Response(first, status.HTTP_201_CREATED, headers={"Idempotent-Replayed": "true"})

    def _submitted(self, request: Request, key: IdempotencyKey | None) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self.submit(request, serializer, key)
        return Response(serializer.data, status.HTTP_201_CREATED)


class CommandViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, SubmitsOnce):
    """Commands: yours, or all of them with the permission to view commands."""

    queryset = Command.objects.none()
    serializer_class = CommandSerializer
    filterset_class = CommandFilter
    lookup_field = "command_id"
    orderings = [("-submitted_at", "-command_id"), ("submitted_at", "command_id")]

    def get_queryset(self) -> CommandQuerySet:
        commands: CommandQuerySet = Command.objects.visible_to(self.request.user)
        return commands.select_related("submitted_by", "vehicle")

    def get_permissions(self) -> list[Any]:
        writes = self.action in ("create", "cancel", "cancel_many")
        return [IsAuthenticated(), MaySubmit()] if writes else [IsAuthenticated()]

    def get_throttles(self) -> list[Any]:
        return [CommandThrottle()] if self.action == "create" else []

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Submit a command. With an Idempotency-Key a repeat within 24 hours gets the first
        answer again, and nothing is sent twice."""
        return self.submit_once(request)

    @transaction.atomic
    def submit(self, request: Request, serializer: Any, key: IdempotencyKey | None) -> None:
        command = serializer.save(key=key)
        about = {"command_name": command.command_name, "vin": command.vehicle.vin}
        audit.record(request, Action.SUBMIT, command.pk, **about)
        if "confirmation" in serializer.validated_data:
            audit.record(request, Action.CONFIRM, command.pk, **about)

    @extend_schema(
        responses={200: FRAMES},
        parameters=[OpenApiParameter("after", AFTER, description="Events beyond this number")],
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def events(self, request: Request, command_id: str) -> Response:
        """The event log, as the stream sends it."""
        return _frames(self._command().events.after(_after(request)))

    @extend_schema(responses={200: FRAMES})
    @action(detail=True, pagination_class=None, filterset_class=None)
    def responses(self, request: Request, command_id: str) -> Response:
        """The vehicle's answers that count: those since the command was last claimed."""
        return _frames(self._command().answers_that_count().order_by("sequence_number"))

    @extend_schema(
        filters=True,
        parameters=[OpenApiParameter("format", FORMAT)],
        responses={(200, "text/csv"): str, (200, "application/jsonl"): str},
    )
    @action(
        detail=False,
        url_path="export",
        pagination_class=None,
        content_negotiation_class=AnyType,
    )
    def as_file(self, request: Request) -> HttpResponseBase:
        """What the filters find, newest first, as a file: CSV or JSON Lines."""
        kind = request.query_params.get("format", "csv")
        if kind not in export.KINDS:
            raise ValidationError({"format": [f"Must be one of: {', '.join(export.KINDS)}."]})
        commands = cast(CommandQuerySet, self.filter_queryset(self.get_queryset()))
        try:
            rows = export.count(commands)
        except export.TooMany as error:
            raise ValidationError({"submitted_after": [str(error)]}) from error
        filters = {
            name: request.query_params.getlist(name)
            for name in CommandFilter.base_filters
            if name in request.query_params
        }
        if request.method == "HEAD":
            return HttpResponse(headers=export.headers_of(kind))
        try:
            file = export.file_of(commands, kind)
        except export.Busy as error:
            raise Throttled(error.wait, str(error)) from error
        audit.record(request, Action.EXPORT, format=kind, rows=rows, filters=filters)
        return file

    @extend_schema(request=None, responses={200: CommandSerializer, 202: CommandSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, command_id: str) -> Response:
        """200: it was pending and is cancelled. 202: it is running and was asked to stop."""
        command = self.get_object()
        try:
            with transaction.atomic():
                cancelled = lifecycle.cancel(command)
                audit.record(request, Action.CANCEL, command.pk)
        except lifecycle.AlreadyEnded as error:
            raise Ended(f"command is {command.status}") from error
        command.refresh_from_db()
        code = status.HTTP_200_OK if cancelled else status.HTTP_202_ACCEPTED
        return Response(self.get_serializer(command).data, status=code)

    @extend_schema(operation_id="v1_commands_cancel_many", responses={200: CancellingSerializer})
    @action(
        detail=False, methods=["post"], url_path="cancel", serializer_class=CancellingSerializer
    )
    def cancel_many(self, request: Request) -> Response:
        """Cancel those that are pending, and ask those that are running to stop."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        commands = serializer.validated_data["command_ids"]
        with transaction.atomic():
            audit.record_each(request, Action.CANCEL, commands.still_open())
            cancelled, asked_to_stop = lifecycle.cancel_many(commands)
        ended = commands.count() - cancelled - asked_to_stop
        counts = {"cancelled": cancelled, "asked_to_stop": asked_to_stop, "already_ended": ended}
        return Response(counts)

    def _command(self) -> Command:
        visible = Command.objects.visible_to(self.request.user).only("pk")
        command: Command = get_object_or_404(visible, pk=self.kwargs["command_id"])
        return command


def _frames(log: EventQuerySet) -> Response:
    return Response({"results": [frame_of(event) for event in log]})


def _after(request: Request) -> int:
    try:
        return read_after(request.query_params.get("after", "0"))
    except ValueError as error:
        raise ValidationError({"after": ["Must be a sequence number: 0 or more."]}) from error


class CommandTypeSerializer(serializers.Serializer[CommandType]):
    name = serializers.CharField()
    description = serializers.CharField()
    schema = serializers.DictField()
    safe_to_repeat = serializers.BooleanField()


class CommandTypesSerializer(serializers.Serializer[Any]):
    """One page, in the shape of every list."""

    next = serializers.URLField(allow_null=True, default=None)
    previous = serializers.URLField(allow_null=True, default=None)
    results = CommandTypeSerializer(many=True)


class CommandTypesView(APIView):
    """What may be sent to a vehicle, with the JSON Schema of each one's parameters."""

    @extend_schema(operation_id="v1_command_types_list", responses=CommandTypesSerializer)
    def get(self, request: Request) -> Response:
        page = {"next": None, "previous": None, "results": COMMAND_TYPES.values()}
        return Response(CommandTypesSerializer(page).data)


class StreamTicketSerializer(StrictSerializer):
    command_id = serializers.UUIDField(write_only=True)
    ticket = serializers.CharField(read_only=True)
    expires_in = serializers.IntegerField(read_only=True, help_text="Seconds")


class StreamTicketsView(GenericAPIView[Any]):
    """A ticket that opens the stream of one command once, as `?ticket=`: for browsers."""

    serializer_class = StreamTicketSerializer

    @extend_schema(responses={201: StreamTicketSerializer})
    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        visible = Command.objects.visible_to(request.user).only("pk")
        command = get_object_or_404(visible, pk=serializer.validated_data["command_id"])
        ticket = tickets.issue(cast(User, request.user), command, request.auth)
        body = {"ticket": ticket, "expires_in": tickets.TICKET_SECONDS}
        return Response(body, status.HTTP_201_CREATED)
