"""The server of a web process, from its first to its last connection."""

import asyncio
import math
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import CommandError

from sovd.server.requests import Connection

# Longer than the deadline of a request, whose client is told why, and than the 60 s for which load
# balancers keep a connection: a balancer that still uses one while we close it answers its client
# with 502.
MIN_KEEP_ALIVE_SECONDS = 75
STOP_SECONDS = 5  # for the requests that are in progress


class Server(uvicorn.Server):
    """Uvicorn with our connections. A signal stops it, or what `on_signal` stops first."""

    def __init__(
        self,
        application: Any,
        host: str,
        port: int,
        on_start: Callable[[], None] | None = None,
        on_signal: Callable[[], None] | None = None,
    ) -> None:
        keep_alive = max(MIN_KEEP_ALIVE_SECONDS, 2 * settings.REQUEST_SECONDS)
        config = uvicorn.Config(
            application,
            host,
            port,
            http=Connection,
            ws="none",  # Connection has its own
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,  # it would show tokens; `request_finished` is logged
            proxy_headers=False,  # the application has its own rule
            server_header=False,
            timeout_keep_alive=math.ceil(keep_alive),
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        super().__init__(config)
        self._on_start = on_start
        self._on_signal = on_signal or self.stop

    def run_with(self, work: Callable[[], Awaitable[None]]) -> None:
        """Serve until the work ends. Raise its error."""
        with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self._run_with(work))

    async def _run_with(self, work: Callable[[], Awaitable[None]]) -> None:
        serving = asyncio.create_task(self.serve())
        try:
            await work()
        finally:
            self.stop()
            await serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_start:
            self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals; uvicorn's own way ends the process by the signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        yield

    def stop(self) -> None:
        """Stop after the requests in progress; when called again, at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def check_is_free(host: str, port: int) -> None:
    """Raise CommandError if the port is taken, for which the server would show a traceback."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise CommandError(
            f"{host}:{port} cannot be used ({reason}). "
            "Set another one: PORT=8001 make run, or HOST=…"
        ) from error
