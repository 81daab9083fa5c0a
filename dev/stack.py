"""`make stack`: the production topology on this machine, without Docker.

Postgres, Valkey, web and worker as processes of their own, with DEBUG=0 and generated secrets.
The rows are kept between two runs; var/stack/env is what a manage.py command against it needs.
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
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from dev.servers import ServerError, Servers, port_is_free, spawn, start_servers

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "var" / "stack"
DRAIN_SECONDS = 60.0  # above COMMAND_TIMEOUT_SECONDS, which bounds what a worker still has to do
STOP_SECONDS = 10.0
POLL_SECONDS = 0.2


class Child(NamedTuple):
    name: str
    process: subprocess.Popen[bytes]
    url: str = ""


def main() -> None:
    options = arguments()
    # SIGINT too: a shell starts what it puts in the background with SIGINT ignored.
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


def run(options: argparse.Namespace) -> None:
    addresses = free_addresses(options.web)
    HOME.mkdir(parents=True, exist_ok=True)
    with only_one(), contextlib.ExitStack() as stack:
        directory = server_directory()
        servers = start_servers(directory, stack, fsync=True)
        environment = prepare(servers)
        manage(environment, "migrate", "--verbosity", "0")
        if options.demo_users:
            manage(environment, "demo_data", "--allow-demo-users")
        children = [Child(server.name, server.process, server.url) for server in servers]
        children += start(stack, environment, addresses, options.workers)
        wait_for_web(addresses, children)
        greet(children, directory)
        watch(children)


def free_addresses(count: int) -> list[tuple[str, int]]:
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        fail(f"PORT={port} is not a port: set a number from 1 to 65535")
    addresses = [(host, int(port) + n) for n in range(count)]
    for address in addresses:
        if not port_is_free(address[1], host):
            fail(f"cannot listen on {host}:{address[1]}; set another PORT or HOST")
    return addresses


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail("a stack of this checkout is already running")
        yield


def server_directory() -> Path:
    """Where the servers keep their data: for root not in the checkout.

    Postgres does not run as root then, and may not be let into the directories above.
    """
    if os.getuid():
        return HOME
    key = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    directory = Path(tempfile.gettempdir()) / f"sovd-stack-{key}"
    directory.mkdir(exist_ok=True)
    if directory.lstat().st_uid:
        fail(f"{directory} belongs to somebody else")
    directory.chmod(0o755)
    return directory


def prepare(servers: Servers) -> dict[str, str]:
    metrics = HOME / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)  # what dead processes counted
    metrics.mkdir()
    environment = {
        "DEBUG": "0",
        "SECRET_KEY": secret_key(),
        "ALLOWED_HOSTS": os.environ.get("ALLOWED_HOSTS") or "localhost,127.0.0.1",
        "DATABASE_URL": servers.postgres.url,
        "REDIS_URL": servers.valkey.url,
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in environment.items()]
    write_private(HOME / "env", "".join(lines))
    return environment


def secret_key() -> str:
    path = HOME / "secret_key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(50))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def python(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | environment | {"PYTHONUNBUFFERED": "1"}
    return spawn([sys.executable, *arguments], cwd=ROOT, env=environment)


def manage(environment: dict[str, str], *arguments: str) -> None:
    process = python(environment, "manage.py", *arguments)
    try:
        process.wait()
    finally:
        process.kill()
    if process.returncode:
        fail(f"manage.py {arguments[0]} {ending(process)}")


def start(
    stack: contextlib.ExitStack,
    environment: dict[str, str],
    addresses: list[tuple[str, int]],
    workers: int,
) -> list[Child]:
    """The workers after the web processes, and so stopped before them."""
    web = [web_process(environment, n, *address) for n, address in enumerate(addresses, 1)]
    stack.callback(stop, web, STOP_SECONDS)
    working = [
        Child(f"worker {n}", python(environment, "manage.py", "runworker"))
        for n in range(1, workers + 1)
    ]
    stack.callback(stop, working, DRAIN_SECONDS)
    return web + working


def web_process(environment: dict[str, str], n: int, host: str, port: int) -> Child:
    command = ["-m", "daphne", "-b", host, "-p", str(port), "sovd.asgi:application"]
    shown = "localhost" if host == "0.0.0.0" else host  # noqa: S104
    return Child(f"web {n}", python(environment, *command), f"http://{shown}:{port}/")


def stop(children: list[Child], patience: float) -> None:
    """Interrupted, it asks a second time, at which a worker gives up what it runs."""
    try:
        terminate(children, patience)
    except KeyboardInterrupt:
        terminate(children, STOP_SECONDS)
        raise
    finally:
        for child in children:
            child.process.kill()
            child.process.wait()


def terminate(children: list[Child], patience: float) -> None:
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + patience
    for child in children:
        try:
            child.process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"{child.name} did not end within {patience:.0f} s and is killed")


def wait_for_web(addresses: list[tuple[str, int]], children: list[Child]) -> None:
    for address in addresses:
        while not answers(address):
            check(children)
            time.sleep(POLL_SECONDS)


def answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def watch(children: list[Child]) -> NoReturn:
    while True:
        check(children)
        time.sleep(POLL_SECONDS)


def check(children: list[Child]) -> None:
    for child in children:
        if child.process.poll() is not None:
            fail(f"{child.name} {ending(child.process)}; stopping the rest")


def ending(process: subprocess.Popen[bytes]) -> str:
    if process.returncode < 0:
        return f"was killed by {signal.Signals(-process.returncode).name}"
    return f"ended with exit code {process.returncode}"


def greet(children: list[Child], directory: Path) -> None:
    say("the SOVD command console in production mode runs")
    for name, process, url in children:
        say(f"{name:9} pid {process.pid:<8} {url}".rstrip())
    say(f"rows and logs of the servers are kept in {directory}")
    say("for manage.py commands against it: set -a; . var/stack/env; set +a")
    say("Ctrl-C stops it when the running commands have ended, a second one at once")


def say(message: str) -> None:
    print(f"stack: {message}", flush=True)


def fail(message: str) -> NoReturn:
    print(f"stack: {message}", file=sys.stderr, flush=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
