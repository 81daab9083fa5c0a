"""The REST API of evidence: the exchanges with a real vehicle behind a command."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from commands import evidence
from commands.api.views import ApiView, IgnoreAccept
from commands.models import Command

MAX_ID = 2**63 - 1
AFTER = {"type": "integer", "minimum": 0, "maximum": MAX_ID, "default": 0}


class ExchangeSerializer(serializers.Serializer[Any]):
    """One request to the vehicle. Over SOVD it is method and path, the response status and body."""

    service = serializers.CharField(help_text="Such as `ReadDTCInformation`.")
    request = serializers.CharField(help_text="In hexadecimal, such as `1902FF`.")
    response = serializers.CharField(allow_null=True, help_text="null: none came.")
    nrc = serializers.CharField(allow_null=True, help_text="Of a negative response: `0x31`.")
    nrc_name = serializers.CharField(help_text="Such as `requestOutOfRange`; may be empty.")
    pending_count = serializers.IntegerField(help_text="How often the ECU asked for more time.")
    started_at = serializers.DateTimeField()
    duration_ms = serializers.FloatField()
    sequence_number = serializers.IntegerField(
        allow_null=True, help_text="Of the first event that it led to."
    )

    def get_fields(self) -> dict[str, Any]:
        return {"ecuAddress": serializers.CharField(), **super().get_fields()}


class ExchangesSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True, help_text="The next page, if there are more.")
    results = ExchangeSerializer(many=True)


class EvidenceView(ApiView):
    def command(self, command_id: UUID) -> Command:
        """Return the command if the user may see it; else it does not exist for them."""
        visible = Command.objects.visible_to(self.request.user)
        rows = visible.select_related("vehicle", "submitted_by")
        return get_object_or_404(rows, pk=command_id)


class ExchangesView(EvidenceView):
    @extend_schema(
        summary="The exchanges with the vehicle",
        operation_id="v1_commands_exchanges",
        parameters=[OpenApiParameter("after", AFTER, description="As `next` says.")],
        responses=ExchangesSerializer,
    )
    def get(self, request: Request, command_id: UUID) -> Response:
        """Every request to a real vehicle and its response, in their order. A mock has none."""
        command = self.command(command_id)
        exchanges = evidence.page(command, _after(request))
        last = exchanges[-1].pk if exchanges else 0
        following = None
        if exchanges and evidence.has_more(command, last):
            following = request.build_absolute_uri(f"?after={last}")
        return Response({"next": following, "results": list(map(evidence.as_json, exchanges))})


class TranscriptView(EvidenceView):
    content_negotiation_class = IgnoreAccept

    @extend_schema(
        summary="The exchanges with the vehicle as text",
        operation_id="v1_commands_transcript",
        responses={(200, "text/plain"): str},
    )
    def get(self, request: Request, command_id: UUID) -> HttpResponse:
        """The same to read, with what a negative response means and what to do."""
        text = evidence.transcript(self.command(command_id))
        headers = {"Content-Disposition": f'inline; filename="{command_id}.txt"'}
        return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


def _after(request: Request) -> int:
    text = request.query_params.get("after", "0")
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MAX_ID:
        return int(text)
    raise ValidationError({"after": ["Must be a number that `next` had: 0 or more."]})
