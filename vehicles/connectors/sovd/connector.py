"""SOVD: the connector for vehicles that have an SOVD server, in themselves or before them."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar, Self

from vehicles.connectors.base import Attempt, Probe, Response, TargetVehicle, VehicleError
from vehicles.connectors.reading_back import until_proved
from vehicles.connectors.sovd import faults, scripts
from vehicles.connectors.sovd.configuration import SETTINGS_SCHEMA, SovdSettings
from vehicles.connectors.sovd.entities import SovdEcu, Tree, all_ecus, find_ecu
from vehicles.connectors.sovd.errors import SURVIVABLE, Refusal
from vehicles.connectors.sovd.identity import tree_of
from vehicles.connectors.sovd.server import Servers
from vehicles.connectors.sovd.session import Session


class SovdConnector:
    """Carries out commands on vehicles behind SOVD servers, all on one event loop.

    Each vehicle has at most one request under way, and a command holds its server alone.
    """

    name: ClassVar[str] = "sovd"
    description: ClassVar[str] = "SOVD (ISO 17978-3), by HTTP"
    settings_schema: ClassVar[dict[str, Any]] = SETTINGS_SCHEMA
    command_names: ClassVar[frozenset[str]] = scripts.COMMAND_NAMES
    can_read_back: ClassVar[bool] = True

    def __init__(self) -> None:
        self._servers = Servers()

    @classmethod
    def from_settings(cls) -> Self:
        return cls()

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncGenerator[Response, None]:
        ecu = _ecu_of(vehicle, command_name, command_params)
        async with self._opened(vehicle, attempt, ecu) as tree:
            session = tree.session
            try:
                if ecu is None:
                    steps = scripts.scan(tree, all_ecus(vehicle))
                else:
                    entity = await tree.component(ecu)
                    steps = scripts.SCRIPTS[command_name](session, entity, ecu, command_params)
                async with aclosing(steps):
                    async for response in steps:
                        yield response
            except VehicleError as error:
                error.is_certain = not session.may_have_acted
                raise

    async def read_back(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        before: list[str] | None,
        attempt: Attempt,
    ) -> list[Response] | None:
        """Return the response of a command that a read proves to have been carried out.

        Return None if it cannot be read back; raise VehicleError if the reads prove nothing.
        """
        is_known = before is not None or command_name != "ClearDTC"
        script = scripts.READ_BACK_SCRIPTS.get(command_name)
        if script is None or not is_known:
            return None
        ecu = find_ecu(vehicle, command_params["ecuAddress"])

        async def read() -> list[Response]:
            async with self._opened(vehicle, attempt, ecu) as tree:
                entity = await tree.component(ecu)
                return [await script(tree.session, entity, ecu, command_params, before or [])]

        return await until_proved(read)

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        """Ask for version-info and the root, and check the VIN; ask each ECU only `with_ecus`."""
        server = self._servers.find(SovdSettings.of(vehicle))
        if server and server.lock.locked() and server.vin == vehicle.vin and not with_ecus:
            return Probe("connected", vin=vehicle.vin)  # a command has just checked it
        try:
            async with self._opened(vehicle, None, None) as tree:
                found = await _found(tree, all_ecus(vehicle)) if with_ecus else {}
        except VehicleError as error:
            is_away = error.error_code == "vehicle_unreachable"
            return Probe("disconnected" if is_away else "error", str(error))
        return Probe("connected", "", vehicle.vin, found)

    async def close(self) -> None:
        await self._servers.close()

    @asynccontextmanager
    async def _opened(
        self, vehicle: TargetVehicle, attempt: Attempt | None, ecu: SovdEcu | None
    ) -> AsyncIterator[Tree]:
        """Hold the vehicle's server, after its VIN was checked."""
        async with self._servers.use(SovdSettings.of(vehicle)) as server:
            session = Session(server, attempt)
            session.ecu_address = ecu.text if ecu else ""
            yield await tree_of(session, vehicle)


def _ecu_of(vehicle: TargetVehicle, command_name: str, params: Mapping[str, Any]) -> SovdEcu | None:
    """Return the ECU of a command, None for a scan of all. Raises VehicleError."""
    if command_name == "ScanVehicle":
        if not vehicle.configured_ecus:
            raise Refusal("The vehicle has no ECUs to scan. Add them to the vehicle.")
        return None
    if command_name not in scripts.SCRIPTS:
        raise Refusal(f"{command_name} cannot be sent over SOVD. Choose another command.")
    ecu = find_ecu(vehicle, params["ecuAddress"])
    if not ecu.component:
        raise Refusal(f"ECU {ecu.text} has no SOVD component. Add it to the vehicle's ECUs.")
    return ecu


async def _found(tree: Tree, ecus: list[SovdEcu]) -> dict[str, Any]:
    """Return the server, the ECUs that answer, and those that do not."""
    answers = {ecu.text: await _answers(tree, ecu) for ecu in ecus}
    return {
        "gateway": None,
        "ecus": [address for address, has_answered in answers.items() if has_answered],
        "silent_ecus": [address for address, has_answered in answers.items() if not has_answered],
    }


async def _answers(tree: Tree, ecu: SovdEcu) -> bool:
    """Return whether the ECU's faults can be read; a refusal by the ECU is an answer."""
    try:
        await faults.read(tree.session, await tree.component(ecu))
    except Refusal as refusal:
        return refusal.nrc is not None
    except SURVIVABLE:
        return False
    return True
