"""Real processes of the product, and the effects of users, containers and crashes."""

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import psycopg
import pytest

from dev.processes import SEED, WORKER
from dev.processes import production as production_settings
from dev.processes import web as web_program
from dev.servers import Postgres, free_port, scratch_directory
from sovd.tests.processes import SECONDS, own_database, run, run_all, running, until
from sovd.tests.site import (
    COMPLETED,
    CONNECTED,
    DURATIONS,
    HEARTBEAT,
    OFFLINE,
    STREAMS,
    VINS,
    WORKERS,
    Site,
    ask,
    frames_of,
    metrics_at,
)

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
    assert wrong.errors == ["sovd: will not start: PORT='80a' is not a number"]


def test_two_processes_on_sqlite_share_every_event(var: Path) -> None:
    """No channel layer connects the two: the safety net carries every event."""
    site = Site()
    given = {"SOVD_VAR_DIR": var, "STREAM_POLL_SECONDS": 0.2, "MOCK_VEHICLE_LATENCY_SECONDS": 0.1}
    runserver = ("manage.py", "runserver", f"127.0.0.1:{site.port}", "--noreload")
    with running(*runserver, **given), running(*WORKER, **given):
        until(site.is_up)
        site.follow(site.submit())
        until(lambda: metrics_at(site.port).get(COMPLETED) == 1)


# --- Production: Postgres, a Redis protocol server, and processes of their own


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """Yield settings of production mode, on a database of their own."""
    directory = tmp_path_factory.mktemp("production")
    with own_database("processes") as database_url:
        yield production_settings(database_url, os.environ["REDIS_URL"], directory) | {
            "DJANGO_SETTINGS_MODULE": "sovd.tests.settings",
            "VEHICLE_PRESENCE_SECONDS": 2,
            "VEHICLE_PROBE_SECONDS": 1,
            "MOCK_VEHICLE_LATENCY_SECONDS": 0.3,
        }


@contextmanager
def web(production: Mapping[str, object], site: Site) -> Iterator[Popen[bytes]]:
    with running(*web_program(site.port), **production) as process:
        until(site.is_up)
        yield process


@pytest.fixture(scope="module")
def port(production: dict[str, object]) -> Iterator[int]:
    site = Site()
    with running(*SEED, **production) as seeding, web(production, site):
        assert seeding.wait(SECONDS) == 0
        yield site.port


@pytest.fixture
def site(port: int) -> Site:
    return Site(port)


def test_commands_survive_workers_that_start_stop_and_die(
    production: dict[str, object], site: Site
) -> None:
    own_port = free_port()
    ended = metrics_at(site.port).get(DURATIONS, 0)
    with running(*WORKER, **production, WORKER_METRICS_PORT=own_port) as worker:
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
    with running(*WORKER, **production) as worker:
        until(lambda: metrics_at(site.port)[WORKERS] == 1)
        worker.kill()
        worker.wait()
        said = metrics_at(site.port)
        assert (said[WORKERS], said[HEARTBEAT], said[COMPLETED]) == (0, 0, 2)


def test_an_execution_of_the_facade_outlives_its_processes(
    production: dict[str, object], site: Site
) -> None:
    """A routine cannot be read back: its end says that it may have been carried out."""
    given = production | {"COMMAND_LEASE_SECONDS": 1, "MOCK_VEHICLE_LATENCY_SECONDS": SECONDS}
    admin = Site(username="admin")
    with web(given, admin) as server, running(*WORKER, **given) as worker:
        location = start_routine(admin)
        command_id = location.rpartition("/")[2]
        with admin.stream(command_id) as stream:
            frames = [json.loads(stream.recv(SECONDS)) for _ in range(2)]
            assert [frame["status"] for frame in frames] == ["pending", "in_progress"]
            assert admin.get(location)["status"] == "running"
            for process in (server, worker):
                process.kill()
                process.wait()
    with web(given, admin), running(*WORKER, **given):
        until(lambda: admin.get(location)["status"] == "failed")
        with admin.stream(command_id) as stream:
            again = [*frames_of(stream)]
        assert again[:2] == frames
        assert (again[-1]["error_code"], stream.close_code) == ("worker_lost", 1000)


def start_routine(admin: Site) -> str:
    """Start an execution; return its Location."""
    path = f"/sovd/{VINS[0]}/v1/components/0x10/operations/0x0203/executions"
    connection = HTTPConnection("127.0.0.1", admin.port, timeout=SECONDS)
    headers = {"Authorization": f"Bearer {admin.token}", "Content-Type": "application/json"}
    with closing(connection):
        connection.request("POST", path, "{}", headers)
        response = connection.getresponse()
        assert response.status == 202, response.read()
        return urlsplit(response.headers["Location"]).path


def check_drain(production: Mapping[str, object], site: Site) -> None:
    claimable = [site.submit(vin) for vin in (VINS[0], VINS[0], VINS[1])]
    offline = site.submit(OFFLINE)
    assert run(*WORKER, "--drain", **production).exit_code == 0
    assert [site.status_of(command_id) for command_id in claimable] == ["completed"] * 3
    assert site.status_of(offline) == "pending"


def test_a_worker_without_a_database_says_that_it_is_not_well(tmp_path: Path) -> None:
    port = free_port()
    given = {"SOVD_VAR_DIR": tmp_path, "WORKER_METRICS_PORT": port}
    with running(*WORKER, **given):  # no table is there
        until(lambda: ask(port, "GET", "/metrics")[0] == 200)
        status, problem = ask(port, "GET", "/healthz")
    assert status == 503
    assert "has not swept lately" in problem


def test_a_metrics_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("", free_port())) as taken:
        port = taken.getsockname()[1]
        given = {"SOVD_VAR_DIR": tmp_path, "WORKER_METRICS_PORT": port, "WEB_METRICS_PORT": port}
        worker = (WORKER, given)
        web = (("manage.py", "runweb"), given)
        for name, ended in zip(("WORKER", "WEB"), run_all(worker, web), strict=True):
            assert ended.exit_code == 1
            assert ended.errors[-1].startswith(
                f"sovd: will not start: {name}_METRICS_PORT={port} cannot be used"
            )


def test_close_codes_reach_the_client(site: Site) -> None:
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


def test_a_client_that_reads_late_gets_every_event(
    production: dict[str, object], site: Site
) -> None:
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


def test_streams_and_commands_go_on_when_the_database_is_back(
    production: dict[str, object],
) -> None:
    """Requests are refused meanwhile, and open streams go on."""
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
