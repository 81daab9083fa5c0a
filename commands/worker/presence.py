"""Probes by a worker, which measure whether each vehicle can be reached."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from django.db.models import Exists, OuterRef, Q

from commands import lifecycle
from commands.database.threads import in_thread
from commands.models import running_on
from vehicles import probes
from vehicles.connectors.base import Connector, Probe
from vehicles.models import ConnectionStatus, Vehicle

logger = logging.getLogger(__name__)

MAX_PROBES = 200  # at once
FLUSH_SECONDS = 0.2  # how long a result waits for others


class Presence:
    """Prober of the vehicles that are due, of a bounded number at once.

    A vehicle is probed by one worker at a time.
    """

    def __init__(
        self, connectors: Mapping[str, Connector], on_connected: Callable[[], None]
    ) -> None:
        """`on_connected`: called when a vehicle that was away is back."""
        self._connectors = connectors
        self._on_connected = on_connected
        self._running: set[asyncio.Task[None]] = set()
        self._results: list[tuple[Vehicle, Probe]] = []

    async def step(self) -> bool:
        """Start the probes that are due and store results; return False when nothing is left."""
        free = MAX_PROBES - len(self._running)
        due = await in_thread(probes.take_due, self._connectors, IS_IDLE, free) if free else []
        for vehicle in due:
            task = asyncio.create_task(self._probe(vehicle))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if self._running:
            await asyncio.wait(self._running, timeout=FLUSH_SECONDS)
        await self._store()
        return bool(due or self._running)

    async def settle(self) -> None:
        """Probe until nothing is due."""
        while await self.step():
            pass

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _probe(self, vehicle: Vehicle) -> None:
        probe = Probe("disconnected", "The probe got no answer in time.")
        with suppress(TimeoutError):
            try:
                is_test = probes.is_a_test(vehicle)
                async with asyncio.timeout(probes.max_seconds(is_test=is_test)):
                    connector = self._connectors[vehicle.connector]
                    probe = await connector.probe(vehicle, with_ecus=is_test)
            except TimeoutError:
                raise
            except Exception:
                logger.exception("The probe of vehicle %s failed", vehicle.pk)
                probe = Probe("error", "The probe failed; the worker's log says why.")
        self._results.append((vehicle, probe))

    async def _store(self) -> None:
        results, self._results = self._results, []
        if not results:
            return
        await in_thread(_store, results)
        is_back = [
            vehicle
            for vehicle, probe in results
            if probe.status == "connected"
            and vehicle.effective_connection_status != ConnectionStatus.CONNECTED
        ]
        if is_back:
            self._on_connected()


def _store(results: list[tuple[Vehicle, Probe]]) -> None:
    """Write what the probes found, and let waiting commands of connected vehicles be claimed."""
    probes.store(results, IS_IDLE)
    lifecycle.mark_ready([one.pk for one, probe in results if probe.status == "connected"])


IS_IDLE = Q(~Exists(running_on(OuterRef("pk"))))
