"""Keeping the leases of what a worker runs."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import monotonic

from django.conf import settings
from django.db import Error as DatabaseError

from commands import lifecycle
from commands.execution import Execution
from commands.jitter import jittered
from commands.threads import connection_given_back

logger = logging.getLogger(__name__)


class Leases:
    """Renews them, and tells each execution of which the claim is gone or that is to stop.

    In a thread of its own: a connector that blocks the event loop costs nobody a lease.
    """

    def __init__(self, running: Callable[[], Collection[Execution]]) -> None:
        self._running = running
        self._bell = threading.Event()
        self._is_ending = False
        self._renewed_at = 0.0

    def look_now(self) -> None:
        """Somebody asked a command to stop."""
        self._bell.set()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="leases") as thread:
            keeping = loop.run_in_executor(thread, self._keep, loop)
            try:
                yield
            finally:
                self._is_ending = True
                self._bell.set()
                await keeping

    def _keep(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._is_ending:
            self._bell.clear()
            try:
                with connection_given_back():
                    self._renew_and_tell(loop)
            except DatabaseError as error:
                logger.warning("The leases cannot be renewed (%s)", str(error).strip())
            except Exception:
                logger.exception("The leases are kept on after an unexpected error")
            self._bell.wait(poll_seconds())

    def _renew_and_tell(self, loop: asyncio.AbstractEventLoop) -> None:
        claimed = list(self._running())  # at one stroke: the event loop goes on meanwhile
        running = [execution for execution in claimed if not execution.is_overdue]
        commands = [execution.command for execution in running]
        now = monotonic()
        is_due = now - self._renewed_at >= settings.COMMAND_LEASE_SECONDS / 3
        if is_due:
            lifecycle.renew(commands)
        claims = lifecycle.held(commands)  # afterwards: a lost claim was not renewed
        if is_due:
            self._renewed_at = now
        for execution in running:
            renewed_until = now + settings.COMMAND_LEASE_SECONDS if is_due else 0.0
            loop.call_soon_threadsafe(execution.heed, claims, renewed_until)


def poll_seconds() -> float:
    """How often a worker looks without having been told to."""
    shortest = min(settings.COMMAND_LEASE_SECONDS, settings.VEHICLE_PRESENCE_SECONDS)
    return jittered(min(1.0, shortest / 4))
