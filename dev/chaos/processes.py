"""All processes of a campaign: two servers, the web processes and the workers, each of which can
be killed, paused and started again under its old name and address."""

import contextlib
import math
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dev.servers import (
    Postgres,
    ServerError,
    Servers,
    Valkey,
    free_port,
    port_is_free,
    scratch_directory,
    spawn,
    start_servers,
)

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1

LEASE_SECONDS = 3.0
TIMEOUT_SECONDS = 9.0
DRAIN_SECONDS = LEASE_SECONDS + TIMEOUT_SECONDS + 3
STREAM_POLL_SECONDS = 1.0
LATENCY_SECONDS = 0.15
SLOW_SECONDS = 1.7  # per answer: a command then lasts longer than a lease
SLOW_WORKER = "worker-3"
POOL_SIZE = 20
YOUNG_SECONDS = 10.0  # so long a process may still be starting

SETTINGS = {
    "DEBUG": "0",
    "ALLOWED_HOSTS": "127.0.0.1",
    "ACCESS_TOKEN_SECONDS": 24 * 3600,
    "THROTTLE_LOGIN": "",
    "THROTTLE_COMMANDS": "",
    "COMMAND_LEASE_SECONDS": LEASE_SECONDS,
    "COMMAND_TIMEOUT_SECONDS": TIMEOUT_SECONDS,
    "STREAM_POLL_SECONDS": STREAM_POLL_SECONDS,
    "VEHICLE_PRESENCE_SECONDS": 10,
    "DATABASE_POOL_SIZE": POOL_SIZE,
    "MOCK_VEHICLE_TIMEOUT_RATE": 0.01,
    "MOCK_VEHICLE_UNREACHABLE_RATE": 0.01,
    "MOCK_VEHICLE_MALFORMED_RATE": 0.01,
}


@dataclass
class Disturbance:
    """Why a process may have lost what it had claimed: times by the clock of this machine."""

    whom: str
    """A life of a process, or a server."""
    since: float
    until: float = math.inf


class Processes:
    """Belongs to the main thread: what another one starts dies with that thread."""

    def __init__(
        self,
        evidence: Path,
        *,
        expires_seconds: float,
        failpoints: random.Random | None = None,
        variant: str = "",
    ) -> None:
        self.expires_seconds = expires_seconds
        self.journal = evidence / "journal"
        self.logs = evidence / "logs"
        self.web = ["web-1", "web-2"]
        self.workers = ["worker-1", "worker-2", "worker-3"]
        self.ports = {name: free_port() for name in self.web}
        self.unasked: list[str] = []
        """Processes that ended by themselves, or did not end when they were asked to."""
        self.disturbances: list[Disturbance] = []
        self._chance = failpoints
        self._variant = variant
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._draining: dict[str, subprocess.Popen[bytes]] = {}
        self._lives: Counter[str] = Counter()
        self._born: dict[str, float] = {}
        self._was_young: dict[str, bool] = {}
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ending:
            scratch = ending.enter_context(scratch_directory())
            self.servers: Servers = start_servers(scratch, ending)
            self._environment = self._make_environment(scratch)
            ending.callback(self._kill_all)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def _make_environment(self, scratch: Path) -> dict[str, str]:
        for directory in (self.journal, self.logs):
            directory.mkdir(parents=True, exist_ok=True)
        (scratch / "metrics").mkdir()
        given = SETTINGS | {
            "COMMAND_EXPIRES_SECONDS": self.expires_seconds,
            "REDIS_URL": self.servers.valkey.url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "PROMETHEUS_MULTIPROC_DIR": scratch / "metrics",
            "VEHICLE_JOURNAL_DIR": self.journal,
            "PYTHONUNBUFFERED": 1,
        }
        return os.environ | {name: str(value) for name, value in given.items()}

    # --- One process

    def start(self, name: str) -> None:
        if name in ("postgres", "valkey"):
            self._server(name).start()
            self._is_over(name)
            return
        self._lives[name] += 1
        self._born[name] = time.time()
        given = {
            "FAILPOINTS": self._failpoints(name),
            "MOCK_VEHICLE_LATENCY_SECONDS": SLOW_SECONDS
            if name == SLOW_WORKER
            else LATENCY_SECONDS,
        }
        self._running[name] = self._spawn(name, self.life(name), self._command(name), given)

    def kill(self, name: str) -> None:
        self._begins(name)
        if name == "valkey":
            self.servers.valkey.kill()
        elif name == "postgres":  # at once, as if it had crashed, but with all of its backends
            self.servers.postgres.process.send_signal(signal.SIGQUIT)
            self.servers.postgres.process.wait(STOP_SECONDS)
        else:
            self._running[name].kill()
            self._running.pop(name).wait()

    def pause(self, name: str) -> None:
        self._begins(name)
        self._running[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)
        self._is_over(name)

    def drain(self, name: str) -> None:
        self._draining[name] = self._running.pop(name)
        self._draining[name].terminate()
        self._was_young[name] = time.time() - self._born[name] < YOUNG_SECONDS

    def wait_for_the_end(self, name: str, patience: float = DRAIN_SECONDS) -> None:
        """Wait for what was drained. What does not end, or not well, is a finding."""
        process = self._draining.pop(name)
        try:
            code = process.wait(patience)
            if code and not (code == -signal.SIGTERM and self._was_young[name]):
                self.unasked.append(f"{name} ended with exit code {code} when it was asked to stop")
        except subprocess.TimeoutExpired:
            self.unasked.append(f"{name} did not stop within {patience:g} s")
            process.kill()
            process.wait()

    def restart_the_dead(self) -> None:
        """Whoever came to a failpoint; who ended otherwise, without being told to, is a finding."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                self._begins(name)
                if process.returncode != -signal.SIGKILL:
                    self.unasked.append(f"{name} ended with exit code {process.returncode}")
                self.start(name)

    def life(self, name: str) -> str:
        """As Postgres knows it: each start of a process has a name of its own."""
        return f"{name}.{self._lives[name]}" if name in self._lives else name

    def lives(self) -> list[str]:
        return [self.life(name) for name in self._running]

    def _begins(self, name: str) -> None:
        self.disturbances.append(Disturbance(self.life(name), time.time()))

    def _is_over(self, name: str) -> None:
        for disturbance in self.disturbances:
            if disturbance.whom == self.life(name) and disturbance.until == math.inf:
                disturbance.until = time.time()

    def _failpoints(self, name: str) -> str:
        """In every second life connections break around a COMMIT; some workers die there."""
        if self._chance is None or self._chance.random() < 0.5:
            return ""
        breaks = [f"after_commit=cut@{self._chance.randint(5, 60)}"]
        if name in self.workers:
            breaks.append(f"before_commit=cut@{self._chance.randint(5, 60)}")
            point = self._chance.choice(("before_send", "after_send", "after_commit"))
            breaks.append(f"{point}=kill@{self._chance.randint(20, 200)}")
        return ",".join(breaks)

    # --- All of them

    def set_up(self) -> None:
        self.manage("migrate", "--verbosity", "0")
        self.manage("demo_data", "--allow-demo-users")

    def start_all(self) -> None:
        for name in [*self.web, *self.workers]:
            self.start(name)
        deadline = time.monotonic() + START_SECONDS
        while any(port_is_free(port) for port in self.ports.values()):
            if time.monotonic() > deadline:
                raise ServerError(f"no web process within {START_SECONDS:g} s: see {self.logs}")
            time.sleep(POLL_SECONDS)

    def stop_all(self) -> None:
        """As an operator does: the workers first, and then nobody is left."""
        for names in (self.workers, self.web):
            for name in names:
                self.drain(name)
            for name in names:
                self.wait_for_the_end(name)

    def manage(self, *arguments: str) -> None:
        process = self._spawn("manage", "manage", ["manage.py", *arguments], {})
        if process.wait(START_SECONDS):
            raise ServerError(f"manage.py {arguments[0]} failed: see {self.logs / 'manage.log'}")

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def _command(self, name: str) -> list[str]:
        if name in self.web:
            arguments = ["-b", "127.0.0.1", "-p", str(self.ports[name]), "sovd.asgi:application"]
            program = ["-m", "daphne"]
        else:
            program, arguments = ["manage.py"], ["runworker"]
        if self._variant:
            program = ["-m", "dev.chaos.broken", self._variant, program[-1]]
        return [*program, *arguments]

    def _spawn(
        self, name: str, life: str, command: list[str], given: Mapping[str, object]
    ) -> subprocess.Popen[bytes]:
        database = f"{self.servers.postgres.url}?application_name={life}"
        environment = self._environment | {"DATABASE_URL": database}
        environment |= {variable: str(value) for variable, value in given.items()}
        with (self.logs / f"{name}.log").open("ab") as log:
            return spawn(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _server(self, name: str) -> Postgres | Valkey:
        return self.servers.postgres if name == "postgres" else self.servers.valkey

    def _kill_all(self) -> None:
        for process in [*self._running.values(), *self._draining.values()]:
            process.kill()
            process.wait()
