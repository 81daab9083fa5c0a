"""The choice of many vehicles: one by one, or by the filter of the list of vehicles."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError

from commands import batches
from commands.api.commands.serializers import check_all_found
from commands.batches import MAX_VEHICLES
from vehicles.api import MayViewVehicles, VehicleFilter
from vehicles.models import Vehicle
from vehicles.serializers import MAX_UNKNOWN, StrictCharField, StrictSerializer


def filtered(choice: dict[str, str], user: Any) -> Any:
    """Return the vehicles that match the filters of their list.

    Raise PermissionDenied or ValidationError.
    """
    if not user.has_perm("vehicles.view_vehicle"):
        raise PermissionDenied(MayViewVehicles.message)
    known = VehicleFilter.base_filters
    if unknown := sorted(set(choice) - set(known)):
        message = f"Unknown filter. Known: {', '.join(known)}."
        raise ValidationError({name[:100]: message for name in unknown[:MAX_UNKNOWN]})
    found = VehicleFilter(choice, Vehicle.objects.in_use())
    if not found.is_valid():
        raise ValidationError(dict(found.errors))
    return found.qs


class VehicleChoiceSerializer(StrictSerializer):
    """A choice of vehicles, which validation puts into `vehicles`."""

    vehicle_ids = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        allow_empty=False,
        max_length=MAX_VEHICLES,
        write_only=True,
    )
    vehicle_filter = serializers.DictField(
        child=StrictCharField(allow_blank=True),
        required=False,
        write_only=True,
        help_text="The filters of the list of vehicles; empty for all vehicles.",
    )

    def validate_vehicle_ids(self, ids: list[UUID]) -> list[Vehicle]:
        if len(set(ids)) < len(ids):
            raise ValidationError("Each vehicle may be named once.")
        vehicles = list(Vehicle.objects.filter(pk__in=ids))
        check_all_found("vehicle", ids, [vehicle.pk for vehicle in vehicles])
        return vehicles

    def validate_vehicle_filter(self, choice: dict[str, str]) -> list[Vehicle]:
        vehicles = list(filtered(choice, self.context["request"].user)[: MAX_VEHICLES + 1])
        if not vehicles:
            raise ValidationError("The filter matches no vehicle. Change or remove a condition.")
        if len(vehicles) > MAX_VEHICLES:
            raise ValidationError(
                f"The filter matches more than {MAX_VEHICLES} vehicles. Narrow it down."
            )
        return vehicles

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        chosen = [attrs[name] for name in ("vehicle_ids", "vehicle_filter") if name in attrs]
        if len(chosen) != 1:
            message = "Choose the vehicles by either `vehicle_ids` or `vehicle_filter`."
            raise ValidationError({"vehicle_ids": message})
        (attrs["vehicles"],) = chosen
        return attrs


class VehicleCountSerializer(VehicleChoiceSerializer):
    """A choice of vehicles, counted before something is done to them."""

    vehicle_count = serializers.SerializerMethodField()
    vehicle_set = serializers.SerializerMethodField(
        help_text="A digest of exactly these vehicles, for the submission."
    )

    def get_vehicle_count(self, choice: dict[str, Any]) -> int:
        return len(choice["vehicles"])

    def get_vehicle_set(self, choice: dict[str, Any]) -> str:
        return batches.digest_of(choice["vehicles"])


class VehiclePreviewSerializer(VehicleCountSerializer):
    disconnected_count = serializers.SerializerMethodField(
        help_text="Those whose commands would wait until they are back, or expire."
    )

    def get_disconnected_count(self, choice: dict[str, Any]) -> int:
        return sum(each.effective_connection_status != "connected" for each in choice["vehicles"])


def check_set(attrs: dict[str, Any]) -> None:
    """Raise ValidationError if other vehicles are chosen than those of `vehicle_set`."""
    present = batches.digest_of(attrs["vehicles"])
    if attrs.get("vehicle_set", present) != present:
        message = "Other vehicles are chosen than in the preview. Check the choice, and send again."
        raise ValidationError({"vehicle_set": message})
