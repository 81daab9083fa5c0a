"""Notes on vehicles in the REST API."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.viewsets import GenericViewSet

from commands import audit
from commands.api.views import ApiView
from commands.models import Action, Note
from vehicles.api import MayViewVehicles
from vehicles.models import Vehicle
from vehicles.serializers import StrictCharField, StrictSerializer

MAX_CHARACTERS = 2_000


class NoteSerializer(StrictSerializer, serializers.ModelSerializer[Note]):
    author = serializers.CharField(source="author.username", read_only=True)
    text = StrictCharField(max_length=MAX_CHARACTERS)

    class Meta:
        model = Note
        fields = ["note_id", "author", "text", "created_at"]
        read_only_fields = ["note_id", "created_at"]


@extend_schema_view(
    list=extend_schema(summary="List the notes on a vehicle"),
    create=extend_schema(summary="Write a note on a vehicle"),
    destroy=extend_schema(summary="Delete one's own note"),
)
class NoteViewSet(
    ApiView,
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[Note],
):
    """Notes, which whoever may see the vehicle reads and writes. Nobody changes them."""

    queryset = Note.objects.select_related("author")
    serializer_class = NoteSerializer
    permission_classes = [IsAuthenticated, MayViewVehicles]
    lookup_field = "note_id"
    orderings = [("-created_at", "-note_id")]

    def get_queryset(self) -> QuerySet[Note]:
        return super().get_queryset().filter(vehicle=self._vehicle())

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        vehicle = self._vehicle()
        note = serializer.save(vehicle=vehicle, author=self.request.user)
        note.refresh_from_db(fields=["created_at"])
        self._record(Action.ADD_NOTE, vehicle, note)

    @transaction.atomic
    def perform_destroy(self, note: Note) -> None:
        if note.author_id != self.request.user.pk:
            raise PermissionDenied(f"Only {note.author}, who wrote this note, may delete it.")
        self._record(Action.DELETE_NOTE, note.vehicle, note)
        note.delete()

    def _record(self, what: Action, vehicle: Vehicle, note: Note) -> None:
        audit.record(self.request, what, vehicle.pk, vin=vehicle.vin, note_id=str(note.pk))

    def _vehicle(self) -> Vehicle:
        vehicle: Vehicle = get_object_or_404(Vehicle, pk=self.kwargs["vehicle_id"])
        return vehicle
