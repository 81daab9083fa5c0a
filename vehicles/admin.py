from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from vehicles.models import Vehicle, VehicleQuerySet
from vehicles.vin import check_digit_matches


class ConnectionFilter(admin.SimpleListFilter):
    title = "connection"
    parameter_name = "connection_status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Vehicle._meta.get_field("connection_status").choices

    def queryset(self, request: HttpRequest, queryset: VehicleQuerySet) -> VehicleQuerySet:
        known = dict(self.lookup_choices)
        return queryset.with_connection_status(self.value()) if self.value() in known else queryset


@admin.register(Vehicle)
class VehicleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["vin", "make", "model", "year", "connection", "last_seen_at"]
    list_filter = [ConnectionFilter, "make"]
    search_fields = ["vin", "make", "model"]
    readonly_fields = ["vehicle_id", "last_seen_at", "created_at"]

    @admin.display(description="connection")
    def connection(self, vehicle: Vehicle) -> str:
        return vehicle.effective_connection_status

    def save_model(self, request: HttpRequest, obj: Vehicle, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not check_digit_matches(obj.vin):
            self.message_user(
                request,
                f"The check digit of {obj.vin} is wrong. That is usual outside North America; "
                "elsewhere, look for a typing error.",
                messages.WARNING,
            )
