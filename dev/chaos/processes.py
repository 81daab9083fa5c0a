"""All processes of a campaign: two servers, the web processes and the workers, each of which can
be killed, paused and started again under its old name and address."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
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

LEASE_SECONDS = 4.0
TIMEOUT_SECONDS = 4.0
DRAIN_SECONDS = 2 * (LEASE_SECONDS + TIMEOUT_SECONDS)
STREAM_POLL_SECONDS = 1.0
LATENCY_SECONDS = 0.15

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
    "MOCK_VEHICLE_LATENCY_SECONDS": LATENCY_SECONDS,
    "MOCK_VEHICLE_TIMEOUT_RATE": 0.01,
    "MOCK_VEHICLE_UNREACHABLE_RATE": 0.01,
    "MOCK_VEHICLE_MALFORMED_RATE": 0.01,
}


class Processes:
    """Belongs to the main thread: what another one starts dies with that thread."""

    def __init__(self, evidence: Path, *, expires_seconds: float, variant: str = "") -> None:
        self.expires_seconds = expires_seconds
        self.journal = evidence / "journal"
        self.logs = evidence / "logs"
        self.web = ["web-1", "web-2"]
        self.workers = ["worker-1", "worker-2", "worker-3"]
        self.ports = {name: free_port() for name in self.web}
        self.unasked: list[str] = []
        """Processes that ended by themselves, or did not end when they were asked to."""
        self._variant = variant
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._draining: dict[str, subprocess.Popen[bytes]] = {}
        self._lives: Counter[str] = Counter()
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
            return
        self._lives[name] += 1
        self._running[name] = self._spawn(name, f"{name}.{self._lives[name]}", self._command(name))

    def kill(self, name: str) -> None:
        if name == "valkey":
            self.servers.valkey.kill()
        elif name == "postgres":  # at once, as if it had crashed, but with all of its backends
            self.servers.postgres.process.send_signal(signal.SIGQUIT)
            self.servers.postgres.process.wait(STOP_SECONDS)
        else:
            self._running[name].kill()
            self._running.pop(name).wait()

    def pause(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    def drain(self, name: str) -> None:
        self._draining[name] = self._running.pop(name)
        self._draining[name].terminate()

    def ended(self, name: str, patience: float = DRAIN_SECONDS) -> None:
        """Wait for what was drained. What does not end, or not well, is a finding."""
        process = self._draining.pop(name)
        try:
            # By the signal itself: before it had begun to work.
            if (code := process.wait(patience)) not in (0, -signal.SIGTERM):
                self.unasked.append(f"{name} ended with exit code {code} when it was asked to stop")
        except subprocess.TimeoutExpired:
            self.unasked.append(f"{name} did not stop within {patience:g} s")
            process.kill()
            process.wait()

    def look(self) -> None:
        """Note, and start again, what ended without having been told to."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                self.unasked.append(f"{name} ended with exit code {process.returncode}")
                self.start(name)

    def life(self, name: str) -> str:
        """As Postgres knows it: each start of a process has a name of its own."""
        return f"{name}.{self._lives[name]}"

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
                self.ended(name)

    def manage(self, *arguments: str) -> None:
        process = self._spawn("manage", "manage", ["manage.py", *arguments])
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

    def _spawn(self, name: str, life: str, command: list[str]) -> subprocess.Popen[bytes]:
        database = f"{self.servers.postgres.url}?application_name={life}"
        environment = self._environment | {"DATABASE_URL": database}
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
