from typing import Any

import django_filters
from django.db.models import Q
from rest_framework import serializers
from rest_framework.viewsets import ReadOnlyModelViewSet

from vehicles.models import ConnectionStatus, Vehicle, VehicleQuerySet


class VehicleSerializer(serializers.ModelSerializer[Vehicle]):
    connection_status = serializers.ChoiceField(
        ConnectionStatus.choices, source="effective_connection_status", read_only=True
    )

    class Meta:
        model = Vehicle
        fields = [
            "vehicle_id",
            "vin",
            "make",
            "model",
            "year",
            "connection_status",
            "last_seen_at",
            "metadata",
            "created_at",
        ]


class VehicleFilter(django_filters.FilterSet):  # type: ignore[misc]
    connection_status = django_filters.ChoiceFilter(
        choices=ConnectionStatus.choices, method="filter_connection_status"
    )
    search = django_filters.CharFilter(
        method="filter_search", max_length=100, label="Part of the VIN, make or model"
    )

    def filter_connection_status(
        self, vehicles: VehicleQuerySet, name: str, value: str
    ) -> VehicleQuerySet:
        return vehicles.with_connection_status(value)

    def filter_search(self, vehicles: VehicleQuerySet, name: str, value: str) -> VehicleQuerySet:
        for word in value.split():
            vehicles = vehicles.filter(
                Q(vin__icontains=word) | Q(make__icontains=word) | Q(model__icontains=word)
            )
        return vehicles


class VehicleViewSet(ReadOnlyModelViewSet[Any]):
    """The vehicles that commands can be sent to. They are maintained in the admin."""

    queryset = Vehicle.objects.all()
    serializer_class = VehicleSerializer
    filterset_class = VehicleFilter
    lookup_field = "vehicle_id"
    orderings = [("vin",)]
