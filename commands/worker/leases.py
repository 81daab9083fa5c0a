"""Renewal of the leases on a worker's running commands."""

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
from commands.backoff import jittered
from commands.database.threads import connection_released
from commands.worker.execution import Execution
from vehicles import probes

logger = logging.getLogger(__name__)


class Leases:
    """Renewer of leases, which also tells executions to stop or that their claim is gone.

    It has a thread of its own: a connector that blocks the event loop costs no lease.
    """

    def __init__(self, running: Callable[[], Collection[Execution]]) -> None:
        self._running = running
        self._wake = threading.Event()
        self._is_ending = False
        self._renewed_at = 0.0

    def check_now(self) -> None:
        """Look at the claims at once, because a user asked a command to stop."""
        self._wake.set()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="leases") as thread:
            keeping = loop.run_in_executor(thread, self._keep, loop)
            try:
                yield
            finally:
                self._is_ending = True
                self._wake.set()
                await keeping

    def _keep(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._is_ending:
            self._wake.clear()
            try:
                with connection_released():
                    self._renew_and_report(loop)
            except DatabaseError as error:
                logger.warning("The leases cannot be renewed (%s)", str(error).strip())
            except Exception:
                logger.exception("The leases are kept on after an unexpected error")
            self._wake.wait(poll_seconds())

    def _renew_and_report(self, loop: asyncio.AbstractEventLoop) -> None:
        claimed = list(self._running())  # copied in one step: the event loop runs meanwhile
        running = [execution for execution in claimed if not execution.is_overdue]
        commands = [execution.command for execution in running]
        now = monotonic()
        is_due = now - self._renewed_at >= settings.COMMAND_LEASE_SECONDS / 3
        if is_due:
            lifecycle.renew(commands)
            in_contact = now - settings.VEHICLE_PRESENCE_SECONDS / 2
            probes.mark_seen(
                [one.command.vehicle_id for one in running if one.last_contact > in_contact]
            )
        claims = lifecycle.held(commands)  # afterwards: a lost claim was not renewed
        if is_due:
            self._renewed_at = now
        for execution in running:
            renewed_until = now + settings.COMMAND_LEASE_SECONDS if is_due else 0.0
            loop.call_soon_threadsafe(execution.update_lease, claims, renewed_until)


def poll_seconds() -> float:
    """Return the time after which a worker looks for work without a notification."""
    shortest = min(settings.COMMAND_LEASE_SECONDS, settings.VEHICLE_PRESENCE_SECONDS)
    return jittered(min(1.0, shortest / 4))
