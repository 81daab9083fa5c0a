"""DoIP vehicles in the database, as the connector's tests describe them."""

from vehicles.models import Ecu, Vehicle
from vehicles.tests.targets import Target


def add(target: Target) -> Vehicle:
    vehicle: Vehicle = Vehicle.objects.create(
        vin=target.vin,
        connector="doip",
        connector_settings={**target.connector_settings, "response_timeout": 0.5},
    )
    for ecu in target.configured_ecus:
        Ecu.objects.create(
            vehicle=vehicle,
            address=ecu.address,
            name=ecu.name,
            logical_address=ecu.logical_address,
        )
    return vehicle
