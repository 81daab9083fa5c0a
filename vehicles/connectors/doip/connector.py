"""UDS over DoIP: the connector for vehicles that a tester reaches by Ethernet."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, ClassVar, Self

from vehicles.connectors.base import Attempt, Probe, Response, TargetVehicle, VehicleError
from vehicles.connectors.doip import scripts, uds
from vehicles.connectors.doip.configuration import (
    SETTINGS_SCHEMA,
    DoipSettings,
    EcuAddress,
    all_ecus,
)
from vehicles.connectors.doip.errors import SURVIVABLE
from vehicles.connectors.doip.gateway import Gateways
from vehicles.connectors.doip.identity import link_to
from vehicles.connectors.doip.requests import Link
from vehicles.connectors.errors import NoAnswer
from vehicles.connectors.reading_back import until_proved


class DoipConnector:
    """Carries out commands on vehicles behind DoIP gateways, all on one event loop.

    Each gateway has at most one connection, and a command holds it alone.
    """

    name: ClassVar[str] = "doip"
    description: ClassVar[str] = "UDS over DoIP (ISO 13400), by Ethernet"
    settings_schema: ClassVar[dict[str, Any]] = SETTINGS_SCHEMA
    command_names: ClassVar[frozenset[str]] = scripts.COMMAND_NAMES
    can_read_back: ClassVar[bool] = True

    def __init__(self) -> None:
        self._gateways = Gateways()

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
        steps = scripts.script(vehicle, command_name, command_params)
        async with self._linked(vehicle, command_params, attempt) as link:
            try:
                async with aclosing(_run(steps, link)) as responses:
                    async for response in responses:
                        yield response
            except VehicleError as error:
                error.is_certain = not link.may_have_acted
                raise

    async def read_back(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        before: list[str] | None,
        attempt: Attempt,
    ) -> list[Response] | None:
        """Return the responses of a command that a read proves to have been carried out.

        Return None if it cannot be read back; raise VehicleError if the read proves nothing.
        An unreachable vehicle is tried again until the caller's time is up.
        """
        is_known = before is not None or command_name != "ClearDTC"
        if command_name not in scripts.READ_BACK_SCRIPTS or not is_known:
            return None

        async def read() -> list[Response]:
            steps = scripts.read_back_script(vehicle, command_name, command_params, before or [])
            async with self._linked(vehicle, command_params, attempt) as link:
                return [response async for response in _run(steps, link)][-1:]

        return await until_proved(read)

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        """Connect, activate routing and check the VIN; ask each ECU only `with_ecus`."""
        settings = DoipSettings.of(vehicle)
        if self._is_in_use(vehicle, settings) and not with_ecus:
            return Probe("connected", vin=vehicle.vin if settings.check_vin else None)
        try:
            async with self._gateways.use(settings) as gateway:
                was_open = gateway.connection is not None
                link = await link_to(gateway, vehicle, settings, {}, None)
                found = await _found(link, vehicle) if with_ecus else {}
                vin = gateway.vin
                if not was_open:
                    gateway.close()
        except VehicleError as error:
            is_away = error.error_code == "vehicle_unreachable"
            return Probe("disconnected" if is_away else "error", str(error), None, {})
        return Probe("connected", "", vin, found)

    def _is_in_use(self, vehicle: TargetVehicle, settings: DoipSettings) -> bool:
        """Return whether a command holds the vehicle right now, after it checked the VIN."""
        gateway = self._gateways.find(settings)
        if not gateway or not gateway.lock.locked() or not gateway.connection:
            return False
        return gateway.vin == vehicle.vin or not settings.check_vin

    async def close(self) -> None:
        self._gateways.close()
        await asyncio.sleep(0)  # the sockets close in the event loop's next round

    @asynccontextmanager
    async def _linked(
        self, vehicle: TargetVehicle, params: Mapping[str, Any], attempt: Attempt
    ) -> AsyncIterator[Link]:
        settings = DoipSettings.of(vehicle)
        async with self._gateways.use(settings) as gateway:
            yield await link_to(gateway, vehicle, settings, params, attempt)


async def _found(link: Link, vehicle: TargetVehicle) -> dict[str, Any]:
    """Return the gateway's address, the ECUs that answer, and those that do not."""
    gateway = link.connection.gateway_address
    answers = {ecu.text: await _answers(link, ecu) for ecu in all_ecus(vehicle)}
    return {
        "gateway": None if gateway is None else f"0x{gateway:04X}",
        "ecus": [address for address, has_answered in answers.items() if has_answered],
        "silent_ecus": [address for address, has_answered in answers.items() if not has_answered],
    }


async def _answers(link: Link, ecu: EcuAddress) -> bool:
    """Return whether an ECU answers; a refusal is an answer."""
    try:
        await link.get(uds.tester_present(ecu))
    except NoAnswer:
        return False
    except SURVIVABLE:
        return True
    return True


async def _run(steps: scripts.Steps[None], link: Link) -> AsyncGenerator[Response, None]:
    """Yield the responses of a script; ask over the link, and give it the meaning or the error."""
    advance = partial(steps.send, None)
    while True:
        try:
            step = advance()
        except StopIteration:
            return
        advance = partial(steps.send, None)
        if isinstance(step, Response):
            yield step
            continue
        try:
            async with aclosing(link.ask(step)) as progress:
                async for response in progress:
                    yield response
            advance = partial(steps.send, link.result)
        except VehicleError as error:
            advance = partial(steps.throw, error)
