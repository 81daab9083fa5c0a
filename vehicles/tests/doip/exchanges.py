"""Requests and responses of a DoIP vehicle that misbehaves on purpose."""

from dataclasses import replace
from typing import Any

from vehicles.connectors.base import VehicleError
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.hostile import (
    Answer,
    HostileGateway,
    diagnostic,
    gateway,
)
from vehicles.tests.targets import VIN, Target, failure

ENGINE = {"ecuAddress": "0x10"}


READ_VIN = ENGINE | {"dataId": "0xF190"}


START = ENGINE | {"routineId": "0x0203", "action": "start"}


PENDING = diagnostic(b"\x7f\x22\x78")


VIN_RESPONSE = diagnostic(b"\x62\xf1\x90" + VIN.encode())


async def ends_with(answer: Answer, name: str, params: dict[str, Any]) -> VehicleError:
    """Return the error of a command before a gateway that answers so, and check for leaks."""
    doip = DoipConnector()
    async with gateway(answer) as hostile:
        error = await failure(doip, hostile.vehicle, name, params)
        await doip.close()
        await hostile.all_closed()
    return error


def checks_vin(hostile: HostileGateway) -> Target:
    settings = {**hostile.vehicle.connector_settings, "check_vin": True}
    return replace(hostile.vehicle, connector_settings=settings)
