"""The worker: claims commands, lets the vehicles carry them out, and keeps the house in order."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic, time
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError

from commands import batches, lifecycle, metrics
from commands.doorbell import WORKERS, Listener, bell
from commands.execution import Execution, Stop
from commands.housekeeping import forget_expired
from commands.leases import Leases, poll_seconds
from commands.threads import CONNECTION_LOST, in_thread
from vehicles.connector import Connector
from vehicles.models import Vehicle

logger = logging.getLogger(__name__)

HEALTHY_SECONDS = 30.0  # it goes through its housekeeping about once a second
FORGET_SECONDS = 60.0


class Worker:
    """Belongs to one event loop. `run()` goes on until `stop()`; `drain()` ends by itself."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._running: dict[asyncio.Task[None], Execution] = {}
        self._leases = Leases(self._running.values)
        self._bell = asyncio.Event()
        self._is_stopping = False
        self._is_releasing = False

    async def run(self) -> None:
        listener = Listener(self._on_message)
        listener.join(WORKERS)
        try:
            async with self._house_kept():
                while not self._is_stopping:
                    self._bell.clear()
                    await _survive(self._claim())
                    await _rung(self._bell)
                await self._finish()
        finally:
            await listener.close()

    async def drain(self) -> None:
        """Work until nothing is claimable and nothing runs."""
        await in_thread(_tidy)
        async with self._house_kept():
            was_busy = True
            while not self._is_stopping and (await self._has_claimed() or was_busy):
                was_busy = bool(self._running)
                if self._running:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            await self._finish()

    def stop(self) -> None:
        """First call: claim nothing more and let finish what runs. Second: release what runs, by
        the rules of `lifecycle.release`."""
        self._is_releasing = self._is_stopping
        self._is_stopping = True
        self._bell.set()
        if self._is_releasing:
            for execution in self._running.values():
                execution.stop(Stop.RELEASED)

    # --- Claiming

    async def _has_claimed(self) -> bool:
        """Also True when it is not known: then one has to look again."""
        try:
            return await self._claim() > 0
        except CONNECTION_LOST as error:
            logger.warning("The database refused a claim (%s)", str(error).strip())
            await asyncio.sleep(poll_seconds())
            return True

    async def _claim(self) -> int:
        free = settings.WORKER_CONCURRENCY - len(self._running)
        lease_ends = monotonic() + settings.COMMAND_LEASE_SECONDS
        # What has cost so many workers runs alone among its like, or it would take them with it.
        has_suspect = any(execution.command.is_suspect for execution in self._running.values())
        commands = await in_thread(lifecycle.claim, free, has_suspect) if free else []
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
        self._bell.set()  # its vehicle is free for the next command

    async def _finish(self) -> None:
        if self._running:
            logger.info(
                "Waiting for what runs (%d); a second signal gives it up", len(self._running)
            )
            longest = settings.COMMAND_TIMEOUT_SECONDS + settings.COMMAND_LEASE_SECONDS
            await asyncio.wait(self._running, timeout=longest)

    def _on_message(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "command.cancel":
            self._leases.look_now()
        else:
            self._bell.set()

    # --- Housekeeping

    @asynccontextmanager
    async def _house_kept(self) -> AsyncIterator[None]:
        bell.attach()
        await _survive(in_thread(Vehicle.objects.seen))  # so that the first claim finds them
        is_over = asyncio.Event()
        keepers = [asyncio.create_task(keep(is_over)) for keep in (_keep_tidy, _keep_forgetting)]
        try:
            with metrics.workers.track_inprogress():
                async with self._leases.kept():
                    yield
        finally:
            is_over.set()
            await asyncio.wait(keepers)


async def _keep_tidy(is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        await _survive(in_thread(_tidy))
        await _rung(is_over)


def _tidy() -> None:
    Vehicle.objects.seen()
    lifecycle.sweep()
    batches.sweep()  # afterwards: what was swept may have been one failure too many
    metrics.worker_heartbeat.set_to_current_time()


def worker_problem() -> str:
    """What keeps the worker of this process from working; empty if nothing does."""
    (heartbeat,) = metrics.worker_heartbeat.collect()
    (sample,) = heartbeat.samples
    seconds = time() - sample.value
    if seconds < HEALTHY_SECONDS:
        return ""
    return "The worker did no housekeeping lately: its log says why (is the database away?)."


async def _keep_forgetting(is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        await _survive(in_thread(forget_expired))
        with suppress(TimeoutError):
            async with asyncio.timeout(FORGET_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311
                await is_over.wait()


async def _rung(bell: asyncio.Event) -> None:
    """Wait for the bell, or the time after which one looks without it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(poll_seconds()):
            await bell.wait()


async def _survive(work: Awaitable[Any]) -> None:
    """A worker that stops looking after its claims is worse than one that failed once."""
    try:
        await work
    except DatabaseError as error:
        logger.warning("The database refused (%s)", str(error).strip())
    except Exception:
        logger.exception("The worker goes on after an unexpected error")
