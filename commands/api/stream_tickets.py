from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.schema.marks import errors
from commands.api.views import ApiView
from commands.models import Command
from commands.stream import tickets
from vehicles.serializers import StrictSerializer


class StreamTicketSerializer(StrictSerializer):
    command_id = serializers.UUIDField(write_only=True)
    ticket = serializers.CharField(read_only=True)
    expires_in = serializers.IntegerField(read_only=True, help_text="Seconds")


class StreamTicketsView(ApiView, GenericAPIView[Any]):
    """Tickets for browsers: each opens the stream of one command once, as `?ticket=`."""

    serializer_class = StreamTicketSerializer

    @extend_schema(
        summary="Get a ticket for a stream",
        extensions=errors(404),
        responses={201: StreamTicketSerializer},
    )
    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        visible = Command.objects.visible_to(request.user).only("pk")
        command = get_object_or_404(visible, pk=serializer.validated_data["command_id"])
        ticket = tickets.issue(request, command)
        body = {"ticket": ticket, "expires_in": tickets.TICKET_SECONDS}
        return Response(body, status.HTTP_201_CREATED)
