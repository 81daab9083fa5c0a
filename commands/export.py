"""Commands as a file: CSV for spreadsheets, JSON Lines for programs. As many as EXPORT_ROWS.

Written while it is read, from the newest to the oldest, in pages that begin where the last one
ended: however much it is, a page is all that is held, and what arrives meanwhile moves nothing.
"""

import csv
import json
import re
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from io import StringIO
from threading import BoundedSemaphore
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils import timezone

from commands.events import iso
from commands.models import Command, CommandQuerySet, Event, Kind, Status
from commands.threads import EXPORTS_AT_ONCE, in_export_thread
from sovd.pagination import beyond

PAGE = 200  # commands
ORDER = ["-submitted_at", "-command_id"]
MOST_EVENTS = 2_000  # whose answers are held at once, but for one command that has more

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
    "seconds",  # from its submission to its end
    "answers",  # those that count
]

# Where a spreadsheet could find something to compute. In many countries it takes semicolons for
# what separates cells, and whatever quotes stand around them for text.
FORMULA = re.compile(
    r"""^(?=[\t\r])|(?:^|(?<=[;\t\r\n]))(?=(?:[^\S\t\r\n]|")*[=+\-@\uff1d\uff0b\uff0d\uff20])"""
)

Row = dict[str, Any]
Answers = dict[UUID, list[Any]]


class TooMany(Exception):
    def __init__(self) -> None:
        super().__init__(
            f"More than {settings.EXPORT_ROWS} commands are chosen, which is the most that one "
            "export holds. Narrow the filters, for example to a shorter time."
        )


class Busy(Exception):
    wait = 10  # seconds

    def __init__(self) -> None:
        super().__init__(
            f"{EXPORTS_AT_ONCE} exports are being written already, which are all that are at once."
        )


_free = BoundedSemaphore(EXPORTS_AT_ONCE)


def count(commands: CommandQuerySet) -> int:
    """How many there are to export. Raises TooMany."""
    found = commands.order_by()[: settings.EXPORT_ROWS + 1].count()
    if found > settings.EXPORT_ROWS:
        raise TooMany
    return found


def file_of(commands: CommandQuerySet, kind: str) -> StreamingHttpResponse:
    """For an ASGI server: it reads the pages off the event loop. Raises Busy."""
    if not _free.acquire(blocking=False):
        raise Busy
    _, head, lines = KINDS[kind]
    response: Any = StreamingHttpResponse(_written(commands, head, lines), headers=headers_of(kind))
    # Also of a client that was gone before it was answered, whose response nobody closes.
    release = weakref.finalize(response, _free.release)
    response._resource_closers.append(release)
    return cast(StreamingHttpResponse, response)


def headers_of(kind: str) -> dict[str, str]:
    name = f"commands-{timezone.now():%Y%m%d-%H%M%S}.{kind}"
    content_type, *_ = KINDS[kind]
    return {
        "Content-Type": content_type,
        "Content-Disposition": f'attachment; filename="{name}"',
    }


async def _written(
    commands: CommandQuerySet, head: str, lines: Callable[[list[Row]], str]
) -> AsyncIterator[str]:
    yield head
    last = None
    while page := await in_export_thread(_page, commands, last):
        for part in _parts(page):
            yield lines(await in_export_thread(_rows, part))
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
        if part and events > MOST_EVENTS:
            yield part
            part, events = [], command.last_sequence_number
        part.append(command)
    yield part


def _rows(commands: list[Command]) -> list[Row]:
    """Without what happened since they were read: a line tells of one instant."""
    answers: Answers = defaultdict(list)
    known = {command.pk: command.last_sequence_number for command in commands}
    log = Event.objects.filter(command__in=commands).exclude(kind=Kind.ERROR)
    for event in log.order_by("command", "sequence_number"):
        if event.sequence_number > known[event.command_id]:
            continue
        if event.kind == Kind.RESPONSE:
            answers[event.command_id].append(event.payload["response"])
        elif event.payload["status"] == Status.IN_PROGRESS:  # those before it do not count
            answers[event.command_id] = []
    return [_row(command, answers[command.pk]) for command in commands]


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


def _as_csv(rows: list[Row]) -> str:
    text = StringIO()
    csv.writer(text).writerows([_cell(row[column]) for column in COLUMNS] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return FORMULA.sub("'", value)
    if isinstance(value, dict | list):
        return _json(value).replace(";", r"\u003b")  # it stands in strings only: the same JSON
    return value


def _as_json_lines(rows: list[Row]) -> str:
    return "".join(f"{_json(row)}\n" for row in rows)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


KINDS = {
    "csv": (
        "text/csv; charset=utf-8",
        _as_csv([dict(zip(COLUMNS, COLUMNS, strict=True))]),
        _as_csv,
    ),
    "jsonl": ("application/jsonl", "", _as_json_lines),
}
