"""Export of commands as a file: CSV for spreadsheets (one row per command, or per trouble code),
JSON Lines for programs.

The file is sent while it is read, from the newest command to the oldest, by keyset pages: only one
page is in memory, and commands that arrive meanwhile shift no row. EXPORT_ROWS is the limit.
"""

import csv
import json
import re
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from io import StringIO
from threading import BoundedSemaphore
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils import timezone

from commands import evidence
from commands.database.keyset import beyond
from commands.database.threads import EXPORTS_AT_ONCE, in_export_thread
from commands.events import iso
from commands.models import Command, CommandQuerySet, Event, Status

PAGE = 200  # commands
ORDER = ["-submitted_at", "-command_id"]
MAX_EVENTS = 2_000  # in memory at once, except for a single command that has more

COLUMNS = [
    "command_id",
    "batch_id",
    "vin",
    "command_name",
    "command_params",
    "status",
    "error_code",
    "error_message",
    "submitted_by",
    "submitted_at",
    "started_at",
    "completed_at",
    "seconds",  # from submission to end
    "answers",  # the responses since the last claim
]

CODE_COLUMNS = [
    "vin",
    "ecu_address",
    "dtc_code",
    "description",
    "status",
    "confirmed",
    "read_at",
    "command_id",
    "batch_id",
    "submitted_by",
]

# Three places where a spreadsheet may begin to compute: a leading tab or carriage return, the
# beginning of a cell, and the text after a separator (in many countries the semicolon). Blanks and
# quotes before the sign do not count. A match is empty: an apostrophe is put there.
FORMULA = re.compile(
    r"""^(?=[\t\r])|(?:^|(?<=[;\t\r\n]))(?=(?:[^\S\t\r\n]|")*[=+\-@\uff1d\uff0b\uff0d\uff20])"""
)

Row = dict[str, Any]
Responses = defaultdict[UUID, list[Any]]


class TooMany(Exception):
    def __init__(self) -> None:
        super().__init__(
            f"More than {settings.EXPORT_ROWS} commands are chosen, which is the limit of one "
            "export. Narrow the filters, for example to a shorter time."
        )


class Busy(Exception):
    def __init__(self) -> None:
        super().__init__(
            f"{EXPORTS_AT_ONCE} exports are already running, which is the limit. "
            "Try again in 10 seconds."
        )


_free = BoundedSemaphore(EXPORTS_AT_ONCE)


def count(commands: CommandQuerySet) -> int:
    """Return the number of commands to export. Raise TooMany."""
    found = commands.order_by()[: settings.EXPORT_ROWS + 1].count()
    if found > settings.EXPORT_ROWS:
        raise TooMany
    return found


def file_of(commands: CommandQuerySet, kind: str) -> StreamingHttpResponse:
    """Return a streaming response for ASGI, which reads the pages in threads. Raise Busy."""
    if not _free.acquire(blocking=False):
        raise Busy
    response: Any = StreamingHttpResponse(_written(commands, kind), headers=headers_of(kind))
    # A finalizer, since nobody closes the response for a client that is gone already.
    release = weakref.finalize(response, _free.release)
    response._resource_closers.append(release)
    return cast(StreamingHttpResponse, response)


def headers_of(kind: str) -> dict[str, str]:
    content_type, *_ = KINDS[kind]
    start, ending = ("trouble-codes", "csv") if kind == CODES else ("commands", kind)
    name = f"{start}-{timezone.now():%Y%m%d-%H%M%S}.{ending}"
    return {
        "Content-Type": content_type,
        "Content-Disposition": f'attachment; filename="{name}"',
    }


async def _written(commands: CommandQuerySet, kind: str) -> AsyncIterator[str]:
    _, head, lines = KINDS[kind]
    yield head
    last = None
    while page := await in_export_thread(_page, commands, last):
        for part in _parts(page):
            rows = await in_export_thread(_rows, part)
            if kind == WITH_EVIDENCE:
                kept = await in_export_thread(evidence.of_commands, part)
                rows = [row | kept[UUID(row["command_id"])] for row in rows]
            yield lines(rows)
        last = page[-1]


def _page(commands: CommandQuerySet, last: Command | None) -> list[Command]:
    if last:
        commands = commands.filter(beyond(ORDER, [last.submitted_at, last.pk]))
    in_order = commands.order_by(*ORDER)
    return list(in_order.select_related("vehicle", "submitted_by")[:PAGE])


def _parts(page: list[Command]) -> Iterator[list[Command]]:
    part: list[Command] = []
    events = 0
    for command in page:
        events += command.last_sequence_number
        if part and events > MAX_EVENTS:
            yield part
            part, events = [], command.last_sequence_number
        part.append(command)
    yield part


def _rows(commands: list[Command]) -> list[Row]:
    """Return one row for each command, without events that are newer than its status."""
    responses: Responses = defaultdict(list)
    known = {command.pk: command.last_sequence_number for command in commands}
    log = Event.objects.filter(command__in=commands).current_responses()
    for event in log.order_by("command", "sequence_number"):
        if event.sequence_number <= known[event.command_id]:
            responses[event.command_id].append(event.payload["response"])
    return [_row(command, responses[command.pk]) for command in commands]


def _row(command: Command, answers: list[Any]) -> Row:
    ended = command.completed_at
    return {
        "command_id": str(command.pk),
        "batch_id": command.batch_id and str(command.batch_id),
        "vin": command.vehicle.vin,
        "command_name": command.command_name,
        "command_params": command.command_params,
        "status": command.status,
        "error_code": command.error_code,
        "error_message": command.error_message,
        "submitted_by": command.submitted_by.get_username(),
        "submitted_at": iso(command.submitted_at),
        "started_at": command.started_at and iso(command.started_at),
        "completed_at": ended and iso(ended),
        "seconds": ended and (ended - command.submitted_at).total_seconds(),
        "answers": answers,
    }


def _as_csv(rows: list[Row], columns: Sequence[str] = COLUMNS) -> str:
    text = StringIO()
    csv.writer(text).writerows([_cell(row[column]) for column in columns] for row in rows)
    return text.getvalue()


def _codes_as_csv(rows: list[Row]) -> str:
    return _as_csv([code for row in rows for code in _codes_of(row)], CODE_COLUMNS)


def _codes_of(row: Row) -> Iterator[Row]:
    """Yield a row for each trouble code in the responses of a completed command."""
    if row["status"] != Status.COMPLETED:
        return
    for answer in row["answers"]:
        of_ecu = answer.get("dtcs") if answer.get("type") == "ecu" else None
        codes = of_ecu if isinstance(of_ecu, list) else [answer]
        for code in codes:
            if isinstance(code, dict) and "dtcCode" in code and code.get("type", "dtc") == "dtc":
                yield row | {
                    "ecu_address": code.get("ecuAddress") or answer.get("ecuAddress"),
                    "dtc_code": code["dtcCode"],
                    "description": code.get("description"),
                    "status": code.get("status"),
                    "confirmed": code.get("confirmed"),
                    "read_at": row["completed_at"],
                }


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return FORMULA.sub("'", value)
    if isinstance(value, dict | list):
        return _json(value).replace(";", r"\u003b")  # semicolons are in strings only: same JSON
    return value


def _as_json_lines(rows: list[Row]) -> str:
    return "".join(f"{_json(row)}\n" for row in rows)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _head(columns: Sequence[str]) -> str:
    return _as_csv([dict(zip(columns, columns, strict=True))], columns)


WITH_EVIDENCE = "jsonl"
CODES = "codes"
CSV = "text/csv; charset=utf-8"
KINDS: dict[str, tuple[str, str, Callable[[list[Row]], str]]] = {
    "csv": (CSV, _head(COLUMNS), _as_csv),
    CODES: (CSV, _head(CODE_COLUMNS), _codes_as_csv),
    "jsonl": ("application/jsonl", "", _as_json_lines),
}
