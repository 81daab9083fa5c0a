"""The one way to start the product: its servers, its web processes and its workers.

`make stack`, the campaigns, the demo site and the tests all start it by this module.
"""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from dev.servers import (
    ServerError,
    Servers,
    free_port,
    scratch_directory,
    spawn,
    start_servers,
)

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0  # for what takes seconds on an idle machine
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05
POOL_SIZE = 20
PASSWORD = "sovd-demo"  # noqa: S105 - of the demo users, as everybody knows

Process = subprocess.Popen[bytes]
Settings = Mapping[str, object]

WORKER = ("manage.py", "runworker")
# Both in one process, since a start takes long.
SEED = (
    "-c",
    "import django; django.setup(); from django.core.management import call_command as call;"
    "call('migrate', verbosity=0); call('demo_data', allow_demo_users=True)",
)


def web(port: int, host: str = "127.0.0.1") -> tuple[str, ...]:
    return ("manage.py", "runweb", "--host", host, "--port", str(port))


def production(database_url: str, redis_url: str, directory: Path) -> dict[str, object]:
    """Return settings of production mode; `directory` is for what the processes write."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "PROMETHEUS_MULTIPROC_DIR": directory / "metrics",
    }


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a machine on which only these settings are set."""
    names = re.findall(r"(?m)^#?([A-Z_]+)=", (ROOT / ".env.example").read_text())
    # Empty and not absent: a .env file fills in what is absent.
    unset = {f"{name}{suffix}": "" for name in names for suffix in ("", "_FILE")}
    # A start is mostly imports: the first one keeps their bytecode for all others.
    own = {"PYTHONDONTWRITEBYTECODE": "", "DJANGO_SETTINGS_MODULE": "sovd.settings"}
    return os.environ | unset | own | {name: str(value) for name, value in settings.items()}


def python(
    arguments: Sequence[str], environment: Mapping[str, str], output: int | IO[bytes] | None = None
) -> Process:
    command = [sys.executable, *arguments]
    return spawn(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


def ending(process: Process) -> str:
    if process.returncode < 0:
        return f"was killed by {signal.Signals(-process.returncode).name}"
    return f"ended with exit code {process.returncode}"


class Product:
    """Web processes and workers with the same settings, each with a name; killed at the end.

    It belongs to the main thread: a process dies with the thread that started it.
    """

    def __init__(
        self, settings: Settings, *, web: int = 1, workers: int = 1, logs: Path | None = None
    ) -> None:
        """`logs`: a directory for one file per name; without it, they write to the terminal."""
        self.settings = dict(settings)
        self.host = "127.0.0.1"
        self.ports = {f"web-{n}": free_port() for n in range(1, web + 1)}
        self.web = [*self.ports]
        self.workers = [f"worker-{n}" for n in range(1, workers + 1)]
        self.running: dict[str, Process] = {}
        self.logs = logs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def url(self, name: str = "web-1") -> str:
        return f"http://{self.host}:{self.ports[name]}"

    def program(self, name: str) -> Sequence[str]:
        return web(self.ports[name], self.host) if name in self.ports else WORKER

    def environment(self, name: str) -> dict[str, str]:
        return environment(self.settings)

    def spawn(self, name: str, program: Sequence[str]) -> Process:
        with self._output(name) as output:
            return python(program, self.environment(name), output)

    @contextlib.contextmanager
    def _output(self, name: str) -> Iterator[IO[bytes] | None]:
        if self.logs is None:
            yield None
        else:
            self.logs.mkdir(parents=True, exist_ok=True)
            with (self.logs / f"{name}.log").open("ab") as log:
                yield log

    # --- One process

    def start(self, name: str) -> None:
        self.running[name] = self.spawn(name, self.program(name))

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        self.pause(name)
        try:
            yield
        finally:
            self.resume(name)

    def run(self, name: str, *program: str) -> None:
        """Run a program with the settings of the product to its end."""
        process = self.spawn(name, program)
        try:
            if process.wait(START_SECONDS):
                raise ServerError(f"{name} {ending(process)}{self._hint(name)}")
        except subprocess.TimeoutExpired:
            problem = f"{name} did not end within {START_SECONDS:.0f} s{self._hint(name)}"
            raise ServerError(problem) from None
        finally:
            process.kill()
            process.wait()

    # --- All of them

    def start_all(self) -> None:
        for name in [*self.web, *self.workers]:
            self.start(name)
        self.wait_until_up()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        for name in self.web:
            while not self.answers(name):
                self.check()
                if time.monotonic() > deadline:
                    raise ServerError(f"{name} did not start in time{self._hint(name)}")
                time.sleep(POLL_SECONDS)

    def answers(self, name: str) -> bool:
        try:
            socket.create_connection((self.host, self.ports[name]), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self, names: Sequence[str], patience: float = STOP_SECONDS) -> list[str]:
        """Ask processes to end; describe those that do not end in time, or not well."""
        problems = []
        for name in names:
            self.running[name].terminate()
        deadline = time.monotonic() + patience
        for name in names:
            try:
                if self.running[name].wait(max(0.0, deadline - time.monotonic())):
                    problems.append(f"{name} {ending(self.running[name])}")
            except subprocess.TimeoutExpired:
                problems.append(f"{name} did not end within {patience:.0f} s and is killed")
            self.kill(name)
        return problems

    def check(self) -> None:
        """Raise ServerError if a process has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise ServerError(f"{name} {ending(process)}{self._hint(name)}")

    def _hint(self, name: str) -> str:
        return f": see {self.logs / name}.log" if self.logs else ""


class Installation(Product):
    """The product in production mode with throw-away servers of its own, and with demo data."""

    servers: Servers
    logs: Path
    fsync = False

    def __init__(self, settings: Settings, home: Path, *, web: int = 1, workers: int = 1) -> None:
        super().__init__(settings, web=web, workers=workers, logs=home / "logs")
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ending:
            directory = ending.enter_context(scratch_directory())
            self.servers = start_servers(directory, ending, fsync=self.fsync)
            addresses = self.servers.postgres.url, self.servers.valkey.url
            self.settings = production(*addresses, directory) | self.settings
            ending.push(super().__exit__)
            self.prepare()
            self._ending = ending.pop_all()
        return self

    def prepare(self) -> None:
        """Fill the database."""
        self.run("seed", *SEED)

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def environment(self, name: str) -> dict[str, str]:
        """Let Postgres know each process by its name."""
        url = f"{self.servers.postgres.url}?application_name={self.name_in_postgres(name)}"
        return super().environment(name) | {"DATABASE_URL": url}

    def name_in_postgres(self, name: str) -> str:
        return name
