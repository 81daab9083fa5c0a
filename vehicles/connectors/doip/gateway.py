"""Gateways: one connection to each, shared by the vehicles behind it, closed when idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from vehicles.connectors.base import VehicleError
from vehicles.connectors.doip.configuration import DoipSettings
from vehicles.connectors.doip.connection import Connection, GatewayBusy
from vehicles.connectors.doip.identification import identify
from vehicles.connectors.networks import allowed_addresses

# Short: many gateways serve one tester at a time, and another worker may be the next.
IDLE_SECONDS = 1.0
# Another worker's idle connection is gone by then.
BUSY_SECONDS = 3.0
BUSY_RETRY_SECONDS = 0.25
MIN_CONNECT_SECONDS = 2.0
# To wait for vehicle identification (A_DoIP_Ctrl of ISO 13400-2): not every gateway offers it.
MAX_SECONDS = 2.0
AGAIN_SECONDS = 0.3
MAX_REMEMBERED = 10_000


class Gateway:
    """The one connection to a gateway; only for the holder of `lock`."""

    def __init__(self, settings: DoipSettings) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.idle: asyncio.TimerHandle | None = None
        self.connection: Connection | None = None
        self.vin: str | None = None
        """The VIN of the vehicle behind the open connection, once it was learned."""
        self.is_silent_while_open = False
        """Whether it does not identify itself while it is connected, as it does before."""
        self._settings = settings
        self._address = ""
        self._identifies = False

    async def connect(self, settings: DoipSettings) -> tuple[Connection, str | None]:
        """Return a connection, and the VIN by vehicle identification; None if it tells none.

        An open connection is used again only if the gateway identifies itself as before.
        """
        if self.connection and self._is_open_for(settings):
            vin = await self._identify(settings, AGAIN_SECONDS) if self._identifies else None
            if vin or not self._identifies:
                return self.connection, vin
            self.is_silent_while_open = True
        self.close()
        self._settings = settings
        return await self._open(settings)

    def _is_open_for(self, settings: DoipSettings) -> bool:
        """Return whether the connection can serve this vehicle, and was opened as it wants."""
        opened = self._settings
        return (
            settings.source_address == opened.source_address
            and settings.activation_type == opened.activation_type
            and settings.check_vin == opened.check_vin
            and self.connection is not None
            and self.connection.is_reusable
        )

    async def _open(self, settings: DoipSettings) -> tuple[Connection, str | None]:
        *others, last = await allowed_addresses(settings.host)
        for self._address in others:
            try:
                return await self._open_address(settings)
            except VehicleError:
                continue
        self._address = last
        return await self._open_address(settings)

    async def _open_address(self, settings: DoipSettings) -> tuple[Connection, str | None]:
        vin = await self._identify(settings, MAX_SECONDS) if settings.check_vin else None
        self._identifies = vin is not None
        gives_up = monotonic() + BUSY_SECONDS
        while True:
            try:
                self.connection = await self._connect_once(settings)
            except GatewayBusy:
                if monotonic() >= gives_up:
                    raise
                await asyncio.sleep(BUSY_RETRY_SECONDS)
            else:
                return self.connection, vin

    async def _identify(self, settings: DoipSettings, seconds: float) -> str | None:
        seconds = min(seconds, settings.response_timeout)
        return await identify(self._address, settings.port, seconds)

    async def _connect_once(self, settings: DoipSettings) -> Connection:
        seconds = max(MIN_CONNECT_SECONDS, settings.response_timeout)
        try:
            async with asyncio.timeout(seconds):
                return await Connection.open(
                    self._address, settings.port, settings.source_address, settings.activation_type
                )
        except TimeoutError:
            raise VehicleError(
                "vehicle_unreachable",
                f"The gateway {settings.host} port {settings.port} did not answer within "
                f"{seconds:g} s. Check that it is online, then send it again.",
            ) from None

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection, self.vin = None, None


class Gateways:
    """The gateways that are in use or were a moment ago, by host and port."""

    def __init__(self) -> None:
        self._gateways: dict[tuple[str, int], Gateway] = {}
        self._silent_while_open: set[tuple[str, int]] = set()

    def find(self, settings: DoipSettings) -> Gateway | None:
        return self._gateways.get((settings.host, settings.port))

    @asynccontextmanager
    async def use(self, settings: DoipSettings) -> AsyncIterator[Gateway]:
        """Hold a gateway alone."""
        key = settings.host, settings.port
        gateway = self._gateways.setdefault(key, Gateway(settings))
        gateway.users += 1
        try:
            async with gateway.lock:
                if gateway.idle:
                    gateway.idle.cancel()
                try:
                    yield gateway
                finally:
                    self._tidy(key, gateway)
        finally:
            gateway.users -= 1
            self._left(key, gateway)

    def _tidy(self, key: tuple[str, int], gateway: Gateway) -> None:
        """Close a connection that the next holder could not use. Only the holder may."""
        if gateway.is_silent_while_open and len(self._silent_while_open) < MAX_REMEMBERED:
            self._silent_while_open.add(key)
        if gateway.connection and not gateway.connection.is_reusable:
            gateway.close()

    def _left(self, key: tuple[str, int], gateway: Gateway) -> None:
        """Keep a connection for a moment, if nobody uses it or waits for it."""
        if gateway.users:
            return
        if gateway.connection and key not in self._silent_while_open:
            loop = asyncio.get_running_loop()
            gateway.idle = loop.call_later(IDLE_SECONDS, self._forget, key)
        else:
            self._forget(key)

    def _forget(self, key: tuple[str, int]) -> None:
        gateway = self._gateways.get(key)
        if gateway and not gateway.users:
            gateway.close()
            del self._gateways[key]

    def close(self) -> None:
        for key, gateway in list(self._gateways.items()):
            if gateway.idle:
                gateway.idle.cancel()
            gateway.close()
            del self._gateways[key]
