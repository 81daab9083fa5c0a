"""The REST API of vehicles: to find and to look at them."""

from typing import Any

import django_filters
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from vehicles import tags
from vehicles.models import ConnectionStatus, Vehicle, VehicleQuerySet
from vehicles.search import check_words, matching
from vehicles.serializers import VehicleSerializer


class VehicleFilter(django_filters.FilterSet):
    connection_status = django_filters.ChoiceFilter(
        choices=ConnectionStatus.choices, method="filter_connection_status"
    )
    retired = django_filters.ChoiceFilter(
        choices=[("false", "in use"), ("true", "retired"), ("all", "all")],
        method="filter_retired",
        label="Vehicles that are retired; without it, those in use",
    )
    search = django_filters.CharFilter(
        method="filter_search",
        max_length=100,
        validators=[check_words],
        label="Words in the VIN, make, model, tags or year, or a VIN in groups",
    )
    tag = django_filters.CharFilter(
        method="filter_tag",
        max_length=100,
        validators=[tags.check_text],
        label="Tags, separated by blanks: vehicles that have all of them",
    )

    def filter_connection_status(
        self, vehicles: VehicleQuerySet, name: str, value: str
    ) -> VehicleQuerySet:
        return vehicles.with_connection_status(value)

    def filter_retired(self, vehicles: VehicleQuerySet, name: str, value: str) -> VehicleQuerySet:
        return vehicles if value == "all" else vehicles.filter(retired_at__isnull=value == "false")

    def filter_search(self, vehicles: VehicleQuerySet, name: str, value: str) -> VehicleQuerySet:
        return vehicles.filter(matching(value))

    def filter_tag(self, vehicles: VehicleQuerySet, name: str, value: str) -> VehicleQuerySet:
        return vehicles.filter(tags.having(value))


class MayViewVehicles(BasePermission):
    message = "You may not see vehicles. Ask for the permission vehicles.view_vehicle."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("vehicles.view_vehicle")


class VehicleViewSet(ReadOnlyModelViewSet[Any]):
    """The vehicles that commands can be sent to. They are maintained in the admin."""

    permission_classes = [IsAuthenticated, MayViewVehicles]
    queryset = Vehicle.objects.prefetch_related("ecus")
    serializer_class = VehicleSerializer
    filterset_class = VehicleFilter
    lookup_field = "vehicle_id"
    orderings = [("vin",)]
