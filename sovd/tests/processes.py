"""Processes of the product, started as a person or a container starts them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from dev.processes import WORKER, Process, environment, production, python
from dev.servers import spawn

T = TypeVar("T")

SECONDS = 120.0  # a deadline for what takes two on an idle machine
POLL_SECONDS = 0.05


class Ended(NamedTuple):
    exit_code: int
    output: str
    errors: list[str]


@contextmanager
def running(*arguments: str, **given: object) -> Iterator[Process]:
    """Run it until the end of the block; pytest shows its output if the test fails."""
    process = python(arguments, environment(given))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run(*arguments: str, **given: object) -> Ended:
    (ended,) = run_all((arguments, given))
    return ended


def run_all(*commands: tuple[Sequence[str], Mapping[str, object]]) -> list[Ended]:
    """Start all, then wait for all: most of their time is Python's imports."""
    processes = [
        python(arguments, environment(given), subprocess.PIPE) for arguments, given in commands
    ]
    try:
        return [_end_of(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@contextmanager
def own_database(name: str, options: str = "") -> Iterator[str]:
    """Make an empty database, and drop it at the end of the block."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"sovd_{name}_{os.getpid()}"
    with psycopg.connect(url.geturl(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
        try:
            yield url._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def drain_worker(failpoints: str = "", journal: Path | None = None, **given: object) -> int:
    """Let a worker process drain the database of the tests; return its exit code."""
    url = urlsplit(os.environ["DATABASE_URL"])
    database_url = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    given = {"MOCK_VEHICLE_LATENCY_SECONDS": 0.01, **given}
    patches = ["--failpoints", failpoints] + (["--journal", str(journal)] if journal else [])
    patched = ("-m", "dev.with_django", "dev.chaos.patched", *patches)
    with TemporaryDirectory() as directory:
        settings = production(database_url, os.environ["REDIS_URL"], Path(directory)) | given
        return run(*patched, *WORKER, "--drain", **settings).exit_code


def _end_of(process: Process) -> Ended:
    output, errors = process.communicate(timeout=SECONDS)
    return Ended(process.returncode, output.decode(), errors.decode().splitlines())


def until(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """Return the result of the condition as soon as it is true; OSError counts as false."""
    deadline = time.monotonic() + seconds
    answer: object = None
    while time.monotonic() < deadline:
        try:
            if result := condition():
                return result
            answer = result
        except OSError as error:
            answer = error
        time.sleep(POLL_SECONDS)
    pytest.fail(f"not within {seconds:g} s; the last answer was {answer!r}")


def tool(name: str, *arguments: str, cwd: Path, seconds: float = SECONDS) -> Ended:
    """Run a command of the virtual environment."""
    command: list[str | Path] = [Path(sys.executable).parent / name, *arguments]
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    process = spawn(command, cwd=cwd, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Ended(process.returncode, output.decode(), errors.decode().splitlines())
