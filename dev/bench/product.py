"""The product that is measured, and the yardsticks beside it, on the core of the servers."""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import jwt
import psycopg

from dev.bench.load import Http
from dev.bench.machine import LOAD, SERVERS, Usage, pinned_to
from dev.clients import Vehicle, make_vehicles
from dev.processes import PASSWORD, Installation, Process
from dev.servers import ServerError, free_port

DAY = 24 * 3600
SETTINGS = {
    "ACCESS_TOKEN_SECONDS": DAY,
    "COMMAND_EXPIRES_SECONDS": DAY,
    "VEHICLE_PRESENCE_SECONDS": 2 * DAY,
    "VEHICLE_PROBE_SECONDS": DAY,
    "REQUESTS_PER_USER": 1000,
    "PENDING_COMMANDS_PER_USER": 10_000_000,
    "MOCK_VEHICLE_LATENCY_SECONDS": 0,
}
VEHICLES = 512
WEB, WORKER, PRODUCER = "web-1", "worker-1", "producer"
PLAIN, BARE_DAPHNE, BARE, BROADCAST = "plain", "bare-daphne", "bare", "broadcast"
START_SECONDS = 60.0

BARE_APPLICATION = "dev.bench.bare:application"
# The vehicles are there all the time: probes are not measured.
PRESENT = """
UPDATE vehicles_vehicle SET connection_status = 'connected', connector_settings = '{}',
    last_seen_at = now() + interval '1 day', probe_at = now() + interval '2 days';
"""


# Of dev/bench/plain.py.
TABLES = """
CREATE TABLE bench_command (id uuid PRIMARY KEY, name text NOT NULL, params jsonb NOT NULL,
    user_id int NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE bench_event (id bigserial PRIMARY KEY, command_id uuid NOT NULL, number int NOT NULL,
    payload jsonb NOT NULL, UNIQUE (command_id, number));
"""


def daphne(port: int, application: str) -> tuple[str, ...]:
    return ("-m", "daphne", "-b", "127.0.0.1", "-p", str(port), application)


class Bench(Installation):
    """The product and its yardsticks, of which `needs` starts those that a measurement names."""

    def __init__(self, home: Path, *, web: int = 1, workers: int = 1, fsync: bool = True) -> None:
        super().__init__(SETTINGS, home, web=web, workers=workers)
        self.fsync = fsync
        self.ports |= {name: free_port() for name in (PLAIN, BARE_DAPHNE, BARE, BROADCAST)}
        self._token = ""
        self.excluded: frozenset[int] = frozenset()
        """PIDs that are not counted: of the database connections of the load."""

    def __enter__(self) -> Self:
        with pinned_to(SERVERS):
            return super().__enter__()

    def prepare(self) -> None:
        super().prepare()
        url = self.servers.postgres.url
        self.vehicles: list[Vehicle] = make_vehicles(url, VEHICLES)
        with psycopg.connect(url) as connection:
            connection.execute(PRESENT)
            connection.execute(TABLES)
        ((self.user_id,),) = self.execute("SELECT id FROM auth_user WHERE username = 'operator'")

    def program(self, name: str) -> Sequence[str]:
        port = self.ports.get(name, 0)
        programs = {
            PRODUCER: ("-m", "dev.with_django", "dev.soak.producer"),
            PLAIN: daphne(port, "dev.bench.plain:application"),
            BARE_DAPHNE: daphne(port, BARE_APPLICATION),
            BARE: ("-m", "dev.with_django", "dev.bench.served", str(port)),
            BROADCAST: ("-m", "dev.bench.bare", str(port)),
        }
        return programs.get(name) or super().program(name)

    def spawn(self, name: str, program: Sequence[str]) -> Process:
        with pinned_to(LOAD if name == PRODUCER else SERVERS):
            return super().spawn(name, program)

    # --- Which processes run

    def needs(self, *names: str) -> None:
        """Let these processes run, and no others."""
        for name in [name for name in self.running if name not in names]:
            self.kill(name)
        for name in [name for name in names if name not in self.running]:
            self.restart(name)

    def restart(self, name: str) -> None:
        if name in self.running:
            self.kill(name)
        starts = self._starts(name)
        self.start(name)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up(name, starts):
            self.check()
            if time.monotonic() > deadline:
                raise ServerError(f"{name} did not start in time: see {self.logs}")
            time.sleep(0.05)

    def _is_up(self, name: str, starts: int) -> bool:
        if name in self.workers:
            return self._starts(name) > starts
        return name not in self.ports or self.answers(name)

    def _starts(self, name: str) -> int:
        log = self.logs / f"{name}.log"
        return log.read_bytes().count(b"Worker ready") if log.exists() else 0

    def usage(self) -> Usage:
        pids = {name: process.pid for name, process in self.running.items()}
        pids |= {server.name: server.pid for server in self.servers}
        return Usage.now(pids, self.excluded)

    # --- Who uses them

    async def token(self) -> str:
        """Return a token of the operator, who logs in once."""
        if not self._token:
            http = Http(self.ports[WEB])
            body = {"username": "operator", "password": PASSWORD}
            self._token = (await http.request("POST", "/api/v1/token/", body))["access"]
            http.close()
        return self._token

    def plain_token(self) -> str:
        """Return a token as simplejwt makes it, for the plain view."""
        claims = {"token_type": "access", "exp": time.time() + DAY, "jti": uuid.uuid4().hex}
        return jwt.encode(claims | {"user_id": str(self.user_id)}, str(self.settings["SECRET_KEY"]))

    def fill(self, number: int) -> None:
        """Submit so many commands, by the product's own function."""
        self.run("fill", "-m", "dev.with_django", "dev.bench.inside", "fill", str(number))

    def empty(self) -> None:
        """Forget all commands."""
        self.execute("TRUNCATE commands_command, bench_command CASCADE")

    def execute(self, statement: str) -> Any:
        with psycopg.connect(self.servers.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None
