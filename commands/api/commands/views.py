from typing import Any, cast

from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from commands import audit, export, lifecycle, trouble_codes
from commands.api import bodies
from commands.api.commands import plain
from commands.api.commands.events import BEYOND, FRAMES, page_of
from commands.api.commands.filters import CommandFilter
from commands.api.commands.serializers import (
    CancellingSerializer,
    CommandSerializer,
    ListedCommandSerializer,
    OneCommandSerializer,
    expires_of,
)
from commands.api.exceptions import Ended, TooManyExports
from commands.api.pagination import is_filtered
from commands.api.results.serializers import ComparisonSerializer
from commands.api.schema.marks import errors, submission
from commands.api.submission import IdempotentCreateMixin, MaySubmit
from commands.api.submission_limit import CommandThrottle
from commands.api.views import IgnoreAccept
from commands.models import Action, Command, CommandQuerySet, Priority, Status
from vehicles.api import MayViewVehicles

READS = ("ReadDTC", "ScanVehicle")
NOTHING = trouble_codes.Comparison([], [])
FORMAT = {"type": "string", "enum": list(export.KINDS), "default": "csv"}


@extend_schema_view(
    list=extend_schema(summary="List commands"),
    retrieve=extend_schema(summary="Look at a command"),
    create=extend_schema(summary="Submit a command", extensions=submission("Submission")),
)
class CommandViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, IdempotentCreateMixin):
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
        if self.action == "trouble_codes":
            return [IsAuthenticated(), MayViewVehicles()]
        writes = self.action in ("create", "cancel", "cancel_many")
        return [IsAuthenticated(), MaySubmit()] if writes else [IsAuthenticated()]

    def get_throttles(self) -> list[Any]:
        return [CommandThrottle()] if self.action == "create" else []

    def get_serializer_class(self) -> type[Any]:
        special = {"retrieve": OneCommandSerializer, "list": ListedCommandSerializer}
        return special.get(self.action) or super().get_serializer_class()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if is_filtered(request, self.filterset_class):
            commands = self.filter_queryset(self.get_queryset()).values(*plain.columns())
            found = self.paginate_queryset(commands) or []
            rows = [plain.body_of_row(row.values()) for row in found]
        else:
            rows = self.paginate_queryset(plain.listing(request.user)) or []
        return self.get_paginated_response(plain.with_results(rows))

    def retrieve(self, request: Request, command_id: str) -> Response:
        body = plain.find(command_id, request.user)
        if body is None:
            raise Http404
        return Response(body | {"commands_ahead": plain.commands_ahead(body)})

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Submit a command. With an Idempotency-Key a repeat within 24 hours gets the first
        response again, and nothing is sent twice."""
        return self.submit_once(request)

    def write(self, request: Request) -> tuple[Command, Any]:
        wanted = plain.read(request.data, request.user) or self._validated(request)
        command = Command(
            vehicle=wanted["vehicle_id"],
            command_name=wanted["command_name"],
            command_params=wanted["command_params"],
            submitted_by=cast(User, request.user),
            not_before=wanted.get("not_before"),
            priority=wanted.get("priority", Priority.INTERACTIVE),
        )
        about = {"command_name": command.command_name, "vin": command.vehicle.vin}
        actions = [Action.SUBMIT, *([Action.CONFIRM] if "confirmation" in wanted else [])]
        entries = [audit.entry(request, each, command.pk, **about) for each in actions]
        lifecycle.submit_many([command], entries, expires_of(wanted))
        return command, bodies.body_of(CommandSerializer, command)

    def _validated(self, request: Request) -> Any:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    @extend_schema(
        summary="The event log of a command", responses={200: FRAMES}, parameters=[BEYOND]
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def events(self, request: Request, command_id: str) -> Response:
        """Return the event log, in the frames of the stream."""
        return page_of(request, self._command().events.all())

    @extend_schema(
        summary="The responses of the vehicle", responses={200: FRAMES}, parameters=[BEYOND]
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def responses(self, request: Request, command_id: str) -> Response:
        """Return the vehicle's responses since the command was last claimed."""
        return page_of(request, self._command().events.current_responses())

    @extend_schema(
        summary="The trouble codes that a command has read", responses={200: ComparisonSerializer}
    )
    @action(detail=True, url_path="trouble-codes", pagination_class=None, filterset_class=None)
    def trouble_codes(self, request: Request, command_id: str) -> Response:
        """The codes of a completed ReadDTC or ScanVehicle, each compared with the last earlier
        read of its ECU. Empty for any other command."""
        readable = self.get_queryset().filter(status=Status.COMPLETED, command_name__in=READS)
        command = readable.filter(pk=self._command().pk).first()
        compared = trouble_codes.of_command(command, request.user) if command else NOTHING
        return Response(ComparisonSerializer(compared).data)

    @extend_schema(
        summary="Export commands as a file",
        extensions=errors(429),
        filters=True,
        parameters=[OpenApiParameter("format", FORMAT)],
        responses={(200, "text/csv"): str, (200, "application/jsonl"): str},
    )
    @action(
        detail=False,
        url_path="export",
        pagination_class=None,
        content_negotiation_class=IgnoreAccept,
    )
    def as_file(self, request: Request) -> HttpResponseBase:
        """Export the commands that match the filters, newest first, as CSV or JSON Lines;
        `codes`: as CSV with one row for each trouble code that they have read."""
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
            raise TooManyExports(str(error)) from error
        audit.record(request, Action.EXPORT, format=kind, rows=rows, filters=filters)
        return file

    @extend_schema(
        summary="Cancel a command",
        extensions=errors(409),
        request=None,
        responses={200: CommandSerializer, 202: CommandSerializer},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, command_id: str) -> Response:
        """Cancel a pending command (200), or ask a running one to stop (202)."""
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

    @extend_schema(
        summary="Cancel many commands",
        operation_id="v1_commands_cancel_many",
        responses={200: CancellingSerializer},
    )
    @action(
        detail=False, methods=["post"], url_path="cancel", serializer_class=CancellingSerializer
    )
    def cancel_many(self, request: Request) -> Response:
        """Cancel the pending commands, and ask the running ones to stop."""
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
