"""Vehicles in the admin, with the audit of their changes and the commands that keep them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from commands import audit
from commands.models import Action
from commands.notifications import wake_probes
from vehicles.admin import VehicleAdmin
from vehicles.models import Vehicle


@admin.register(Vehicle)
class AuditedVehicleAdmin(VehicleAdmin):
    def has_delete_permission(self, request: HttpRequest, obj: Vehicle | None = None) -> bool:
        """Return False for a vehicle that has commands: they are kept, and it with them."""
        is_kept = obj is not None and obj.commands.exists()
        return super().has_delete_permission(request, obj) and not is_kept

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        ecus = ["ecus"] if any(formset.has_changed() for formset in formsets) else []
        if changed := form.changed_names + ecus:
            action = Action.CHANGE_VEHICLE if change else Action.ADD_VEHICLE
            vehicle = form.instance
            audit.record(request, action, vehicle.pk, vin=vehicle.vin, fields=changed)
            wake_probes()

    def delete_model(self, request: HttpRequest, obj: Vehicle) -> None:
        audit.record(request, Action.DELETE_VEHICLE, obj.pk, vin=obj.vin)
        super().delete_model(request, obj)
