"""The product as real processes: what a person, a container or a crash does to it."""

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from commands.demo_users import PASSWORD
from commands.management.commands.demo_data import VEHICLES
from dev.servers import Postgres, free_port, scratch_directory
from sovd.tests.processes import SECONDS, run, run_all, running, until

VINS = [vin for vin, *_ in VEHICLES]
OFFLINE = VINS[-1]
READ_DTC = {"command_name": "ReadDTC", "command_params": {"ecuAddress": "0x10"}}

COMPLETED = 'commands_executed_total{status="completed"}'
DURATIONS = "command_execution_duration_seconds_count"
STREAMS = "websocket_connections_active"
CONNECTED = "vehicle_connections_active"
WORKERS = "sovd_workers_active"
HEARTBEAT = "sovd_worker_heartbeat_timestamp_seconds"

# Both in one process, since a start takes long.
SEED = (
    "-c",
    "import django; django.setup(); from django.core.management import call_command as call;"
    "call('migrate', verbosity=0); call('demo_data', allow_demo_users=True)",
)


def ask(port: int, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metrics_at(port: int) -> dict[str, float]:
    status, page = ask(port, "GET", "/metrics")
    assert status == 200, page
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


class Site:
    """What the demo operator does at one web process."""

    def __init__(self) -> None:
        self.port = free_port()
        self._token = ""

    def is_up(self) -> bool:
        return ask(self.port, "GET", "/accounts/login/")[0] == 200

    def get(self, path: str) -> Any:
        status, text = ask(self.port, "GET", path, token=self.token)
        assert status == 200, text
        return json.loads(text)

    @property
    def token(self) -> str:
        if not self._token:
            body = {"username": "operator", "password": PASSWORD}
            status, text = ask(self.port, "POST", "/api/v1/token/", body)
            assert status == 200, text
            self._token = json.loads(text)["access"]
        return self._token

    def submit(self, vin: str = VINS[0]) -> str:
        (vehicle,) = self.get(f"/api/v1/vehicles/?search={vin}")["results"]
        body = {"vehicle_id": vehicle["vehicle_id"], **READ_DTC}
        status, text = ask(self.port, "POST", "/api/v1/commands/", body, self.token)
        assert status == 201, text
        return str(json.loads(text)["command_id"])

    def status_of(self, command_id: str) -> str:
        return str(self.get(f"/api/v1/commands/{command_id}/")["status"])

    def cancel(self, command_id: str) -> int:
        return ask(self.port, "POST", f"/api/v1/commands/{command_id}/cancel/", token=self.token)[0]

    def stream(self, command_id: str) -> ClientConnection:
        address = f"ws://127.0.0.1:{self.port}/ws/responses/{command_id}?token={self.token}"
        return connect(address, proxy=None, open_timeout=SECONDS)

    def handshake(self, command_id: str) -> bytes:
        lines = [
            f"GET /ws/responses/{command_id}?token={self.token} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def follow(self, command_id: str) -> None:
        with self.stream(command_id) as stream:
            self.check(command_id, [*frames_of(stream)], stream.close_code)

    def check(self, command_id: str, frames: list[Any], close_code: int | None) -> None:
        """That is the whole log, and the command was completed."""
        assert frames == self.get(f"/api/v1/commands/{command_id}/events/")["results"]
        assert [frame["sequence_number"] for frame in frames] == list(range(1, len(frames) + 1))
        moves = [frame["status"] for frame in frames if frame["event"] == "status"]
        assert moves == ["pending", "in_progress", "completed"]
        assert close_code == 1000


def frames_of(stream: ClientConnection) -> Iterator[Any]:
    while True:
        try:
            yield json.loads(stream.recv(SECONDS))
        except ConnectionClosed:
            return


# --- Embedded: SQLite, and no other server


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("embedded")
    assert run(*SEED, SOVD_VAR_DIR=var).exit_code == 0
    return var


@pytest.fixture
def var(seeded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(seeded, tmp_path / "var")


@contextmanager
def serving(var: Path, site: Site) -> Iterator[Popen[bytes]]:
    given = {"SOVD_VAR_DIR": var, "PORT": site.port, "MOCK_VEHICLE_LATENCY_SECONDS": 0.05}
    with running("manage.py", "serve", **given) as server:
        until(site.is_up)
        yield server


def test_one_process_is_the_whole_product(var: Path) -> None:
    site = Site()
    with serving(var, site) as server:
        command_id = site.submit()
        site.follow(command_id)
        server.terminate()
        assert server.wait(SECONDS) == 0
    with serving(var, site) as server:
        assert site.status_of(command_id) == "completed"
        server.kill()
        server.wait()
    with serving(var, site):
        assert site.status_of(command_id) == "completed"
        site.follow(site.submit())


def test_a_port_that_cannot_be_used_is_one_clear_line(var: Path) -> None:
    serve = ("manage.py", "serve")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = {"SOVD_VAR_DIR": var}
        busy, wrong = run_all((serve, given | {"PORT": port}), (serve, given | {"PORT": "80a"}))
    assert [(ended.exit_code, len(ended.errors)) for ended in (busy, wrong)] == [(1, 1), (1, 1)]
    assert busy.errors[0].startswith(f"CommandError: 127.0.0.1:{port} cannot be used")
    assert wrong.errors[0].startswith("CommandError: PORT=80a is not a port")


def test_two_terminals_on_sqlite(var: Path) -> None:
    """No channel layer connects the two: the safety net carries every event."""
    site = Site()
    given = {"SOVD_VAR_DIR": var, "STREAM_POLL_SECONDS": 0.2, "MOCK_VEHICLE_LATENCY_SECONDS": 0.1}
    runserver = ("manage.py", "runserver", f"127.0.0.1:{site.port}", "--noreload")
    with running(*runserver, **given), running("manage.py", "runworker", **given):
        until(site.is_up)
        site.follow(site.submit())
        until(lambda: metrics_at(site.port).get(COMPLETED) == 1)


# --- Production: Postgres, a Redis protocol server, and processes of their own


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """The environment of the processes, on a database of their own."""
    redis_url = urlsplit(os.environ["REDIS_URL"])._replace(path="/1")
    with own_database("processes") as database_url:
        yield {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url.geturl(),
            "SECRET_KEY": "k" * 40,
            "ALLOWED_HOSTS": "127.0.0.1",
            "PROMETHEUS_MULTIPROC_DIR": tmp_path_factory.mktemp("production") / "metrics",
            "VEHICLE_PRESENCE_SECONDS": 2,
            "MOCK_VEHICLE_LATENCY_SECONDS": 0.3,
        }


@contextmanager
def own_database(name: str) -> Iterator[str]:
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"sovd_{name}_{os.getpid()}"
    with psycopg.connect(url.geturl(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield url._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def web(production: Mapping[str, object], site: Site) -> Iterator[Popen[bytes]]:
    daphne = ("-m", "daphne", "-p", str(site.port), "sovd.asgi:application")
    with running(*daphne, **production) as process:
        until(site.is_up)
        yield process


@pytest.fixture(scope="module")
def site(production: dict[str, object]) -> Iterator[Site]:
    site = Site()
    with running(*SEED, **production) as seeding, web(production, site):
        assert seeding.wait(SECONDS) == 0
        yield site


def test_workers_come_and_go(production: dict[str, object], site: Site) -> None:
    own_port = free_port()
    ended = metrics_at(site.port).get(DURATIONS, 0)
    with running("manage.py", "runworker", **production, WORKER_METRICS_PORT=own_port) as worker:
        site.follow(site.submit())
        until(lambda: metrics_at(site.port).get(COMPLETED) == 1)
        assert ask(own_port, "GET", "/healthz") == (200, "ok")
        assert ask(own_port, "GET", "/")[0] == 404
        for port in (site.port, own_port):
            samples = metrics_at(port)
            assert (samples[COMPLETED], samples[DURATIONS] - ended) == (1, 1)
            assert samples["process_resident_memory_bytes"] > 0
        until(lambda: metrics_at(site.port)[CONNECTED] == len(VINS) - 1)
        check_sigterm_lets_finish(worker, site)
    until(lambda: metrics_at(site.port)[CONNECTED] == 0)
    check_a_worker_that_is_killed(production, site)
    check_drain(production, site)
    assert metrics_at(site.port)[COMPLETED] == 5


def check_sigterm_lets_finish(worker: Popen[bytes], site: Site) -> None:
    command_id = site.submit()
    with site.stream(command_id) as stream:
        frames = [json.loads(stream.recv(SECONDS)) for _ in range(3)]
        assert frames[-1]["event"] == "response"
        worker.terminate()
        site.check(command_id, [*frames, *frames_of(stream)], stream.close_code)
    assert worker.wait(SECONDS) == 0


def check_a_worker_that_is_killed(production: Mapping[str, object], site: Site) -> None:
    with running("manage.py", "runworker", **production) as worker:
        until(lambda: metrics_at(site.port)[WORKERS] == 1)
        worker.kill()
        worker.wait()
        said = metrics_at(site.port)
        assert (said[WORKERS], said[HEARTBEAT], said[COMPLETED]) == (0, 0, 2)


def check_drain(production: Mapping[str, object], site: Site) -> None:
    claimable = [site.submit(vin) for vin in (VINS[0], VINS[0], VINS[1])]
    offline = site.submit(OFFLINE)
    assert run("manage.py", "runworker", "--drain", **production).exit_code == 0
    assert [site.status_of(command_id) for command_id in claimable] == ["completed"] * 3
    assert site.status_of(offline) == "pending"


def test_a_worker_without_a_database_says_that_it_is_not_well(tmp_path: Path) -> None:
    port = free_port()
    given = {"SOVD_VAR_DIR": tmp_path, "WORKER_METRICS_PORT": port}
    with running("manage.py", "runworker", **given):  # no table is there
        until(lambda: ask(port, "GET", "/metrics")[0] == 200)
        status, problem = ask(port, "GET", "/healthz")
    assert status == 503
    assert "did no housekeeping" in problem


def test_a_metrics_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("", free_port())) as taken:
        port = taken.getsockname()[1]
        given = {"SOVD_VAR_DIR": tmp_path, "WORKER_METRICS_PORT": port, "WEB_METRICS_PORT": port}
        worker = (("manage.py", "runworker"), given)
        web = (("-m", "daphne", "sovd.asgi:application"), given)
        for name, ended in zip(("WORKER", "WEB"), run_all(worker, web), strict=True):
            assert ended.exit_code == 1
            assert ended.errors[-1].startswith(
                f"sovd: will not start: {name}_METRICS_PORT={port} cannot be used"
            )


def test_close_codes_reach_the_client(site: Site) -> None:
    """As they are: the server refuses to send most of those below 4000, and breaks off instead."""
    with site.stream(site.submit(OFFLINE)) as stream:
        stream.send("x" * (64 * 1024 + 1))
        *_, told = frames_of(stream)
    assert (told["error_code"], stream.close_code) == ("frame_too_large", 4413)
    with site.stream("00000000-0000-0000-0000-000000000000") as stream:
        (told,) = frames_of(stream)
    assert (told["error_code"], stream.close_code) == ("not_found", 4404)


HEAD = "UPDATE commands_command SET last_sequence_number = 3000 WHERE command_id = %(id)s"
LOG = """
INSERT INTO commands_event (command_id, sequence_number, kind, payload)
SELECT %(id)s, n, 'response', '{"response": {}, "is_final": false}' FROM generate_series(2, 3000) n
"""


def test_a_client_that_is_busy_gets_all_the_same(production: dict[str, object], site: Site) -> None:
    """The server has sent all and closed long before the first frame is read."""
    command_id = site.submit(OFFLINE)
    with psycopg.connect(str(production["DATABASE_URL"])) as connection:
        connection.execute(LOG, {"id": command_id})
        connection.execute(HEAD, {"id": command_id})
    assert site.cancel(command_id) == 200
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", site.port))
        client.sendall(site.handshake(command_id))
        time.sleep(3)  # this is the fault: it is busy with something else
        received = b""
        while b'"sequence_number":3001' not in received:
            received += (chunk := client.recv(65536))
            assert chunk


def test_the_database_goes_away_and_comes_back(production: dict[str, object]) -> None:
    """What needs it is refused meanwhile, and what was open goes on."""
    site = Site()
    with scratch_directory() as directory, server(Postgres(directory)) as postgres:
        production = production | {"DATABASE_URL": postgres.url}
        assert run(*SEED, **production).exit_code == 0
        with web(production, site):
            command_id = site.submit(OFFLINE)
            with site.stream(command_id) as stream:
                first = json.loads(stream.recv(SECONDS))
                postgres.kill()
                check_refused(site, command_id)
                postgres.start()
                until(lambda: site.cancel(command_id) == 200)
                log = site.get(f"/api/v1/commands/{command_id}/events/")["results"]
                assert ([first, *frames_of(stream)], stream.close_code) == (log, 1000)


@contextmanager
def server(postgres: Postgres) -> Iterator[Postgres]:
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()


def check_refused(site: Site, command_id: str) -> None:
    status, text = ask(site.port, "GET", "/readyz")
    assert (status, [*json.loads(text)["problems"]]) == (503, ["database"])
    status, text = ask(site.port, "GET", f"/api/v1/commands/{command_id}/", token=site.token)
    assert (status, json.loads(text)["code"]) == (503, "unavailable")
    with site.stream(command_id) as stream:
        (told,) = frames_of(stream)
    assert (told["error_code"], stream.close_code) == ("unavailable", 4503)


def test_open_streams_are_counted_however_they_end(
    production: dict[str, object], site: Site
) -> None:
    command_id = site.submit(OFFLINE)
    other = Site()
    with web(production, other) as process:
        with other.stream(command_id):
            until(lambda: metrics_at(site.port)[STREAMS] == 1)
        until(lambda: metrics_at(site.port)[STREAMS] == 0)
        with other.stream(command_id):
            until(lambda: metrics_at(site.port)[STREAMS] == 1)
            process.kill()
            process.wait()
    assert metrics_at(site.port)[STREAMS] == 0
    with web(production, other):
        assert metrics_at(other.port)[STREAMS] == 0
