"""The API's route of names: what the description of an ECU offers to choose from."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.views import ApiView
from vehicles.api import MayViewVehicles
from vehicles.descriptions import meaning
from vehicles.descriptions.models import Kind
from vehicles.ecus import number_of
from vehicles.models import Ecu, Vehicle, validate_ecu_address

MAX_NAMES = 50


class QuestionSerializer(serializers.Serializer[Any]):
    ecu_address = serializers.CharField(validators=[validate_ecu_address])
    kind = serializers.ChoiceField([Kind.DATA, Kind.ROUTINE])
    search = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=100,
        help_text="Words in the name, or a part of the number.",
    )


class NameSerializer(serializers.Serializer[Any]):
    number = serializers.CharField(help_text="As a command takes it, such as `0xF190`.")
    name = serializers.CharField()


class NamesSerializer(serializers.Serializer[Any]):
    """One page, in the shape of every list."""

    next = serializers.URLField(allow_null=True, default=None)
    previous = serializers.URLField(allow_null=True, default=None)
    results = NameSerializer(many=True, help_text=f"At most {MAX_NAMES}: search for others.")


class NamesView(ApiView):
    """The identifiers or routines of an ECU by name."""

    permission_classes = [IsAuthenticated, MayViewVehicles]

    @extend_schema(
        summary="Find identifiers and routines of an ECU",
        operation_id="v1_vehicles_names",
        parameters=[QuestionSerializer],
        responses=NamesSerializer,
    )
    def get(self, request: Request, vehicle_id: UUID) -> Response:
        """Find what the ECU's description knows; an ECU without one has no names."""
        vehicle = get_object_or_404(Vehicle, pk=vehicle_id)
        question = QuestionSerializer(data=request.query_params)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        ecu = vehicle.ecus.filter(number=number_of(asked["ecu_address"])).first()
        results = [*_found(ecu, asked["kind"], asked["search"].lower().split())] if ecu else []
        page = {"next": None, "previous": None, "results": results[:MAX_NAMES]}
        return Response(NamesSerializer(page).data)


def _found(ecu: Ecu, kind: Kind, words: list[str]) -> Iterator[dict[str, str]]:
    """Yield the entries of a kind that have every word, by their numbers."""
    meaning.attach([ecu])
    names = ecu.meaning.entries.items()
    for number, name in sorted((key[1], entry[0]) for key, entry in names if key[0] == kind):
        shown = f"0x{number:04X}"
        if all(word in f"{shown} {name}".lower() for word in words):
            yield {"number": shown, "name": name}
