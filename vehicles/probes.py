"""Presence: which vehicles are due for a probe, and what a probe found."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from vehicles.connectors.base import Probe
from vehicles.models import ConnectionStatus, Vehicle


def take_due(connectors: Collection[str], is_idle: Q, limit: int) -> list[Vehicle]:
    """Take up to `limit` probes that are due; no other worker takes the same ones.

    A vehicle that is busy with a command is not probed: a gateway accepts one connection.
    """
    with transaction.atomic():
        due = Vehicle.objects.due_for_probe().filter(is_idle, connector__in=connectors)
        rows = due.select_for_update(skip_locked=True, of=("self",))[:limit]
        vehicles = list(rows.prefetch_related("ecus"))
        for is_test in (False, True):
            ids = [vehicle.pk for vehicle in vehicles if is_a_test(vehicle) == is_test]
            if ids:
                Vehicle.objects.filter(pk__in=ids).update(
                    probe_at=Now() + timedelta(seconds=settings.VEHICLE_PROBE_SECONDS),
                    probe_lease_expires_at=Now() + timedelta(seconds=max_seconds(is_test=is_test)),
                )
    return vehicles


def is_a_test(vehicle: Vehicle) -> bool:
    """Return whether a person asked for this probe, so that it also asks the ECUs."""
    return vehicle.probe_requested_at is not None


def max_seconds(*, is_test: bool) -> float:
    """Return how long a probe may take. A test asks each ECU, and waits for the silent ones."""
    return settings.VEHICLE_PRESENCE_SECONDS if is_test else settings.VEHICLE_PROBE_SECONDS


def request_test(vehicle: Vehicle) -> None:
    """Make a probe due now that also asks the ECUs; a probe that runs already ends before it."""
    Vehicle.objects.filter(pk=vehicle.pk).update(probe_requested_at=Now(), probe_at=Now())


def store(probes: Sequence[tuple[Vehicle, Probe]], is_idle: Q) -> None:
    """Write what the probes found: one statement for all vehicles with the same result.

    A probe that failed beside a command proves nothing: a gateway accepts one connection.
    """
    groups: defaultdict[tuple[int, str], list[UUID]] = defaultdict(list)
    for vehicle, probe in probes:
        changes = json.dumps(_changes(vehicle, probe), sort_keys=True)
        groups[vehicle.settings_version, changes].append(vehicle.pk)
    for (version, changes), ids in groups.items():
        rows = Vehicle.objects.filter(pk__in=ids)
        now = dict.fromkeys(_instants(json.loads(changes)), Now())
        current = rows.filter(settings_version=version)
        if _proves_nothing_beside_a_command(json.loads(changes)):
            current = current.filter(is_idle)
        written = current.update(**json.loads(changes), **now, probe_lease_expires_at=None)
        if written < len(ids):  # its settings were changed meanwhile, or a command runs
            rows.update(probe_lease_expires_at=None)


def _changes(vehicle: Vehicle, probe: Probe) -> dict[str, Any]:
    changes = {"connection_status": probe.status, "connection_problem": probe.problem}
    if is_a_test(vehicle):
        found = {"vin": probe.vin} | probe.found
        return changes | {"probe_found": found, "probe_requested_at": None}
    return changes


def _proves_nothing_beside_a_command(changes: dict[str, Any]) -> bool:
    is_test = "probe_found" in changes  # a person waits for its result
    return changes["connection_status"] == ConnectionStatus.DISCONNECTED and not is_test


def _instants(changes: dict[str, Any]) -> list[str]:
    is_away = changes["connection_status"] == ConnectionStatus.DISCONNECTED
    return ["probed_at"] if is_away else ["probed_at", "last_seen_at"]


def mark_seen(vehicle_ids: Collection[UUID]) -> None:
    """Note that these connected vehicles just responded."""
    connected = Vehicle.objects.filter(connection_status=ConnectionStatus.CONNECTED)
    connected.filter(pk__in=vehicle_ids).update(last_seen_at=Now())
