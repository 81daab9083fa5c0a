"""`make stack`: run the production topology on this machine, without Docker.

Postgres, Valkey, web and worker are processes of their own, with DEBUG=0 and generated secrets.
The rows are kept between two runs; manage.py commands against it need var/stack/env.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from dev.processes import ROOT, Product, Settings, ending, production
from dev.servers import ServerError, Servers, port_is_free, start_servers

HOME = ROOT / "var" / "stack"
DRAIN_SECONDS = 60.0  # above COMMAND_TIMEOUT_SECONDS, which bounds what a worker still has to do
STOP_SECONDS = 10.0
POLL_SECONDS = 0.2


def main() -> None:
    options = arguments()
    # SIGINT too: a shell starts a background process with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            run(options)
        except ServerError as error:
            fail(str(error))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.stack", description=__doc__)
    parser.add_argument("--web", type=int, default=1, help="web processes, on consecutive ports")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--demo-users", action="store_true", help="users with a known password")
    return parser.parse_args()


class Stack(Product):
    """The product on the ports that the user named, with the other settings of the user."""

    def __init__(self, settings: Settings, host: str, ports: Sequence[int], workers: int) -> None:
        super().__init__(settings, web=len(ports), workers=workers)
        self.host = host
        self.ports = dict(zip(self.web, ports, strict=True))

    def environment(self, name: str) -> dict[str, str]:
        given = {name: str(value) for name, value in self.settings.items()}
        return os.environ | given | {"PYTHONUNBUFFERED": "1"}

    def url(self, name: str = "web-1") -> str:
        shown = "localhost" if self.host == "0.0.0.0" else self.host  # noqa: S104
        return f"http://{shown}:{self.ports[name]}/"

    def __exit__(self, *_: object) -> None:
        """Stop the workers before the web processes; a second Ctrl-C makes them give up."""
        try:
            for names, patience in ((self.workers, DRAIN_SECONDS), (self.web, STOP_SECONDS)):
                self._stop(names, patience)
        finally:
            super().__exit__()

    def _stop(self, names: Sequence[str], patience: float) -> None:
        running = [name for name in names if name in self.running]
        try:
            problems = self.stop(running, patience)
        except KeyboardInterrupt:
            problems = self.stop([name for name in running if name in self.running], STOP_SECONDS)
        for problem in problems:
            say(problem)


def run(options: argparse.Namespace) -> None:
    host, ports = free_ports(options.web)
    HOME.mkdir(parents=True, exist_ok=True)
    with only_one(), contextlib.ExitStack() as ending_servers:
        directory = server_directory()
        servers = start_servers(directory, ending_servers, fsync=True)
        with Stack(prepare(servers), host, ports, options.workers) as stack:
            stack.run("migrate", "manage.py", "migrate", "--verbosity", "0")
            if options.demo_users:
                stack.run("demo_data", "manage.py", "demo_data", "--allow-demo-users")
            stack.start_all()
            greet(stack, servers, directory)
            watch(stack, servers)


def free_ports(count: int) -> tuple[str, list[int]]:
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        fail(f"PORT={port} is not a port: set a number from 1 to 65535")
    ports = [int(port) + n for n in range(count)]
    for each in ports:
        if not port_is_free(each, host):
            fail(f"cannot listen on {host}:{each}; set another PORT or HOST")
    return host, ports


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail("a stack of this checkout is already running")
        yield


def server_directory() -> Path:
    """Return the directory for the data of the servers: for root not in the checkout.

    Postgres does not run as root then, and may not be let into the directories above.
    """
    if os.getuid():
        return HOME
    key = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    directory = Path(tempfile.gettempdir()) / f"sovd-stack-{key}"
    directory.mkdir(exist_ok=True)
    if directory.lstat().st_uid:
        fail(f"{directory} belongs to another user: remove it")
    directory.chmod(0o755)
    return directory


def prepare(servers: Servers) -> dict[str, object]:
    shutil.rmtree(HOME / "metrics", ignore_errors=True)  # the counts of dead processes
    settings = production(servers.postgres.url, servers.valkey.url, HOME) | {
        "DEBUG": "0",
        "SECRET_KEY": secret_key(),
        "ALLOWED_HOSTS": os.environ.get("ALLOWED_HOSTS") or "localhost,127.0.0.1",
    }
    lines = [f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()]
    write_private(HOME / "env", "".join(lines))
    return settings


def secret_key() -> str:
    path = HOME / "secret_key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(50))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def greet(stack: Stack, servers: Servers, directory: Path) -> None:
    say("the SOVD command console in production mode runs")
    rows = [(server.name, server.pid, server.url) for server in servers]
    urls = {name: stack.url(name) for name in stack.web}
    rows += [(name, process.pid, urls.get(name, "")) for name, process in stack.running.items()]
    for name, pid, url in rows:
        say(f"{name:9} pid {pid:<8} {url}".rstrip())
    say(f"rows and logs of the servers are kept in {directory}")
    say("for manage.py commands against it: set -a; . var/stack/env; set +a")
    say("Ctrl-C stops it when the running commands have ended, a second one at once")


def watch(stack: Stack, servers: Servers) -> NoReturn:
    while True:
        stack.check()
        for server in servers:
            if server.process.poll() is not None:
                raise ServerError(f"{server.name} {ending(server.process)}")
        time.sleep(POLL_SECONDS)


def say(message: str) -> None:
    print(f"stack: {message}", flush=True)


def fail(message: str) -> NoReturn:
    print(f"stack: {message}", file=sys.stderr, flush=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
