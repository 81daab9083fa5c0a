"""Settings of a vehicle that is reached over DoIP, and the addresses of its ECUs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from vehicles.connectors import data_ids
from vehicles.connectors.base import Ecu, TargetVehicle
from vehicles.ecus import normal_address

SECONDS_AFTER_PENDING = 5.0  # P2* of ISO 14229-2

SETTINGS_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "host": {
            "type": "string",
            "title": "Host",
            "description": "IP address or name of the DoIP gateway, such as 192.168.0.10.",
            "pattern": r"^[0-9A-Za-z_.:%\-]+(?![\s\S])",  # $ lets a trailing newline pass
            "maxLength": 253,
            "examples": ["192.168.0.10"],
        },
        "port": {
            "type": "integer",
            "title": "Port",
            "description": "TCP and UDP port of the gateway, from 1 to 65535.",
            "minimum": 1,
            "maximum": 65535,
            "default": 13400,
        },
        "source_address": {
            "type": "string",
            "title": "Source address",
            "description": "the tester's logical address, two bytes in hexadecimal: 0x0E00.",
            "pattern": "^0x[0-9A-Fa-f]{4}$",
            "maxLength": 6,
            "default": "0x0E00",
        },
        "activation_type": {
            "type": "integer",
            "title": "Activation type",
            "description": "routing activation type from 0 to 255; 0 is the default.",
            "minimum": 0,
            "maximum": 255,
            "default": 0,
        },
        "check_vin": {
            "type": "boolean",
            "title": "Check the VIN",
            "description": "true, so that a command only goes to the vehicle with this VIN.",
            "default": True,
        },
        "response_timeout": {
            "type": "number",
            "title": "Response timeout",
            "description": "seconds to wait for a response, from 0.1 to 60.",
            "minimum": 0.1,
            "maximum": 60,
            "default": 2,
        },
    },
    "required": ["host"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class DoipSettings:
    host: str
    port: int
    source_address: int
    activation_type: int
    check_vin: bool
    response_timeout: float

    @classmethod
    def of(cls, vehicle: TargetVehicle) -> Self:
        """Return the checked settings of a vehicle, with the defaults of the schema."""
        properties: Mapping[str, Any] = SETTINGS_SCHEMA["properties"]
        defaults = {name: rules.get("default") for name, rules in properties.items()}
        values = defaults | dict(vehicle.connector_settings)
        values["source_address"] = int(values["source_address"], 16)
        return cls(**values)

    @property
    def pending_timeout(self) -> float:
        return max(SECONDS_AFTER_PENDING, self.response_timeout)


@dataclass(frozen=True)
class EcuAddress:
    """An ECU as responses spell it, and as the gateway knows it."""

    text: str
    logical: int
    name: str = ""
    length_of: Callable[[int], int | None] = field(default=data_ids.known_length, compare=False)


def all_ecus(vehicle: TargetVehicle) -> list[EcuAddress]:
    return [
        EcuAddress(
            f"0x{ecu.address[2:].upper()}",
            int(ecu.logical_address or ecu.address, 16),
            ecu.name,
            partial(_length, ecu),
        )
        for ecu in vehicle.configured_ecus
    ]


def _length(ecu: Ecu, data_id: int) -> int | None:
    """Return the length of an identifier by the ECU's description, else by a standard."""
    return ecu.length_of(data_id) or data_ids.known_length(data_id)


def find_ecu(vehicle: TargetVehicle, address: str) -> EcuAddress:
    """Return the ECU with this number; one that is not configured has it as logical address."""
    ecus = {ecu.text: ecu for ecu in all_ecus(vehicle)}
    text = normal_address(address, ecus)
    return ecus.get(text) or EcuAddress(text, int(text, 16))
