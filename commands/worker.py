"""The worker: claims commands, lets the vehicles carry them out, and keeps the house in order."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError

from commands import lifecycle
from commands.doorbell import WORKERS, Listener, bell
from commands.execution import Execution, Stop
from commands.housekeeping import forget_expired
from commands.threads import in_thread
from vehicles.connector import Connector
from vehicles.models import Vehicle

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # a lost doorbell costs at most this


class Worker:
    """Belongs to one event loop. `run()` goes on until `stop()`; `drain()` ends by itself."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._running: dict[asyncio.Task[None], Execution] = {}
        self._claim_bell = asyncio.Event()
        self._lease_bell = asyncio.Event()
        self._renewed_at = 0.0
        self._is_stopping = False
        self._is_releasing = False

    async def run(self) -> None:
        listener = Listener(self._on_message)
        listener.join(WORKERS)
        try:
            async with self._house_kept():
                while not self._is_stopping:
                    self._claim_bell.clear()
                    await _survive(self._claim())
                    await _rung(self._claim_bell)
                await self._finish()
        finally:
            await listener.close()

    async def drain(self) -> None:
        """Work until nothing is claimable and nothing runs."""
        await in_thread(_tidy)
        async with self._house_kept():
            was_busy = True
            while not self._is_stopping and (await self._claim() or was_busy):
                was_busy = bool(self._running)
                if self._running:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            await self._finish()

    def stop(self) -> None:
        """First call: claim nothing more and let finish what runs. Second: release what runs, by
        the rules of `lifecycle.release`."""
        self._is_releasing = self._is_stopping
        self._is_stopping = True
        self._claim_bell.set()
        if self._is_releasing:
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
        if self._is_releasing:  # a second stop came while these were being claimed
            execution.stop(Stop.RELEASED)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._claim_bell.set()  # its vehicle is free for the next command

    async def _finish(self) -> None:
        if self._running:
            logger.info(
                "Waiting for what runs (%d); a second signal gives it up", len(self._running)
            )
            longest = settings.COMMAND_TIMEOUT_SECONDS + settings.COMMAND_LEASE_SECONDS
            await asyncio.wait(self._running, timeout=longest)

    def _on_message(self, message: Mapping[str, Any]) -> None:
        is_cancel = message["type"] == "command.cancel"
        (self._lease_bell if is_cancel else self._claim_bell).set()

    # --- Housekeeping

    @asynccontextmanager
    async def _house_kept(self) -> AsyncIterator[None]:
        """Loops of their own, so that a slow sweep never costs a lease."""
        bell.attach()
        await _survive(in_thread(Vehicle.objects.seen))  # so that the first claim finds them
        loops = [
            asyncio.create_task(_repeat(self._look_after_claims, self._lease_bell)),
            asyncio.create_task(_repeat(lambda: in_thread(_tidy), asyncio.Event())),
            asyncio.create_task(_repeat_each_minute(lambda: in_thread(forget_expired))),
        ]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)

    async def _look_after_claims(self) -> None:
        """Renew the leases, and stop what was cancelled or is no longer ours."""
        running = [execution for execution in self._running.values() if not execution.is_overdue]
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


async def _repeat(work: Callable[[], Awaitable[None]], bell: asyncio.Event) -> None:
    while True:
        bell.clear()
        await _survive(work())
        await _rung(bell)


async def _repeat_each_minute(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _survive(work())
        await asyncio.sleep(60 * random.uniform(0.8, 1.2))  # noqa: S311


async def _rung(bell: asyncio.Event) -> None:
    """Wait for the bell, or the time after which one looks without it."""
    shortest = min(settings.COMMAND_LEASE_SECONDS, settings.VEHICLE_PRESENCE_SECONDS)
    seconds = min(POLL_SECONDS, shortest / 4)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):  # noqa: S311
            await bell.wait()


async def _survive(work: Awaitable[Any]) -> None:
    """A worker that stops looking after its claims is worse than one that failed once."""
    try:
        await work
    except DatabaseError as error:
        logger.warning("The database refused (%s)", str(error).strip())
    except Exception:
        logger.exception("The worker goes on after an unexpected error")
