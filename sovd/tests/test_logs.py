"""Log lines: one command can be followed through all processes, and no token is written."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from django.conf import settings
from websockets.sync.client import connect

from dev.processes import SEED, WORKER, environment, production, python
from dev.processes import web as web_program
from sovd import logs
from sovd.tests.processes import SECONDS, own_database, run, until
from sovd.tests.site import READ_DTC, VINS, Site, ask

CANARY = "canary-7f3a"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoxfQ.canary-7f3a"
PASSWORD = json.dumps({"username": "operator", "password": CANARY})


def written(readable: bool, message: str, *arguments: object, **more: Any) -> str:
    made = dict(logs.configuration(readable)["formatters"]["line"])
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(made.pop("()")(**made))
    record = logging.LogRecord("any", logging.INFO, "", 0, message, arguments, **more)
    handler.emit(record)
    return handler.stream.getvalue()


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize(
    "told",
    [
        f"GET /ws/responses/5?token={CANARY}&after=3",
        f"GET /ws/responses/5?%74oken={CANARY}",
        f"GET /api/?a=1&token={CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}'}}",
        f"Invalid token {JWT}",
        f"sessionid={CANARY}; csrftoken=1",
    ],
)
def test_no_token_is_written(told: str, readable: bool) -> None:
    with pytest.raises(ValueError, match="canary") as raised:
        raise ValueError(told)
    trouble = (raised.type, raised.value, raised.tb)
    line = written(readable, "\x1b[1m%s failed", told, exc_info=trouble)
    assert CANARY not in line
    assert line.count("[redacted]") >= 2
    assert "test_logs.py" in line
    if not readable:
        assert json.loads(line)["level"] == "info"


def test_handlers_of_other_loggers_write_nothing() -> None:
    """Uvicorn has such handlers, which would write each socket's query."""
    ended = run(
        "-c",
        "import logging, sys, django; log = logging.getLogger('uvicorn.error');"
        "log.addHandler(logging.StreamHandler(sys.stdout)); django.setup();"
        f"log.warning('WebSocket %s', '/ws/responses/5?token={CANARY}')",
    )
    (line,) = ended.errors
    assert (ended.exit_code, ended.output) == (0, "")
    assert "WebSocket /ws/responses/5?[redacted]" in line


# --- What a process that one starts by hand says


def test_the_server_prints_addresses_that_open_and_logs_no_static_file(tmp_path: Path) -> None:
    log, site = tmp_path / "log", Site()
    assert run(*SEED, SOVD_VAR_DIR=tmp_path).exit_code == 0
    given: dict[str, object] = {"HOST": "0.0.0.0", "PORT": site.port}  # noqa: S104
    given |= {"ALLOWED_HOSTS": "bench-7,127.0.0.1", "SOVD_VAR_DIR": tmp_path}
    with logging_to(log, "manage.py", "serve", **given):
        until(site.is_up)
        for page in ("/static/console/console.css", "/accounts/login/"):
            assert ask(site.port, "GET", page)[0] == 200
        until(lambda: "/accounts/login/" in log.read_text())
    told = log.read_text()
    opened = f"http://bench-7:{site.port}/ http://127.0.0.1:{site.port}/"
    assert f"SOVD command console at {opened}  (embedded mode)\n" in told
    assert "Other machines are refused" not in told
    assert "console.css" not in told
    assert "streaming" not in told


# --- One command through two processes


@contextmanager
def logging_to(log: Path, *command: str, **given: object) -> Iterator[Popen[bytes]]:
    with log.open("wb") as output:
        process = python(command, environment(given), output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def given(tmp_path: Path) -> Iterator[dict[str, object]]:
    with own_database("logs") as url:
        yield production(url, settings.REDIS_URL, tmp_path)


def test_one_command_can_be_followed_and_no_token_is_found(
    given: dict[str, object], tmp_path: Path
) -> None:
    web, worker, site = tmp_path / "web", tmp_path / "worker", Site()
    assert run(*SEED, **given).exit_code == 0
    with (
        logging_to(web, *web_program(site.port), **given),
        logging_to(worker, *WORKER, **given) as working,
    ):
        until(site.is_up)
        command_id = submit(site, "request-31")
        site.follow(command_id)
        show_canaries(site, command_id)
        until(lambda: "stream_closed" in web.read_text())
        working.terminate()
        working.wait(SECONDS)
    for secret in (CANARY, site.token, "eyJ"):
        assert secret not in web.read_text() + worker.read_text()
    in_web = events_of(command_id, web)
    assert [event["event"] for event in in_web][:2] == ["command_submitted", "stream_opened"]
    assert in_web[0]["request_id"] == "request-31"
    assert "stream_closed" in [event["event"] for event in in_web]
    in_worker = events_of(command_id, worker)
    assert [event["event"] for event in in_worker] == ["command_claimed", "command_ended"]
    assert in_worker[-1]["status"] == "completed"
    vehicles = {event["vehicle_id"] for event in [in_web[0], *in_worker]}
    users = {event["user_id"] for event in [*in_web[:2], *in_worker]}
    assert (len(vehicles), len(users)) == (1, 1)


def submit(site: Site, request_id: str) -> str:
    (vehicle,) = site.get(f"/api/v1/vehicles/?search={VINS[0]}")["results"]
    body = json.dumps({"vehicle_id": vehicle["vehicle_id"], **READ_DTC})
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {site.token}",
        "X-Request-ID": request_id,
    }
    connection = HTTPConnection("127.0.0.1", site.port, timeout=SECONDS)
    connection.request("POST", "/api/v1/commands/", body, headers)
    with connection.getresponse() as response:
        command_id = str(json.load(response)["command_id"])
    connection.close()
    return command_id


def show_canaries(site: Site, command_id: str) -> None:
    path = f"/ws/responses/{command_id}?token={CANARY}"
    assert ask(site.port, "GET", path)[0] == 404  # a server may write the address down
    assert ask(site.port, "GET", "/api/v1/commands/", token=CANARY)[0] == 401
    assert ask(site.port, "POST", "/api/v1/token/", json.loads(PASSWORD))[0] == 401
    with connect(f"ws://127.0.0.1:{site.port}{path}", proxy=None) as stream:
        assert json.loads(stream.recv(SECONDS))["error_code"] == "unauthenticated"


def events_of(command_id: str, log: Path) -> list[dict[str, Any]]:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    return [event for event in events if event.get("command_id") == command_id]
