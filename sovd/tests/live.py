"""A running product, for tests that stand before it as its clients do."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlsplit

import pytest

from sovd.tests.processes import SECONDS, running_to, until
from sovd.tests.test_processes import SEED, Site, own_database


class Live(Site):
    """One web process and one worker on a database of their own. What they log is kept."""

    def __init__(self, environment: dict[str, object], log: Path) -> None:
        super().__init__()
        self.environment = environment
        self._log = log
        self.processes: list[Popen[bytes]] = []

    def errors(self) -> list[str]:
        """What no request may bring about: tracebacks, and lines of level ERROR."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if re.search(r"Traceback| ERROR |\"level\": ?\"error", line)]

    def logged(self) -> str:
        return self._log.read_text(errors="replace")

    def heard(self, said: bytes, patience: float = SECONDS) -> bytes:
        """All that is answered to these very bytes, until it hangs up or is silent for long."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            # Beside reading: the server may answer before it has read everything.
            sending = threading.Thread(target=_send, args=(connection, said))
            sending.start()
            answer = b"".join(iter(lambda: _receive(connection), b""))
            connection.close()
            sending.join()
        return answer

    def dead(self) -> list[Popen[bytes]]:
        return [process for process in self.processes if process.poll() is not None]


def _send(connection: socket.socket, said: bytes) -> None:
    with suppress(OSError):  # it has heard enough
        connection.sendall(said)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except (ConnectionError, TimeoutError):
        return b""


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    directory = tmp_path_factory.mktemp("live")
    with own_database("live") as database_url, (directory / "log").open("wb") as log:
        environment: dict[str, object] = {
            "DATABASE_URL": database_url,
            "REDIS_URL": urlsplit(os.environ["REDIS_URL"])._replace(path="/2").geturl(),
            "SECRET_KEY": "a key of the tests, and of nobody else: 0123456789",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "PROMETHEUS_MULTIPROC_DIR": directory / "metrics",
            "MOCK_VEHICLE_LATENCY_SECONDS": 0.01,
            "REQUEST_SECONDS": 5,
        }
        site = Live(environment, directory / "log")
        with started(site, log):
            yield site


@contextmanager
def started(site: Live, log: Any) -> Iterator[None]:
    daphne = ("-m", "daphne", "-b", "127.0.0.1", "-p", str(site.port), "sovd.asgi:application")
    with running_to(log, *SEED, **site.environment) as seeding:
        assert seeding.wait(SECONDS) == 0
    with (
        running_to(log, *daphne, **site.environment) as web,
        running_to(log, "manage.py", "runworker", **site.environment) as worker,
    ):
        site.processes = [web, worker]
        until(site.is_up)
        yield
