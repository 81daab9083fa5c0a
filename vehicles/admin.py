import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import JSONField
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest

from vehicles.models import ConnectionStatus, Vehicle
from vehicles.vin import check_digit_matches


class ConnectionFilter(admin.SimpleListFilter):
    title = "connection"
    parameter_name = "connection_status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return ConnectionStatus.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        status = self.value()
        known = status in ConnectionStatus.values
        return queryset.with_connection_status(status) if known else queryset


class PlainJSONField(forms.JSONField):
    """Refuses what `json.loads` takes and Postgres does not, which would be a 500."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
            text = json.dumps(found, allow_nan=False, ensure_ascii=False)
            text.encode()  # fails on a lone surrogate
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError("Enter plain JSON.") from error
        if "\\u0000" in text:
            raise forms.ValidationError("Enter JSON without NUL characters.")
        return {} if found is None else found  # empty, which the column is never

    def bound_data(self, data: Any, initial: Any) -> Any:
        return InvalidJSONInput(data)  # shown again as it was typed


@admin.register(Vehicle)
class VehicleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["vin", "make", "model", "year", "connection", "last_seen_at"]
    list_filter = [ConnectionFilter, "make"]
    search_fields = ["vin", "make", "model"]
    search_help_text = "Parts of the VIN, the make or the model"
    readonly_fields = ["vehicle_id", "last_seen_at", "created_at"]
    show_full_result_count = False
    formfield_overrides = {JSONField: {"form_class": PlainJSONField}}

    def view_on_site(self, obj: Vehicle) -> str:
        return f"/vehicles/{obj.pk}/"

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
