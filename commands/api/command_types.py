from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.views import ApiView
from commands.catalogue import COMMAND_TYPES, CommandType


class CommandTypeSerializer(serializers.Serializer[CommandType]):
    name = serializers.CharField()
    description = serializers.CharField()
    schema = serializers.DictField()
    safe_to_repeat = serializers.BooleanField()
    permission = serializers.CharField(
        allow_null=True, help_text="Needed besides `commands.add_command`."
    )
    connectors = serializers.ListField(
        child=serializers.CharField(), help_text="The connectors that can carry it out."
    )


class CommandTypesSerializer(serializers.Serializer[Any]):
    """List in one page, in the shape of every list."""

    next = serializers.URLField(allow_null=True, default=None)
    previous = serializers.URLField(allow_null=True, default=None)
    results = CommandTypeSerializer(many=True)


class CommandTypesView(ApiView):
    """Command types that vehicles understand, with the JSON Schema of their parameters."""

    @extend_schema(
        summary="List the command types",
        operation_id="v1_command_types_list",
        responses=CommandTypesSerializer,
    )
    def get(self, request: Request) -> Response:
        page = {"next": None, "previous": None, "results": COMMAND_TYPES.values()}
        return Response(CommandTypesSerializer(page).data)
