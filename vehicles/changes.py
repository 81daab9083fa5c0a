"""Changes of a vehicle: which fields differ, and what follows for its presence."""

from collections.abc import Mapping, Sequence
from typing import Any

from vehicles.ecus import number_of, upper
from vehicles.models import Ecu, Vehicle

FIELDS = ["vin", "make", "model", "year", "metadata", "tags", "connector"]
ECU_FIELDS = ["address", "name", "logical_address", "component", "description_id", "variant"]
PRESENCE_FIELDS = [
    "settings_version",
    "connection_status",
    "connection_problem",
    "probe_at",
    "probed_at",
    "probe_found",
]
REACHED_BY = {"vin", "connector"}  # and the settings


def save(vehicle: Vehicle, before: Vehicle | None) -> list[str]:
    """Write a vehicle as far as it differs from the row, which is locked; return the field names.

    Settings are named one by one, such as `connector_settings.port`, and never with a value.
    """
    fields, settings = differing(before or Vehicle(), vehicle)
    if before is None:
        vehicle.save(force_insert=True)
        return fields + settings
    written = [*fields, *(["connector_settings", "connector_secrets"] if settings else [])]
    if settings or REACHED_BY & set(fields):
        vehicle.forget_presence()
        written += PRESENCE_FIELDS
    if written:
        vehicle.save(update_fields=written)
    return fields + settings


def set_ecus(vehicle: Vehicle, ecus: Sequence[Mapping[str, Any]]) -> list[str]:
    """Replace the ECUs of a vehicle, whose row is locked; return `ecus` if they differ."""
    rows = sorted((_ecu(vehicle, ecu) for ecu in ecus), key=lambda row: row.number)
    known = vehicle.ecus.order_by("number")
    if [_values(row) for row in rows] == [_values(row) for row in known]:
        return []
    matches = {_reached(row): row.match for row in known}
    for row in rows:
        row.match = matches.get(_reached(row))
    known.delete()
    Ecu.objects.bulk_create(rows)
    return ["ecus"]


def _ecu(vehicle: Vehicle, values: Mapping[str, Any]) -> Ecu:
    about = {name: values[name] for name in ECU_FIELDS if name in values}
    address = upper(about.pop("address"))
    return Ecu(vehicle=vehicle, address=address, number=number_of(address), **about)


def _reached(ecu: Ecu) -> tuple[int, str, str]:
    """Return the way to an ECU: by another one it may be another ECU, of another variant."""
    return ecu.number, ecu.logical_address, ecu.component


def _values(ecu: Ecu) -> list[Any]:
    return [getattr(ecu, name) for name in ECU_FIELDS]


def differing(before: Vehicle, after: Vehicle) -> tuple[list[str], list[str]]:
    """Return the names of the fields that differ, and of the settings."""
    fields = [name for name in FIELDS if getattr(before, name) != getattr(after, name)]
    old = before.connector_settings | before.connector_secrets
    new = after.connector_settings | after.connector_secrets
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return fields, [f"connector_settings.{name}" for name in names]
