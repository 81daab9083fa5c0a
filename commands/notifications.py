"""Notifications between processes: group messages of the channel layer, which are hints only.

Publishing never delays its caller and never fails. Listening survives every failure of the layer.
Workers and streams also poll the database, and so find the changes of which a message was lost.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from channels.layers import get_channel_layer
from django.db import transaction

from commands.backoff import jittered
from commands.channel_layer import Message, PubSubLayer
from commands.metrics import counters

logger = logging.getLogger(__name__)

WORKERS = "workers"  # the group that gets a message for new and for cancelled commands

AT_ONCE = 1_000  # messages of one round trip
PUBLISH_SECONDS = 1.0
RETRY_SECONDS = 1.0  # jittered: the layer also retries after one second, and both would collide


class Publisher:
    """Publisher of group messages, in the order of the calls, from any thread, on one event loop.

    The loop is the one that this process runs anyway, if it runs one: the in-memory layer wakes no
    reader of another loop, and the Redis layer keeps one connection for each loop.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: deque[Message] = deque(maxlen=10_000)
        self._sending: asyncio.Task[None] | None = None
        self._is_called = False  # the loop, to look at the queue
        self._lock = threading.Lock()
        self._trouble = ""

    def attach(self) -> None:
        """Publish on the running loop from now on."""
        with self._lock:
            loop = asyncio.get_running_loop()
            if loop is not self._loop:
                self._use(loop)

    def _use(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._sending, self._is_called = loop, None, False

    def publish(self, group: str, message: Mapping[str, Any]) -> None:
        self._queue.append((group, message))
        with suppress(RuntimeError), self._lock:  # the loop was just closed: the process is ending
            loop = self._running_loop()
            if not self._is_called:
                self._is_called = True  # first: the loop may be faster than this thread
                loop.call_soon_threadsafe(self._start)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            loop = asyncio.new_event_loop()
            self._use(loop)
            threading.Thread(target=loop.run_forever, name="notifications", daemon=True).start()
            return loop
        return self._loop

    def _start(self) -> None:
        self._is_called = False  # first: a message that comes now calls again
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        while self._queue:
            messages = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
            try:
                async with asyncio.timeout(PUBLISH_SECONDS):
                    await _send_all(messages)
            except Exception as error:  # noqa: BLE001 - a lost message is no error: it is a hint
                counters.group_messages_failed.inc(len(messages) + len(self._queue))
                self._queue.clear()
                self._log_change(f"The channel layer takes no messages ({error!r})")
            else:
                self._log_change("")

    def _log_change(self, trouble: str) -> None:
        """Log one line when the layer goes away, and one when it is back."""
        if bool(trouble) != bool(self._trouble):
            logger.warning(trouble or "The channel layer takes messages again")
        self._trouble = trouble


async def _send_all(messages: list[Message]) -> None:
    layer = get_channel_layer()
    if isinstance(layer, PubSubLayer):
        await layer.groups_send(messages)
        return
    for group, message in messages:
        await layer.group_send(group, message)


publisher = Publisher()


def wake_probes() -> None:
    """Let the workers look for probes that are due, once the transaction is committed."""
    transaction.on_commit(
        lambda: publisher.publish(WORKERS, {"type": "vehicle.probe"}), robust=True
    )


class Listener:
    """Channel of the layer in any number of groups, for the lifetime of one event loop."""

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_message = on_message
        self._layer = get_channel_layer()
        self._channel: str | None = None
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._joined: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._keep_groups())]

    def join(self, group: str) -> asyncio.Future[None]:
        """Return a future that is done once messages to the group arrive here (perhaps never)."""
        self._changed.set()
        if group not in self._wanted:
            self._wanted[group] = asyncio.get_running_loop().create_future()
        return self._wanted[group]

    def leave(self, group: str) -> None:
        self._changed.set()
        joined = self._wanted.pop(group, None)
        if joined:
            joined.cancel()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_groups(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._catch_up()
                await self._changed.wait()
            except Exception as error:  # noqa: BLE001 - try again, whatever the layer raises
                logger.warning("The channel layer takes no subscriptions (%r)", error)
                await asyncio.sleep(jittered(RETRY_SECONDS))

    async def _catch_up(self) -> None:
        if self._channel is None:
            channel = await self._layer.new_channel()
            _raise_if_cancelled()
            self._channel = channel
            self._tasks.append(asyncio.create_task(self._receive(self._channel)))
        for group in [group for group in self._wanted if group not in self._joined]:
            await self._layer.group_add(group, self._channel)
            _raise_if_cancelled()
            self._joined.add(group)
        for group in self._joined - self._wanted.keys():
            self._joined.discard(group)  # first: if the layer fails, a rejoin must ask again
            await self._layer.group_discard(group, self._channel)
            _raise_if_cancelled()
        self._resolve_joined()

    def _resolve_joined(self) -> None:
        for group, joined in self._wanted.items():
            if group in self._joined and not joined.done():
                joined.set_result(None)

    async def _receive(self, channel: str) -> None:
        # No timeout around receive(): its cancellation would end the subscription.
        while True:
            try:
                self._on_message(await self._layer.receive(channel))
            except Exception:
                logger.exception("A message of the channel layer was not understood")
                await asyncio.sleep(jittered(RETRY_SECONDS))


def _raise_if_cancelled() -> None:
    """Raise the cancellation that redis-py swallows while it connects."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
