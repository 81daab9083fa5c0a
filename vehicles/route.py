"""The way to a vehicle, as one value: equal as long as requests reach the same ECUs."""

import hashlib
import json

from vehicles.models import Vehicle


def route_digest(vehicle: Vehicle) -> str:
    """Digest the VIN, the connector with its settings, and the ECUs with their addresses."""
    ecus = [
        [ecu.number, ecu.logical_address, ecu.component]
        for ecu in sorted(vehicle.configured_ecus, key=lambda ecu: ecu.number)
    ]
    route = [vehicle.vin, vehicle.connector, vehicle.connector_settings, ecus]
    return hashlib.sha256(json.dumps(route, sort_keys=True).encode()).hexdigest()
