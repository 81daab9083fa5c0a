"""The right vehicle: its VIN, checked before anything else is sent."""

import re
from collections.abc import AsyncIterator
from typing import Any

from vehicles.connectors import data_ids
from vehicles.connectors.base import TargetVehicle, VehicleError
from vehicles.connectors.errors import UnusableAnswer
from vehicles.connectors.sovd import data
from vehicles.connectors.sovd.entities import GENERIC_SERVICE, Entity, Tree, all_ecus, member
from vehicles.connectors.sovd.errors import Refusal
from vehicles.connectors.sovd.session import Session
from vehicles.vin import VIN_PATTERN

MAX_DEPTH = 4


async def tree_of(session: Session, vehicle: TargetVehicle) -> Tree:
    """Return the entities of the vehicle whose VIN was checked just now. Raises VehicleError."""
    session.server.vin = None
    tree = await Tree.of(session)
    vin = _vin_of_root(tree.root) or await _vin_by_data(tree, vehicle)
    session.server.vin = vin
    if vin != vehicle.vin:
        raise VehicleError(
            "wrong_vehicle",
            f"The vehicle at the URL has the VIN {vin}, not {vehicle.vin}. "
            "Nothing else was sent. Correct `url`, or choose the right vehicle.",
        )
    return tree


def _vin_of_root(root: Entity) -> str | None:
    """Return the VIN that the entry point tells under a name of its own, or as ID or name."""
    about = root.about
    variant = about.get("variant")
    for part in (about, variant if isinstance(variant, dict) else {}):
        for key, value in part.items():
            if key.lower().endswith("vin") and (vin := _vin_in(value)):
                return vin
    return _vin_in(about.get("id")) or _vin_in(about.get("name"))


async def _vin_by_data(tree: Tree, vehicle: TargetVehicle) -> str:
    name = tree.session.server.settings.data_ids.get(data_ids.VIN, "vin")
    problem: VehicleError | None = None
    async for entity in _candidates(tree, vehicle):
        try:
            if vin := await _vin_of(tree.session, entity, name):
                return vin
        except (Refusal, UnusableAnswer):
            continue
        except VehicleError as error:
            problem = problem or error  # another ECU may answer
    raise problem or Refusal(
        'The server does not tell the VIN. Name the data that has it: `data_ids` {"0xF190": …}.',
    )


async def _candidates(tree: Tree, vehicle: TargetVehicle) -> AsyncIterator[Entity]:
    """Yield the entities that may know the VIN: the vehicle itself, and then its ECUs."""
    yield tree.root
    for ecu in all_ecus(vehicle):
        try:
            entity = await tree.component(ecu)
        except Refusal:
            continue
        yield entity


async def _vin_of(session: Session, entity: Entity, name: str) -> str | None:
    if entity.offers("data"):
        try:
            url = member(entity.link(session, "data"), name)
            return _vin_in(await session.get(url, "data"))
        except Refusal:
            if not entity.offers(GENERIC_SERVICE):
                raise
    if entity.offers(GENERIC_SERVICE):
        return _vin_in(data_ids.text_of(await data.read_bytes(session, entity, data_ids.VIN)))
    return None


def _vin_in(value: Any, depth: int = 0) -> str | None:
    """Return the first text in an answer that is a VIN."""
    if isinstance(value, str):
        return value if re.match(VIN_PATTERN, value) else None
    if depth > MAX_DEPTH or not isinstance(value, dict | list):
        return None
    children = value.values() if isinstance(value, dict) else value
    return next((vin for child in children if (vin := _vin_in(child, depth + 1))), None)
