"""The API's route of past values: those that one identifier of an ECU had in earlier reads."""

import json
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.views import ApiView
from commands.catalogue import DATA_ID_PATTERN
from commands.results.past_values import MAX_FOUND, MAX_READS, PastValue, of_identifier
from commands.results.values import MAX_TEXT, is_number
from vehicles.api import MayViewVehicles
from vehicles.models import Vehicle, validate_ecu_address


class WantedSerializer(serializers.Serializer[Any]):
    ecu_address = serializers.CharField(validators=[validate_ecu_address])
    data_id = serializers.RegexField(
        DATA_ID_PATTERN,
        help_text="The identifier, such as `0xF40C`.",
        error_messages={"invalid": "Must be 0x and four hexadecimal digits, such as 0xF40C."},
    )


class PartSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    unit = serializers.CharField()
    number = serializers.FloatField(allow_null=True, help_text="null: the value is a text.")
    text = serializers.CharField()


class PastValueSerializer(serializers.Serializer[Any]):
    command_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    values = PartSerializer(many=True)


class PastValuesSerializer(serializers.Serializer[Any]):
    """One page, in the shape of every list."""

    next = serializers.URLField(allow_null=True, default=None)
    previous = serializers.URLField(allow_null=True, default=None)
    results = PastValueSerializer(many=True, help_text=f"The newest first, at most {MAX_FOUND}.")


class PastValuesView(ApiView):
    permission_classes = [IsAuthenticated, MayViewVehicles]

    @extend_schema(
        summary="The past values of an identifier",
        description=f"The values from the completed `ReadDataByID` commands that you may see, of "
        f"the last {MAX_READS:,} of the vehicle.",
        operation_id="v1_vehicles_values",
        parameters=[WantedSerializer],
        responses=PastValuesSerializer,
    )
    def get(self, request: Request, vehicle_id: UUID) -> Response:
        vehicle = get_object_or_404(Vehicle, pk=vehicle_id)
        wanted = WantedSerializer(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        found = of_identifier(vehicle, request.user, **wanted.validated_data)
        page = {"next": None, "previous": None, "results": [_body(each) for each in found]}
        return Response(PastValuesSerializer(page).data)


def _body(past: PastValue) -> dict[str, Any]:
    values = [
        {
            "name": name,
            "unit": unit,
            "number": value if is_number(value) else None,
            "text": (value if isinstance(value, str) else json.dumps(value))[:MAX_TEXT],
        }
        for name, unit, value in past.parts
    ]
    return {"command_id": past.command_id, "at": past.at, "values": values}
