"""The running product, for tests that use it as its clients do."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dev.processes import SEED, Process, Product, Settings, production
from dev.servers import free_port
from sovd.tests.processes import SECONDS, own_database, until
from sovd.tests.site import Site

OF_VEHICLES = re.compile(
    r'"code": 50[24], "request": "[A-Z]+ /sovd/|(Bad Gateway|Gateway Timeout): /sovd/'
)


class Live(Site):
    """A person at a web process and a worker with a database of their own. Their log is kept."""

    def __init__(self, product: Product) -> None:
        super().__init__(product.ports["web-1"])
        self._product = product

    @property
    def environment(self) -> dict[str, object]:
        return self._product.settings

    @property
    def processes(self) -> list[Process]:
        return [*self._product.running.values()]

    def errors(self) -> list[str]:
        """Return what no request may cause: tracebacks, and lines of level ERROR.

        A 502 or 504 of the SOVD façade stands for the vehicle.
        """
        lines = [line for line in self.logged().splitlines() if not OF_VEHICLES.search(line)]
        return [line for line in lines if re.search(r"Traceback| ERROR |\"level\": ?\"error", line)]

    def logged(self) -> str:
        logs = self._product.logs
        assert logs
        return "".join(file.read_text(errors="replace") for file in sorted(logs.iterdir()))

    def heard(self, said: bytes, patience: float = SECONDS, port: int = 0) -> bytes:
        """Return the whole response to these bytes, until the server hangs up or is silent."""
        address = ("127.0.0.1", port or self.port)
        with socket.create_connection(address, timeout=patience) as connection:
            # Beside reading: the server may answer before it has read everything.
            sending = threading.Thread(target=_send, args=(connection, said))
            sending.start()
            answer = b"".join(iter(lambda: _receive(connection), b""))
            connection.close()
            sending.join()
        return answer

    def dead(self) -> list[Process]:
        return [process for process in self.processes if process.poll() is not None]


def _send(connection: socket.socket, said: bytes) -> None:
    with suppress(OSError):  # the server has hung up
        connection.sendall(said)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except (ConnectionError, TimeoutError):
        return b""


@pytest.fixture
def live(product: Product) -> Live:
    """The running product, in which each test has a login of its own."""
    return Live(product)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory = tmp_path_factory.mktemp("live")
    settings = {
        "STATIC_ROOT": directory / "nothing",  # collecting takes longer than most tests
        "ACCESS_TOKEN_SECONDS": 7_200,  # a test has one token, however long it takes
        "REQUEST_SECONDS": 5,
        "STREAM_PING_SECONDS": 2,
        "WORKER_METRICS_PORT": free_port(),
    }
    with (
        own_database("live") as database_url,
        started(database_url, directory, settings) as product,
    ):
        yield product


@contextmanager
def started(database_url: str, directory: Path, settings: Settings) -> Iterator[Product]:
    """Start the product on this database, and on the Valkey of the tests."""
    given = production(database_url, os.environ["REDIS_URL"], directory) | {
        "DJANGO_SETTINGS_MODULE": "sovd.tests.settings",
        "MOCK_VEHICLE_LATENCY_SECONDS": 0.01,
        **settings,
    }
    with Product(given, logs=directory / "logs") as product:
        product.run("seed", *SEED)
        product.start_all()
        until(Live(product).is_up)
        yield product
