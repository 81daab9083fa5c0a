"""The worker: claims commands, lets the vehicles carry them out, and keeps the house in order."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError

from commands import lifecycle
from commands.doorbell import WORKERS, Listener, bell
from commands.execution import Execution, Stop
from commands.threads import in_thread
from vehicles.connector import Connector
from vehicles.models import Vehicle

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # a lost doorbell costs at most this


class Worker:
    """Belongs to one event loop. `run()` goes on until `stop()`; `drain()` is one pass over what
    is claimable, for tests and operators."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._running: dict[asyncio.Task[None], Execution] = {}
        self._claim_bell = asyncio.Event()
        self._house_bell = asyncio.Event()
        self._renewed_at = 0.0
        self._stopping = False

    async def run(self) -> None:
        bell.attach()
        listener = Listener(self._on_message)
        listener.join(WORKERS)
        await _survive(in_thread(_tidy))
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            while not self._stopping:
                self._claim_bell.clear()
                await _survive(self._claim())
                await _rung(self._claim_bell)
            await self._finish()
        finally:
            await _end(housekeeping)
            await listener.close()

    async def drain(self) -> None:
        """Work until nothing is claimable and nothing runs."""
        bell.attach()
        await in_thread(_tidy)
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            while not self._stopping and (await self._claim() or self._running):
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            await self._finish()
        finally:
            await _end(housekeeping)

    def stop(self) -> None:
        """First call: claim nothing more and let finish what runs. Second: release what runs."""
        if self._stopping:
            self.release()
        self._stopping = True
        self._claim_bell.set()

    def release(self) -> None:
        """Give up what runs, by the rules of `lifecycle.release`."""
        for execution in self._running.values():
            execution.stop(Stop.RELEASED)

    # --- Claiming

    async def _claim(self) -> int:
        free = settings.WORKER_CONCURRENCY - len(self._running)
        lease_ends = _now() + settings.COMMAND_LEASE_SECONDS
        commands = await in_thread(lifecycle.claim, free) if free else []
        for command in commands:
            self._start(Execution(command, self._connector, lease_ends))
        return len(commands)

    def _start(self, execution: Execution) -> None:
        task = asyncio.create_task(execution.run())
        self._running[task] = execution
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._claim_bell.set()  # its vehicle is free for the next command

    async def _finish(self) -> None:
        if self._running:
            logger.info("Waiting for %d running commands", len(self._running))
            await asyncio.wait(self._running)

    def _on_message(self, message: Mapping[str, Any]) -> None:
        self._claim_bell.set()
        self._house_bell.set()

    # --- Housekeeping

    async def _keep_house(self) -> None:
        while True:
            self._house_bell.clear()
            await _survive(self._look_after_claims())
            await _survive(in_thread(_tidy))
            await _rung(self._house_bell)

    async def _look_after_claims(self) -> None:
        """Renew the leases, and stop what was cancelled or is no longer ours."""
        running = list(self._running.values())
        try:
            await self._renew(running)
            claims = await in_thread(lifecycle.held, [execution.command for execution in running])
            for execution in running:
                execution.heed(claims)
        finally:
            for execution in running:
                if execution.lease_ends < _now():  # without the database, the clock decides
                    execution.stop(Stop.LOST)

    async def _renew(self, running: list[Execution]) -> None:
        now = _now()
        if now - self._renewed_at < settings.COMMAND_LEASE_SECONDS / 3:
            return
        await in_thread(lifecycle.renew, [execution.command for execution in running])
        self._renewed_at = now
        for execution in running:
            execution.lease_ends = now + settings.COMMAND_LEASE_SECONDS


def _tidy() -> None:
    Vehicle.objects.seen()
    lifecycle.sweep()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _rung(bell: asyncio.Event) -> None:
    """Wait for the bell, or the time after which one looks without it."""
    seconds = min(POLL_SECONDS, settings.VEHICLE_PRESENCE_SECONDS / 3)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):  # noqa: S311
            await bell.wait()


async def _survive(work: Awaitable[Any]) -> None:
    """A worker that stops looking after its claims is worse than one that failed once."""
    try:
        await work
    except DatabaseError as error:
        logger.warning("The database does not answer (%s)", str(error).strip())
    except Exception:
        logger.exception("The worker goes on after an unexpected error")


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
