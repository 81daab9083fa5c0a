"""The connection manager: one per process, between the doorbell and the open streams."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError

from commands import metrics
from commands.doorbell import Listener
from commands.events import Line, group_of, line_of, read_message
from commands.jitter import jittered
from commands.models import Command, Event
from commands.stream.subscription import Subscription
from commands.threads import in_thread

logger = logging.getLogger(__name__)

JOIN_SECONDS = 1.0  # how long a stream waits for its group before it relies on the safety net
USER_CHECK_SECONDS = 30.0
NET_LINES = 5_000  # what one cast of the safety net brings; the next brings more


class TooManyStreams(Exception):
    """Says whose, and what to do."""


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
        self._open: Counter[int] = Counter()  # streams by user
        self._listener = Listener(self._on_message)
        self._tasks = [
            asyncio.create_task(self._repeat(self.cast_net, settings.STREAM_POLL_SECONDS)),
            asyncio.create_task(self._repeat(self.check_users, USER_CHECK_SECONDS)),
        ]

    @contextmanager
    def place(self, user_id: int) -> Iterator[None]:
        """One stream of this user. Raises TooManyStreams."""
        if self._open.total() >= settings.STREAMS_PER_PROCESS:
            raise TooManyStreams("This server is full. Connect again in a while.")
        if self._open[user_id] >= settings.STREAMS_PER_USER:
            raise TooManyStreams("You have too many streams open. Close one first.")
        self._open[user_id] += 1
        try:
            yield
        finally:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]

    @asynccontextmanager
    async def subscribed(self, subscription: Subscription) -> AsyncIterator[Subscription]:
        """Subscribe first; the log is read afterwards, and again if the group is joined late."""
        streams = self._streams[subscription.command_id]
        streams.add(subscription)
        try:
            await self._join(subscription)
            yield subscription
        finally:
            streams.discard(subscription)
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
            metrics.stream_delivery.observe(max(0, time() - line.created_at.timestamp()))
            for stream in streams:
                stream.offer(line)

    # --- What the doorbell lost

    async def cast_net(self) -> None:
        """Offer what the open streams have missed: one query for all that are up to date."""
        known = self._known()
        missed, too_many = await in_thread(missed_lines, known) if known else ([], set())
        for command_id, line in missed:
            self._offer(command_id, line)
        for command_id in too_many:
            for stream in self._streams.get(command_id, ()):
                stream.fall_behind()

    def _known(self) -> dict[UUID, int]:
        """By command, the last line that all of its streams have; what is behind reads itself."""
        return {
            command_id: min(stream.newest for stream in waiting)
            for command_id, streams in self._streams.items()
            if (waiting := [stream for stream in streams if not stream.is_behind])
        }

    async def check_users(self) -> None:
        """Close the streams of users who were deactivated or deleted."""
        streams = [stream for streams in self._streams.values() for stream in streams]
        users = {stream.user_id for stream in streams}
        active = await in_thread(_active, users) if users else users
        for stream in streams:
            if stream.user_id not in active:
                stream.revoke()

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await asyncio.sleep(jittered(seconds))
            try:
                await work()
            except DatabaseError as error:
                logger.warning("The database does not answer (%s)", str(error).strip())
            except Exception:
                logger.exception("The safety net of the streams failed")


def missed_lines(known: dict[UUID, int]) -> tuple[list[tuple[UUID, Line]], set[UUID]]:
    """The lines of these commands beyond what is known of them, in order.

    When they are more than a cast holds, only the commands, whose streams then read themselves.
    """
    heads = Command.objects.filter(pk__in=known).values_list("pk", "last_sequence_number")
    late = {pk: known[pk] for pk, last in heads if last > known[pk]}
    if not late:
        return [], set()
    log = list(Event.objects.filter(command_id__in=late).after(min(late.values()))[:NET_LINES])
    if len(log) == NET_LINES:
        return [], set(late)
    missed = [event for event in log if event.sequence_number > late[event.command_id]]
    return [(event.command_id, line_of(event)) for event in missed], set()


def _active(users: set[int]) -> set[int]:
    active = get_user_model().objects.filter(pk__in=users, is_active=True)
    return set(active.values_list("pk", flat=True))
