"""The product's own processes, started as a person or a container starts them."""

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import pytest
from django.conf import settings

from dev.servers import spawn

T = TypeVar("T")

SECONDS = 30.0  # a deadline for what takes two on an idle machine
POLL_SECONDS = 0.05


class Ended(NamedTuple):
    exit_code: int
    output: str
    errors: list[str]


def variables_of(file: str) -> dict[str, ast.Call]:
    """The environment variables that a file reads, and the calls by which it does."""
    nodes = ast.walk(ast.parse((settings.BASE_DIR / file).read_text()))
    calls = [node for node in nodes if isinstance(node, ast.Call) and _reads_a_variable(node)]
    return {ast.literal_eval(call.args[0]): call for call in calls}


def _reads_a_variable(call: ast.Call) -> bool:
    """A function that is given a NAME: one of the file's own, or of `os.environ`."""
    function = ast.unparse(call.func)
    name = call.args[0] if call.args else None
    return (
        ("." not in function or function.startswith(("os.", "env.")))
        and isinstance(name, ast.Constant)
        and re.fullmatch("[A-Z][A-Z_]+", str(name.value)) is not None
    )


def environment(**given: object) -> dict[str, str]:
    """That of a machine on which nothing but `given` is set."""
    names = [*variables_of("sovd/settings.py"), "HOST", "PORT"]
    # Empty and not absent: a .env file fills in what is absent.
    unset = dict.fromkeys(names, "")
    # A start is mostly imports: the first one keeps their bytecode for all others.
    unset["PYTHONDONTWRITEBYTECODE"] = ""
    return os.environ | unset | {name: str(value) for name, value in given.items()}


@contextmanager
def running(*arguments: str, **given: object) -> Iterator[subprocess.Popen[bytes]]:
    """What it prints is shown with the test that fails."""
    with running_to(None, *arguments, **given) as process:
        yield process


@contextmanager
def running_to(
    log: IO[bytes] | None, *arguments: str, **given: object
) -> Iterator[subprocess.Popen[bytes]]:
    process = _start(arguments, given, pipe=log)
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
    processes = [_start(*command, pipe=subprocess.PIPE) for command in commands]
    try:
        return [_end_of(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _start(
    arguments: Sequence[str], given: Mapping[str, object], pipe: int | IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    command = [sys.executable, *arguments]
    env = environment(**given)
    return spawn(command, cwd=settings.BASE_DIR, env=env, stdout=pipe, stderr=pipe)


def _end_of(process: subprocess.Popen[bytes]) -> Ended:
    output, errors = process.communicate(timeout=SECONDS)
    return Ended(process.returncode, output.decode(), errors.decode().splitlines())


def until(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """What the condition says as soon as it is true. A refused connection is a "not yet"."""
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
    """A command of the virtual environment."""
    command: list[str | Path] = [Path(sys.executable).parent / name, *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    process = spawn(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Ended(process.returncode, output.decode(), errors.decode().splitlines())
