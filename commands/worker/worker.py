"""The worker: claims commands, lets the vehicles carry them out, and cleans up."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime
from time import monotonic, time
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError

from commands import batches, lifecycle
from commands.campaigns import progress
from commands.database.threads import CONNECTION_LOST, in_import_thread, in_thread
from commands.metrics import counters
from commands.models import Command
from commands.notifications import WORKERS, Listener, publisher
from commands.worker.deliveries import Deliveries
from commands.worker.execution import Execution, Stop
from commands.worker.leases import Leases, poll_seconds
from commands.worker.presence import Presence
from commands.worker.pruning import prune
from commands.worker.retention import delete_expired
from commands.worker.writer import Writer
from vehicles.connectors.base import Connector
from vehicles.descriptions.importing import import_next

logger = logging.getLogger(__name__)

T = TypeVar("T")

HEALTHY_SECONDS = 30.0  # a healthy worker sweeps about once a second
RETENTION_SECONDS = 60.0
PAUSE = 6  # between two claims of a busy worker, in times of the last one
MAX_PAUSE_SECONDS = 0.1
PRUNE_HOUR = 2  # of UTC


class Worker:
    """Worker on one event loop. `run()` goes on until `stop()`; `drain()` ends by itself."""

    def __init__(self, connectors: Mapping[str, Connector]) -> None:
        """`connectors`: by name; the worker serves the vehicles of these."""
        self._connectors = connectors
        self._running: dict[asyncio.Task[None], Execution] = {}
        self._writer = Writer()
        self._leases = Leases(self._running.values)
        self._wake = asyncio.Event()
        self._presence = Presence(connectors, self._wake.set)
        self._probe_now = asyncio.Event()
        self._is_stopping = False
        self._is_releasing = False

    async def run(self) -> None:
        listener = Listener(self._on_message)
        listener.join(WORKERS)
        try:
            async with self._background_tasks():
                while not self._is_stopping:
                    self._wake.clear()
                    began = monotonic()
                    await _log_errors(self._claim())
                    await self._let_more_come(monotonic() - began)
                    await _wait_for_wake(self._wake)
                await self._finish()
        finally:
            await listener.close()

    async def drain(self) -> None:
        """Work until nothing is claimable and nothing runs."""
        await in_thread(_sweep)
        await self._presence.settle()
        async with self._background_tasks():
            await self._take_over()
            was_busy = True
            while not self._is_stopping and (await self._has_claimed() or was_busy):
                was_busy = bool(self._running)
                if self._running:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                # The end of a command marks the next one later than it ends.
                await in_thread(lifecycle.mark_all_ready)
            await self._finish()

    def stop(self) -> None:
        """Claim nothing more, and let the running commands finish. Called again: release them."""
        self._is_releasing = self._is_stopping
        self._is_stopping = True
        self._wake.set()
        if self._is_releasing:
            for execution in self._running.values():
                execution.stop(Stop.RELEASED)

    # --- Claiming

    async def _has_claimed(self) -> bool:
        """Claim commands. Return whether there were some, and True if the database failed."""
        try:
            return await self._claim() > 0
        except CONNECTION_LOST as error:
            logger.warning("The database refused a claim (%s)", str(error).strip())
            await asyncio.sleep(poll_seconds())
            return True

    def _free(self) -> int:
        """Return how many more commands may run (0 if a claim and a take-over overlapped)."""
        return max(0, settings.WORKER_CONCURRENCY - len(self._running))

    async def _claim(self) -> int:
        free = self._free()
        lease_ends = monotonic() + settings.COMMAND_LEASE_SECONDS
        # One suspect at a time: a lost worker must not count against two of them.
        has_suspect = any(execution.command.is_suspect for execution in self._running.values())
        names = list(self._connectors)
        commands = await in_thread(lifecycle.claim, free, has_suspect, names) if free else []
        self._start(commands, lease_ends)
        return len(commands)

    async def _let_more_come(self, seconds: float) -> None:
        """Wait, while commands run, for several times as long as the last claim took.

        A claim of many commands costs little more than one of one: so a worker that is busy with
        claims alone gets more at a time, and one that has nothing to do claims at once.
        """
        if self._running:
            await asyncio.wait(self._running, timeout=min(PAUSE * seconds, MAX_PAUSE_SECONDS))

    async def _take_over(self) -> None:
        free = self._free()
        lease_ends = monotonic() + settings.COMMAND_LEASE_SECONDS
        names = list(self._connectors)
        commands = await in_thread(lifecycle.take_over, free, names) if free else []
        self._start(commands, lease_ends)

    def _start(self, commands: list[Command], lease_ends: float) -> None:
        for command in commands:
            connector = self._connectors[command.vehicle.connector]
            execution = Execution(command, connector, lease_ends, self._writer)
            task = asyncio.create_task(execution.run())
            self._running[task] = execution
            task.add_done_callback(self._ended)
            if self._is_releasing:  # the second stop() came during the claim
                execution.stop(Stop.RELEASED)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()  # its vehicle is free for the next command

    async def _finish(self) -> None:
        if self._running:
            logger.info(
                "Waiting for %d running commands; a second signal gives them up", len(self._running)
            )
            longest = settings.COMMAND_TIMEOUT_SECONDS + settings.COMMAND_LEASE_SECONDS
            await asyncio.wait(self._running, timeout=longest)

    def _on_message(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "command.cancel":
            self._leases.check_now()
        elif message["type"] == "vehicle.probe":
            self._probe_now.set()
        else:
            self._wake.set()

    # --- Background tasks

    @asynccontextmanager
    async def _background_tasks(self) -> AsyncIterator[None]:
        publisher.attach()
        is_over = asyncio.Event()
        loops = (
            *(self._sweep_loop, self._probe_loop, Deliveries().run),
            *(_retention_loop, _prune_loop, _import_loop),
        )
        tasks = [asyncio.create_task(loop(is_over)) for loop in loops]
        try:
            with counters.workers.track_inprogress():
                async with self._leases.kept():
                    yield
        finally:
            is_over.set()
            self._probe_now.set()
            await asyncio.wait(tasks)
            await self._presence.close()
            for connector in self._connectors.values():
                await _log_errors(connector.close())

    async def _sweep_loop(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await _log_errors(in_thread(_sweep))
            if not self._is_stopping:
                await _log_errors(self._take_over())
            await _wait_for_wake(is_over)

    async def _probe_loop(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            self._probe_now.clear()
            has_more = await _log_errors(self._presence.step())
            if not has_more and not is_over.is_set():
                await _wait_for_wake(self._probe_now)


def _sweep() -> None:
    lifecycle.sweep()
    batches.sweep()  # afterwards: a swept command may be one failure too many for its batch
    progress.advance()
    counters.worker_heartbeat.set_to_current_time()


def worker_problem() -> str:
    """Return the problem of this process's worker, or an empty text."""
    (heartbeat,) = counters.worker_heartbeat.collect()
    (sample,) = heartbeat.samples
    seconds = time() - sample.value
    if seconds < HEALTHY_SECONDS:
        return ""
    return "The worker has not swept lately. Its log says why; check whether the database answers."


async def _retention_loop(is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        await _log_errors(in_thread(delete_expired))
        with suppress(TimeoutError):
            async with asyncio.timeout(RETENTION_SECONDS * random.uniform(0.8, 1.2)):
                await is_over.wait()


async def _prune_loop(is_over: asyncio.Event) -> None:
    """Prune once in the night of UTC, if RETENTION_DAYS is set."""
    last: date | None = None
    while settings.RETENTION_DAYS and not is_over.is_set():
        now = datetime.now(UTC)
        if now.hour == PRUNE_HOUR and now.date() != last:
            last = now.date()
            await _log_errors(_prune(is_over))
        with suppress(TimeoutError):
            async with asyncio.timeout(RETENTION_SECONDS):
                await is_over.wait()


async def _prune(is_over: asyncio.Event) -> None:
    """Prune in steps, between which the worker may end."""
    steps, rows = prune(settings.RETENTION_DAYS), 0
    while not is_over.is_set():
        deleted = await in_thread(next, steps, None)
        if deleted is None:
            break
        rows += deleted
    logger.info("Pruned %d rows", rows)


async def _import_loop(is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        imported = await _log_errors(in_import_thread(import_next, is_over.is_set))
        if not imported:
            await _wait_for_wake(is_over)


async def _wait_for_wake(wake: asyncio.Event) -> None:
    """Wait for the event, but no longer than one poll interval."""
    with suppress(TimeoutError):
        async with asyncio.timeout(poll_seconds()):
            await wake.wait()


async def _log_errors(work: Awaitable[T]) -> T | None:
    """Await the work and log its error: a worker that ends for one failure loses all its leases."""
    try:
        return await work
    except DatabaseError as error:
        logger.warning("The database refused (%s)", str(error).strip())
    except Exception:
        logger.exception("The worker goes on after an unexpected error")
    return None
