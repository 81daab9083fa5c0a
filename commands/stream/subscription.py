"""One subscriber's place in the log of one command."""

import asyncio
import logging
from collections import deque
from uuid import UUID

from django.db import Error as DatabaseError

from commands import metrics
from commands.events import Line, line_of
from commands.jitter import jittered
from commands.models import Event
from commands.threads import in_thread

logger = logging.getLogger(__name__)

QUEUE_LINES = 100  # what a slow client may hold in memory; beyond, it catches up from the log
PAGE_LINES = 500  # what one read of the log brings
RETRY_SECONDS = 1.0


class Revoked(Exception):
    """The subscriber may no longer read."""


class Subscription:
    """Every line after `position` once and in order: clear the bell, read the log, then wait.

    What is offered is a hint. The next line in turn is passed on as it is, one that was seen is
    dropped, and a gap or a full queue leads back to the log.
    """

    def __init__(self, command_id: UUID, user_id: int, after: int) -> None:
        self.command_id = command_id
        self.user_id = user_id
        self.position = after
        self.is_behind = True
        self._queue: deque[Line] = deque()
        self._bell = asyncio.Event()
        self._is_revoked = False

    @property
    def newest(self) -> int:
        """The last line that arrived here, handed out or not."""
        return self._queue[-1].sequence_number if self._queue else self.position

    def offer(self, line: Line) -> None:
        if len(self._queue) < QUEUE_LINES:
            self._queue.append(line)
            self._bell.set()
        else:
            metrics.stream_frames_dropped.inc()
            self.fall_behind()

    def fall_behind(self) -> None:
        metrics.stream_frames_dropped.inc(len(self._queue))
        self._queue.clear()
        self.is_behind = True
        self._bell.set()

    def revoke(self) -> None:
        self._is_revoked = True
        self._bell.set()

    async def next_lines(self) -> list[Line]:
        """At least one line, as soon as there is one. Raises Revoked."""
        while True:
            self._bell.clear()
            source = "log" if self.is_behind else "live"
            lines = await self._read_log() if self.is_behind else self._take_queue()
            if self._is_revoked:
                raise Revoked
            if lines:
                metrics.stream_frames.labels(source).inc(len(lines))
                self.position = lines[-1].sequence_number
                return lines
            if not self.is_behind:
                await self._bell.wait()

    def _take_queue(self) -> list[Line]:
        """What is queued and in turn. At a gap the queue is worth nothing: the log is read."""
        lines: list[Line] = []
        turn = self.position + 1
        while self._queue:
            line = self._queue.popleft()
            if line.sequence_number == turn:
                lines.append(line)
                turn += 1
            elif line.sequence_number > turn:
                metrics.stream_frames_dropped.inc()
                self.fall_behind()
        return lines

    async def _read_log(self) -> list[Line]:
        """The next page, however long the database is away."""
        while True:
            self.is_behind = False  # before the read: what is missed from here on counts again
            try:
                page = await in_thread(read_log, self.command_id, self.position)
            except DatabaseError as error:
                logger.warning("The log cannot be read (%s)", str(error).strip())
                await asyncio.sleep(jittered(RETRY_SECONDS))
            else:
                self.is_behind |= len(page) == PAGE_LINES
                return page


def read_log(command_id: UUID, after: int) -> list[Line]:
    log = Event.objects.filter(command_id=command_id).after(after)
    return [line_of(event) for event in log[:PAGE_LINES]]
