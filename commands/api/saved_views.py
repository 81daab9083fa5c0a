"""Saved views: filters of the lists of commands and vehicles, by name."""

from typing import Any

from django.core.exceptions import TooManyFieldsSent
from django.http import QueryDict
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.viewsets import GenericViewSet

from commands.api.commands.filters import CommandFilter
from commands.api.views import ApiView
from commands.models import SavedView, ViewPage
from commands.models.saved_view import SavedViewQuerySet
from vehicles.api import MayViewVehicles, VehicleFilter
from vehicles.serializers import StrictBooleanField, StrictCharField, StrictSerializer

MAX_VIEWS = 50  # of one user
MAX_QUERY = 2_000  # characters
FILTERS: dict[str, Any] = {ViewPage.COMMANDS: CommandFilter, ViewPage.VEHICLES: VehicleFilter}


class SavedViewSerializer(StrictSerializer, serializers.ModelSerializer[SavedView]):
    owner = serializers.CharField(source="owner.username", read_only=True)
    page = serializers.ChoiceField(ViewPage.choices)
    name = StrictCharField(max_length=60)
    query = StrictCharField(
        max_length=MAX_QUERY,
        help_text="The filters as in an address, such as `status=failed&command_name=ReadDTC`.",
    )
    is_shared = StrictBooleanField(default=False, help_text="With all users.")

    class Meta:
        model = SavedView
        fields = ["view_id", "owner", "page", "name", "query", "is_shared", "created_at"]
        read_only_fields = ["view_id", "created_at"]

    def validate_page(self, page: str) -> str:
        if page == ViewPage.VEHICLES and not self._user.has_perm("vehicles.view_vehicle"):
            raise PermissionDenied(MayViewVehicles.message)
        return page

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _check_query(attrs["query"], FILTERS[attrs["page"]])
        own = SavedView.objects.filter(owner=self._user)
        if own.filter(page=attrs["page"], name=attrs["name"]).exists():
            raise ValidationError({"name": "You have a view of this name. Choose another."})
        if own.count() >= MAX_VIEWS:
            raise ValidationError({"name": f"You have {MAX_VIEWS} views. Delete one first."})
        return attrs

    @property
    def _user(self) -> Any:
        return self.context["request"].user


def _check_query(text: str, kind: Any) -> None:
    """Raise ValidationError if a query names another filter than the list has, or a wrong value."""
    try:
        query = QueryDict(text)
    except TooManyFieldsSent as error:
        raise ValidationError({"query": "It names too many filters."}) from error
    if unknown := sorted(set(query) - set(kind.base_filters)):
        known = ", ".join(kind.base_filters)
        raise ValidationError({"query": f"Unknown filter {unknown[0][:100]!a}. Known: {known}."})
    if errors := kind(query, SavedView.objects.none()).errors:
        raise ValidationError(
            {"query": [f"{name}: {' '.join(messages)}" for name, messages in errors.items()]}
        )


@extend_schema_view(
    list=extend_schema(summary="List saved views"),
    create=extend_schema(summary="Save a view"),
    destroy=extend_schema(summary="Delete one's own saved view"),
)
class SavedViewViewSet(
    ApiView,
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[SavedView],
):
    """One's own views, and those that others share with all users."""

    queryset = SavedView.objects.select_related("owner")
    serializer_class = SavedViewSerializer
    permission_classes = [IsAuthenticated]
    filterset_fields = ["page"]
    lookup_field = "view_id"
    orderings = [("name", "view_id")]

    def get_queryset(self) -> SavedViewQuerySet:
        views: SavedViewQuerySet = super().get_queryset()  # type: ignore[assignment]
        return views.visible_to(self.request.user)

    def perform_create(self, serializer: Any) -> None:
        serializer.save(owner=self.request.user).refresh_from_db(fields=["created_at"])

    def perform_destroy(self, view: SavedView) -> None:
        if view.owner_id != self.request.user.pk:
            raise PermissionDenied(f"Only {view.owner}, whose view this is, may delete it.")
        view.delete()
