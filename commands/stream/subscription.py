"""One subscriber's position in the log of one command."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseError

from commands.backoff import jittered
from commands.database.compiled import Compiled, columns, loaded
from commands.database.threads import in_thread
from commands.events import Line, line_of
from commands.metrics import counters
from commands.models import Event
from commands.stream.protocol import Refusal

logger = logging.getLogger(__name__)

QUEUE_LINES = 100  # in memory for a slow client; beyond, it catches up from the log
PAGE_LINES = 150  # of one read of the log, which is all that a client that does not read costs
RETRY_SECONDS = 1.0

Push = Callable[[str], bool]  # sends a text at once; False if the socket has no room or is closed


class Subscription:
    """Every line after `position` once and in order: clear the wake-up, read the log, then wait.

    An offered line is a hint. The next line in turn is passed on as it is, one that was sent is
    dropped, and a gap or a full queue leads back to the log. While all has been sent, the next line
    is pushed: to wake a task for it costs more than to send it.
    """

    def __init__(self, command_id: UUID, after: int) -> None:
        self.command_id = command_id
        self.position = after
        self.is_behind = True
        self.push: Push | None = None
        self._is_idle = False  # everything was sent, and `next_lines()` waits
        self._queue: list[Line] = []
        self._wake = asyncio.Event()
        self._refusal: Refusal | None = None

    @property
    def newest(self) -> int:
        """The number of the last line that arrived here, handed out or not."""
        return self._queue[-1].sequence_number if self._queue else self.position

    def offer(self, line: Line) -> bool:
        """Return whether the line was pushed. If not, `next_lines()` returns it, or the log."""
        if self._is_idle and line.sequence_number == self.position + 1 and self._has_pushed(line):
            self.position += 1
            return True
        if len(self._queue) < QUEUE_LINES:
            self._queue.append(line)
            self._ring()
        else:
            counters.stream_frames_dropped.inc()
            self.fall_behind()
        return False

    def _has_pushed(self, line: Line) -> bool:
        return self.push is not None and not line.is_terminal and self.push(line.text)

    def fall_behind(self) -> None:
        counters.stream_frames_dropped.inc(len(self._queue))
        self._queue.clear()
        self.is_behind = True
        self._ring()

    def end(self, refusal: Refusal) -> None:
        """Let `next_lines()` raise this."""
        self._refusal = refusal
        self._ring()

    def _ring(self) -> None:
        self._is_idle = False
        self._wake.set()

    async def next_lines(self) -> list[Line]:
        """Return at least one line, as soon as there is one. Raise Refusal."""
        while True:
            self._wake.clear()
            source = "log" if self.is_behind else "live"
            lines = await self._read_log() if self.is_behind else self._take_queue()
            if self._refusal:
                raise self._refusal
            if lines:
                counters.stream_frames.labels(source).inc(len(lines))
                self.position = lines[-1].sequence_number
                return lines
            if not self.is_behind:
                self._is_idle = not self._wake.is_set()
                await self._wake.wait()

    def _take_queue(self) -> list[Line]:
        """Return the queued lines in turn. At a gap, throw the rest away: the log is read."""
        lines: list[Line] = []
        turn = self.position + 1
        offered, self._queue = self._queue, []
        for line in offered:
            if line.sequence_number == turn:
                lines.append(line)
                turn += 1
            elif line.sequence_number > turn:
                counters.stream_frames_dropped.inc()
                self.fall_behind()
                break
        return lines

    async def _read_log(self) -> list[Line]:
        """Return the next page, however long the database is away."""
        while True:
            self.is_behind = False  # before the read, during which a line may be missed
            try:
                page = await in_thread(read_log, self.command_id, self.position)
            except DatabaseError as error:
                logger.warning("The log cannot be read (%s)", str(error).strip())
                await asyncio.sleep(jittered(RETRY_SECONDS))
            else:
                self.is_behind |= len(page) == PAGE_LINES
                return page


def _page(command_id: UUID, after: int) -> Any:
    log = Event.objects.filter(command_id=command_id).after(after)
    return log.values_list(*columns(Event))[:PAGE_LINES]


_log = Compiled(_page, UUID, int)


def read_log(command_id: UUID, after: int) -> list[Line]:
    return [line_of(loaded(Event, row)) for row in _log.rows(command_id, after)]
