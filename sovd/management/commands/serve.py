import socket
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand

from commands.accounts.startup import refuse_unsafe
from commands.worker.worker import Worker
from sovd.server.process import Server, check_is_free
from vehicles.connectors import CONNECTORS, make_connectors

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


class Command(BaseCommand):
    help = (
        "Run console, API, WebSocket and worker in one process, at HOST and PORT (127.0.0.1, "
        "8000). Ctrl-C or SIGTERM lets running commands finish; a second one gives them up."
    )

    def handle(self, **options: Any) -> None:
        refuse_unsafe()
        host, port = settings.HOST, settings.PORT
        check_is_free(host, port)
        worker = Worker(make_connectors(CONNECTORS))
        server = Server(
            get_default_application(),
            host,
            port,
            on_start=lambda: self._greet(host, port),
            on_signal=worker.stop,
        )
        server.run_with(worker.run)

    def _greet(self, host: str, port: int) -> None:
        mode = "embedded mode" if settings.EMBEDDED else "Postgres and Redis"
        addresses = " ".join(f"http://{name}:{port}/" for name in _names(host))
        self.stdout.write(f"SOVD command console at {addresses}  ({mode})")
        if host in EVERYWHERE and not settings.ALLOWED_HOSTS:
            self.stdout.write("Other machines are refused until ALLOWED_HOSTS names this one.")
        self.stdout.write("Stop it with Ctrl-C.")
        self.stdout.flush()  # to a file or a pipe, too


def _names(host: str) -> list[str]:
    """Return the names that open the console: on all interfaces, those that Django lets pass."""
    if host in ("127.0.0.1", "::1"):
        return ["localhost"]
    if host not in EVERYWHERE:
        return [f"[{host}]" if ":" in host else host]
    patterns = settings.ALLOWED_HOSTS or ["localhost"]
    return [socket.gethostname() if name == "*" else name.lstrip(".") for name in patterns]
