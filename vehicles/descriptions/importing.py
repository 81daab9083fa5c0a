"""Import of uploaded files, each in a process of its own with limits of time, memory and output.

That process knows neither the database nor the settings: it reads the file from its input, and
writes what it found as lines of JSON.
"""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import IO, Any, cast

from django.conf import settings
from django.db import connection

from vehicles.descriptions import storage
from vehicles.descriptions.models import Description

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
STEP_SECONDS = 5.0  # between two looks at the process
WAIT_SECONDS = 1.0
ROOT = Path(__file__).parent.parent.parent

Stop = Callable[[], bool]


class Refused(Exception):
    """A file that cannot be imported; the message says why."""


class Abandoned(Exception):
    """An import that goes on elsewhere, or not at all."""


def import_next(is_stopping: Stop = lambda: False) -> Description | None:
    """Import the oldest file that waits, if there is one; return its description."""
    description = storage.take_next(LEASE)
    if description:
        _import(description, is_stopping)
    return description


def import_one(description: Description) -> None:
    """Import a file now, unless a worker has taken it: then wait for that."""
    while storage.is_waiting(description):
        if storage.take(description, LEASE):
            _import(description, lambda: False)
        else:
            sleep(WAIT_SECONDS)


def _import(description: Description, is_stopping: Stop) -> None:
    with TemporaryFile() as output:
        try:
            _run(description, output, is_stopping)
            lines = _lines(output)
            storage.store(description, next(lines), lines)
        except Refused as refusal:
            storage.refuse(description, str(refusal))
        except Abandoned:
            storage.release(description)


def _run(description: Description, output: IO[bytes], is_stopping: Stop) -> None:
    """Let the process read the file. Raise Refused if it does not end well."""
    limits = [settings.DESCRIPTION_IMPORT_SECONDS, settings.DESCRIPTION_IMPORT_MEMORY_MB]
    process = subprocess.Popen(
        [sys.executable, "-m", "vehicles.descriptions.odx", *map(str, limits)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"},
    )
    try:
        _feed(process, description)
        _wait(process, description, is_stopping)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise Refused(_limit_of(process.returncode))


def _feed(process: subprocess.Popen[bytes], description: Description) -> None:
    with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as file:
        for piece in storage.pieces_of(description):
            file.write(piece)


def _wait(process: subprocess.Popen[bytes], description: Description, is_stopping: Stop) -> None:
    ends = monotonic() + settings.DESCRIPTION_IMPORT_SECONDS
    while process.poll() is None:
        if is_stopping() or not storage.renew(description, LEASE):
            raise Abandoned
        connection.close()  # others may use it while the process works
        if monotonic() > ends:
            raise Refused(_too_long())
        with suppress(subprocess.TimeoutExpired):
            process.wait(STEP_SECONDS)


def _limit_of(returncode: int) -> str:
    """Return which limit has ended the process; no memory left can end it in several ways."""
    if returncode == -signal.SIGXCPU:
        return _too_long()
    if returncode == -signal.SIGXFSZ:
        return "It describes too much to be imported."
    size = settings.DESCRIPTION_IMPORT_MEMORY_MB
    return f"Its import needs more than {size} MB (DESCRIPTION_IMPORT_MEMORY_MB)."


def _too_long() -> str:
    seconds = settings.DESCRIPTION_IMPORT_SECONDS
    return f"Its import took more than {seconds:g} seconds (DESCRIPTION_IMPORT_SECONDS)."


def _lines(output: IO[bytes]) -> Iterator[Any]:
    """Yield what the process wrote: the report, then the entries. Raise Refused."""
    output.seek(0)
    for line in output:
        found = json.loads(line)
        if isinstance(found, dict) and "refused" in found:
            raise Refused(found["refused"])
        yield found
