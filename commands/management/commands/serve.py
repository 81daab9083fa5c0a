import asyncio
import os
import signal
import socket
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from daphne.server import Server  # installs the asyncio reactor, so it comes before any other
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from twisted.internet import reactor

from commands.worker import Worker
from sovd.asgi import application
from sovd.start import refuse_unsafe
from vehicles.journal import journalled
from vehicles.mock_vehicle import MockVehicle

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


class Command(BaseCommand):
    help = (
        "Console, API, WebSocket and worker in one process, on one event loop. HOST and PORT say "
        "where (127.0.0.1, 8000). Ctrl-C or SIGTERM lets finish what runs; again: gives it up."
    )

    def handle(self, **options: Any) -> None:
        refuse_unsafe()
        host, port = os.environ.get("HOST") or "127.0.0.1", _port()
        _check_is_free(host, port)
        server = Server(
            application,
            endpoints=build_endpoint_description_strings(host=host, port=port),
            signal_handlers=False,
            ready_callable=lambda: self._greet(host, port),
            verbosity=0,
        )
        self._worker = Worker(journalled(MockVehicle.from_settings()))
        # callWhenRunning would call before the event loop runs, and Twisted swallow the error.
        reactor.callLater(0, self._start_worker)  # type: ignore[arg-type]
        server.run()
        self._working.result()  # raises what ended the worker, if nobody asked it to

    def _start_worker(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._worker.stop)
        self._working = loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            await self._worker.run()
        finally:  # the sockets stay open until the last command has ended
            reactor.stop()  # type: ignore[misc]

    def _greet(self, host: str, port: int) -> None:
        mode = "embedded mode" if settings.EMBEDDED else "Postgres and Redis"
        addresses = " ".join(f"http://{name}:{port}/" for name in _names(host))
        self.stdout.write(f"SOVD command console at {addresses}  ({mode})")
        if host in EVERYWHERE and not settings.ALLOWED_HOSTS:
            self.stdout.write("Other machines are refused until ALLOWED_HOSTS names this one.")
        self.stdout.write("Stop it with Ctrl-C.")
        self.stdout.flush()  # to a file or a pipe, too


def _names(host: str) -> list[str]:
    """By which it can be opened: those that Django lets pass, where it listens everywhere."""
    if host in ("127.0.0.1", "::1"):
        return ["localhost"]
    if host not in EVERYWHERE:
        return [f"[{host}]" if ":" in host else host]
    patterns = settings.ALLOWED_HOSTS or ["localhost"]
    return [socket.gethostname() if name == "*" else name.lstrip(".") for name in patterns]


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise CommandError(f"PORT={text} is not a port: set a number from 1 to 65535.")
    return int(text)


def _check_is_free(host: str, port: int) -> None:
    """Ask before the server does, whose answer would be a traceback."""
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
