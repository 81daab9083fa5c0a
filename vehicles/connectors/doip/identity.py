"""The right vehicle: its VIN, checked before anything else is sent."""

from collections.abc import Mapping
from typing import Any

from vehicles.connectors import data_ids
from vehicles.connectors.base import Attempt, TargetVehicle, VehicleError
from vehicles.connectors.doip import uds
from vehicles.connectors.doip.configuration import DoipSettings, EcuAddress, all_ecus, find_ecu
from vehicles.connectors.doip.errors import SURVIVABLE
from vehicles.connectors.doip.gateway import Gateway
from vehicles.connectors.doip.identification import vin_of
from vehicles.connectors.doip.requests import Link
from vehicles.connectors.errors import NoAnswer


async def link_to(
    gateway: Gateway,
    vehicle: TargetVehicle,
    settings: DoipSettings,
    params: Mapping[str, Any],
    attempt: Attempt | None,
) -> Link:
    """Return a link to the vehicle whose VIN was checked just now. Raises VehicleError."""
    was_open = gateway.connection is not None
    connection, vin = await gateway.connect(settings)
    link = Link(connection, settings, attempt)
    if settings.check_vin:
        try:
            gateway.vin = vin or await _vin_of_ecus(link, _candidates(vehicle, params, link))
        except VehicleError:
            if not was_open:
                raise
            gateway.close()  # an idle connection may be dead without our knowing
            return await link_to(gateway, vehicle, settings, params, attempt)
        _check(gateway.vin, vehicle, settings)
    return link


def _check(vin: str, vehicle: TargetVehicle, settings: DoipSettings) -> None:
    if vin != vehicle.vin:
        raise VehicleError(
            "wrong_vehicle",
            f"The vehicle at {settings.host} has the VIN {vin}, not {vehicle.vin}. "
            "Nothing else was sent. Correct `host`, or choose the right vehicle.",
        )


def _candidates(vehicle: TargetVehicle, params: Mapping[str, Any], link: Link) -> list[EcuAddress]:
    """Return the ECUs that may know the VIN: those of the vehicle, else the gateway itself."""
    ecus = all_ecus(vehicle)
    if "ecuAddress" in params:
        ecus.append(find_ecu(vehicle, params["ecuAddress"]))
    gateway = link.connection.gateway_address
    if gateway is not None:
        ecus.append(EcuAddress(f"0x{gateway:04X}", gateway))
    known = [ecu.logical for ecu in ecus]
    return [ecu for number, ecu in enumerate(ecus) if ecu.logical not in known[:number]]


async def _vin_of_ecus(link: Link, ecus: list[EcuAddress]) -> str:
    """Return the VIN by F190 of the first ECU that tells one. Raises VehicleError."""
    silences = []
    for ecu in ecus:
        try:
            if vin := vin_of(await link.get(uds.read_data(ecu, data_ids.VIN))):
                return vin
        except NoAnswer as error:
            silences.append(error)
        except SURVIVABLE:
            continue
    if silences and len(silences) == len(ecus):
        raise silences[0]
    raise VehicleError(
        "vehicle_refused",
        "The vehicle does not tell its VIN. Add an ECU that does, or turn off `check_vin`.",
    )
