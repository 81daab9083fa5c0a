"""The connection manager: one for each process, between the notifications and the open streams."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError

from commands.backoff import jittered
from commands.database.threads import in_thread
from commands.events import Line, group_of, line_of, read_message
from commands.metrics import counters
from commands.models import Command, Event
from commands.notifications import Listener
from commands.stream.protocol import Close, Refusal
from commands.stream.request import StreamRequest
from commands.stream.rights import Reader, refusals
from commands.stream.subscription import Subscription

logger = logging.getLogger(__name__)

JOIN_SECONDS = 1.0  # how long a stream waits for its group before it relies on the poll
RIGHTS_CHECK_SECONDS = 3.0
POLL_LINES = 5_000  # in one poll; the next one brings more
LIVE = counters.stream_frames.labels("live")


class Connections:
    """The open streams of this process by command, in one membership of the group per command."""

    _current: "Connections | None" = None

    @classmethod
    def of_this_process(cls) -> "Connections":
        loop = asyncio.get_running_loop()
        if cls._current is None or cls._current._loop is not loop:
            cls._current = cls(loop)
        return cls._current

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._streams: defaultdict[UUID, set[Subscription]] = defaultdict(set)
        self._readers: dict[Subscription, Reader] = {}
        self._open: Counter[int] = Counter()  # streams by user
        self._listener = Listener(self._on_message)
        self._tasks = [
            asyncio.create_task(self._repeat(self.poll_missed, settings.STREAM_POLL_SECONDS)),
            asyncio.create_task(self._repeat(self.check_rights, RIGHTS_CHECK_SECONDS)),
        ]

    @contextmanager
    def slot(self, user_id: int) -> Iterator[None]:
        """Count one stream of this user. Raise Refusal if that is one too many."""
        if self._open.total() >= settings.STREAMS_PER_PROCESS:
            message = "This server is full. Connect again in a while."
            raise Refusal(Close.TOO_MANY_STREAMS, message)
        if self._open[user_id] >= settings.STREAMS_PER_USER:
            message = "You have too many streams open. Close one first."
            raise Refusal(Close.TOO_MANY_STREAMS, message)
        self._open[user_id] += 1
        try:
            yield
        finally:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]

    @asynccontextmanager
    async def subscribed(self, request: StreamRequest) -> AsyncIterator[Subscription]:
        """Subscribe first. The log is read afterwards, and again if the group is joined late."""
        subscription = request.subscription
        streams = self._streams[subscription.command_id]
        streams.add(subscription)
        self._readers[subscription] = request.reader
        try:
            await self._join(subscription)
            yield subscription
        finally:
            streams.discard(subscription)
            del self._readers[subscription]
            if not streams:
                del self._streams[subscription.command_id]
                self._listener.leave(group_of(subscription.command_id))

    async def _join(self, subscription: Subscription) -> None:
        joined = self._listener.join(group_of(subscription.command_id))
        done, _ = await asyncio.wait([joined], timeout=JOIN_SECONDS)
        if not done:
            joined.add_done_callback(lambda _: subscription.fall_behind())

    def _on_message(self, message: Mapping[str, Any]) -> None:
        try:
            command_id, line = read_message(message)
        except (ValueError, KeyError, TypeError) as problem:
            logger.warning("Ignored a group message: %r", problem)
        else:
            self._offer(command_id, line)

    def _offer(self, command_id: UUID, line: Line) -> None:
        if streams := self._streams.get(command_id):
            counters.stream_delivery.observe(max(0, time() - line.created_at.timestamp()))
            if pushed := sum([stream.offer(line) for stream in streams]):
                LIVE.inc(pushed)

    # --- What no notification brought

    async def poll_missed(self) -> None:
        """Offer missed events to the open streams: one query for all that are up to date."""
        known = self._positions()
        missed, too_many = await in_thread(missed_lines, known) if known else ([], set())
        for command_id, line in missed:
            self._offer(command_id, line)
        for command_id in too_many:
            for stream in self._streams.get(command_id, ()):
                stream.fall_behind()

    def _positions(self) -> dict[UUID, int]:
        """Return, by command, the last line that its streams have. Others read the log."""
        return {
            command_id: min(stream.newest for stream in waiting)
            for command_id, streams in self._streams.items()
            if (waiting := [stream for stream in streams if not stream.is_behind])
        }

    async def check_rights(self) -> None:
        """End the streams whose users may no longer read them."""
        readers = dict(self._readers)
        refused = await in_thread(refusals, readers.values()) if readers else {}
        for subscription, reader in readers.items():
            if reader in refused:
                subscription.end(refused[reader])

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await asyncio.sleep(jittered(seconds))
            try:
                await work()
            except DatabaseError as error:
                logger.warning("The database does not answer (%s)", str(error).strip())
            except Exception:
                logger.exception("A check of the open streams failed")


def missed_lines(known: dict[UUID, int]) -> tuple[list[tuple[UUID, Line]], set[UUID]]:
    """Return the lines of these commands beyond the known ones, in order.

    If there are more than a poll may bring, return the commands only: their streams read the log
    by themselves.
    """
    heads = Command.objects.filter(pk__in=known).values_list("pk", "last_sequence_number")
    late = {pk: known[pk] for pk, last in heads if last > known[pk]}
    if not late:
        return [], set()
    log = list(Event.objects.filter(command_id__in=late).after(min(late.values()))[:POLL_LINES])
    if len(log) == POLL_LINES:
        return [], set(late)
    missed = [event for event in log if event.sequence_number > late[event.command_id]]
    return [(event.command_id, line_of(event)) for event in missed], set()
