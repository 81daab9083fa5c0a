"""The control units of a vehicle as components, and what each of them offers."""

import re
from dataclasses import dataclass

from vehicles.connectors import data_ids
from vehicles.connectors.mock.car import ECU_NAMES
from vehicles.models import Ecu, Vehicle

MOCKED_MEASUREMENTS = (0x0105, 0x010C, 0x010D)
IDENTIFICATION_RANGE = range(0xF180, 0xF1A0)
CATEGORIES = ("identData", "currentData", "storedData")
IN_AN_ADDRESS = re.compile(r"[\w.~-]+", re.ASCII)


@dataclass(frozen=True)
class Component:
    """A control unit as an entity of SOVD. Its ID is the `component`, else the address."""

    id: str
    name: str
    address: str
    logical_address: str = ""
    variant: str = ""


@dataclass(frozen=True)
class DataItem:
    """A data identifier as a data resource."""

    id: str
    name: str
    category: str


def of_vehicle(vehicle: Vehicle) -> dict[str, Component]:
    """Return the components by their IDs. A mocked vehicle without ECUs has the four of all."""
    found: dict[str, Component] = {}
    ecus = [(ecu, ecu.address) for ecu in vehicle.configured_ecus]
    if not ecus and vehicle.connector == "mock":
        ecus = [(Ecu(name=name), address) for address, name in ECU_NAMES.items()]
    for ecu, address in ecus:
        is_usable = IN_AN_ADDRESS.fullmatch(ecu.component) and ecu.component not in found
        name = ecu.component if is_usable else address
        found[name] = Component(name, ecu.name or name, address, ecu.logical_address, ecu.read_as)
    return found


def data_of(vehicle: Vehicle) -> list[DataItem]:
    """Return the data that each component of the vehicle has; others may be read by their DID."""
    measured = MOCKED_MEASUREMENTS if vehicle.connector == "mock" else ()
    return [data_item(data_id) for data_id in (*data_ids.IDENTIFICATION, *measured)]


def data_item(data_id: int) -> DataItem:
    text = f"0x{data_id:04X}"
    measurement = data_ids.MEASUREMENTS.get(data_id)
    if measurement:
        return DataItem(text, measurement.name, "currentData")
    is_identification = data_id in IDENTIFICATION_RANGE
    name = data_ids.NAMES.get(data_id, text)
    return DataItem(text, name, "identData" if is_identification else "storedData")
