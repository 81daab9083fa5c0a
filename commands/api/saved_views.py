"""Saved views: filters of the lists of commands and vehicles, by name."""

from typing import Any

from django.core.exceptions import TooManyFieldsSent
from django.db import IntegrityError, transaction
from django.http import QueryDict
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from commands.api.commands.filters import CommandFilter
from commands.api.views import ApiView
from commands.models import SavedView, ViewPage
from commands.models.saved_view import SavedViewQuerySet
from vehicles.api import MayViewVehicles, VehicleFilter
from vehicles.serializers import StrictBooleanField, StrictCharField, StrictSerializer

MAX_VIEWS = 50  # of one user
MAX_QUERY = 2_000  # characters
NAME_IS_TAKEN = "You have a view of this name. Choose another."
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
        page = self.instance.page if self.instance else attrs["page"]
        if attrs.get("page", page) != page:
            raise ValidationError({"page": "A view stays with its list."})
        if "query" in attrs:
            _check_query(attrs["query"], FILTERS[page])
        others = SavedView.objects.filter(owner=self._user).exclude(pk=self._pk)
        if others.filter(page=page, name=attrs.get("name")).exists():
            raise ValidationError({"name": NAME_IS_TAKEN})
        if not self.instance and others.count() >= MAX_VIEWS:
            raise ValidationError({"name": f"You have {MAX_VIEWS} views. Delete one first."})
        return attrs

    def update(self, instance: SavedView, validated_data: dict[str, Any]) -> SavedView:
        """Write the fields of the request only: others may have changed meanwhile."""
        rows = SavedView.objects.filter(pk=instance.pk)
        rows.update(**validated_data)
        return get_object_or_404(rows)

    @property
    def _pk(self) -> Any:
        return self.instance and self.instance.pk

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
    partial_update=extend_schema(summary="Rename or change one's own saved view"),
    destroy=extend_schema(summary="Delete one's own saved view"),
)
class SavedViewViewSet(
    ApiView,
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
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
        _save(serializer, owner=self.request.user).refresh_from_db(fields=["created_at"])

    def partial_update(self, request: Request, view_id: str) -> Response:
        """Change the name, the filters, or whether it is shared."""
        view = self._own("change")
        serializer = self.get_serializer(view, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        _save(serializer)
        return Response(serializer.data)

    def destroy(self, request: Request, view_id: str) -> Response:
        self._own("delete").delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _own(self, what: str) -> SavedView:
        """Return the view. Raise PermissionDenied if it is another user's."""
        view = self.get_object()
        if view.owner_id != self.request.user.pk:
            raise PermissionDenied(f"Only {view.owner}, whose view this is, may {what} it.")
        return view


def _save(serializer: Any, **more: Any) -> Any:
    """Save, or raise ValidationError if another request was faster to take the name."""
    try:
        with transaction.atomic():
            return serializer.save(**more)
    except IntegrityError as error:
        raise ValidationError({"name": NAME_IS_TAKEN}) from error
