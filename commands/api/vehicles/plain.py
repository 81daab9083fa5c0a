"""Vehicles listed without Django's objects and Django REST framework's serializers.

These take ten milliseconds for fifty vehicles. They still describe the API.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from commands.api import bodies
from commands.database.compiled import Compiled
from commands.database.keyset import Listing
from commands.models import IN_LINE, Command, CommandQuerySet, sees_all_commands
from vehicles.models import (
    Ecu,
    Vehicle,
    VehicleQuerySet,
    effective_connection_status,
    matched_variant,
)
from vehicles.serializers import EcuSerializer, VehicleSerializer

Body = dict[str, Any]
FROM_ECUS = ("ecus", "matched_variants")


def listing(user: Any) -> Any:
    """Return the rows of all vehicles in use, with the commands that the user may see."""
    if sees_all_commands(user):
        return Listing(Vehicle, columns(), _all)
    return Listing(Vehicle, columns(), _own, (user.pk,))


def _all() -> Any:
    return _rows(Command.objects.all())


def _own(user_id: int) -> Any:
    return _rows(Command.objects.of(user_id))


def _rows(visible: CommandQuerySet) -> Any:
    return with_waiting(Vehicle.objects.in_use(), visible).values_list(*columns())


def with_waiting(vehicles: VehicleQuerySet, visible: CommandQuerySet) -> VehicleQuerySet:
    """Annotate `commands_waiting`, the number of those of the visible commands."""
    waiting = visible.filter(IN_LINE, vehicle=OuterRef("pk"))
    count = waiting.order_by().values("vehicle").values(count=Count("*"))
    return vehicles.annotate(commands_waiting=Coalesce(Subquery(count), 0))


@cache
def columns() -> list[str]:
    names = bodies.paths(VehicleSerializer)
    return [*(name for name in names if name not in FROM_ECUS), "commands_waiting"]


def bodies_of(rows: Iterable[Mapping[str, Any]]) -> list[Body]:
    """Return the bodies of vehicles from their `columns()`, by one statement for all ECUs."""
    found = [*rows]
    ecus = _ecus_of([row["vehicle_id"] for row in found]) if found else {}
    return [_body(row, ecus.get(row["vehicle_id"], [])) for row in found]


def _body(row: Mapping[str, Any], ecus: list[Body]) -> Body:
    status = effective_connection_status(row["connection_status"], row["last_seen_at"])
    matches = [(ecu["address"], ecu.pop("match")) for ecu in ecus]
    return {
        **dict.fromkeys(bodies.paths(VehicleSerializer)),  # for their order
        **row,
        "connection_status": status,
        "ecus": ecus,
        "matched_variants": [{"address": address, **each} for address, each in matches if each],
    }


# --- ECUs


def _ecu_rows(vehicle_ids: list[UUID]) -> Any:
    found = Ecu.objects.filter(vehicle__pk__among=vehicle_ids).order_by("number")
    return found.values_list("vehicle_id", "match", *bodies.paths(EcuSerializer).values())


_ecus = Compiled(_ecu_rows, list)


def _ecus_of(vehicle_ids: list[UUID]) -> Mapping[UUID, list[Body]]:
    found: dict[UUID, list[Body]] = defaultdict(list)
    for vehicle_id, match, *values in _ecus.rows(vehicle_ids):
        ecu = dict(zip(bodies.paths(EcuSerializer), values, strict=True))
        ecu["match"] = matched_variant(match, ecu["description"], ecu["variant"])
        found[vehicle_id].append(ecu)
    return found
