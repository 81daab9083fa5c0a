"""The doorbell between processes: group messages of the channel layer, which carry hints only.

Ringing never delays and never fails its caller. Listening survives whatever the layer does. What
is lost meanwhile is found in the database by those who poll it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from channels.layers import get_channel_layer

from commands import metrics
from commands.jitter import jittered

logger = logging.getLogger(__name__)

WORKERS = "workers"  # the group that hears of new and of cancelled commands

RING_SECONDS = 1.0
RETRY_SECONDS = 1.0  # as the layer itself: in step with it, both would fail again and again


class Bell:
    """Sends group messages in the order they were rung, from any thread, on one event loop.

    The loop is the one that this process runs anyway: the in-memory layer wakes no reader of
    another loop, and the Redis layer keeps a connection for each. Without one, it makes its own.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=10_000)
        self._sending: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._trouble = ""

    def attach(self) -> None:
        """Ring on the running loop from now on."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._sending = loop, None

    def ring(self, group: str, message: Mapping[str, Any]) -> None:
        self._rung.append((group, message))
        with suppress(RuntimeError):  # the loop was closed in between: the process is ending
            self._running_loop().call_soon_threadsafe(self._start)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._loop, self._sending = asyncio.new_event_loop(), None
                threading.Thread(
                    target=self._loop.run_forever, name="doorbell", daemon=True
                ).start()
            return self._loop

    def _start(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        layer = get_channel_layer()
        while self._rung:
            group, message = self._rung.popleft()
            try:
                async with asyncio.timeout(RING_SECONDS):
                    await layer.group_send(group, message)
            except Exception as error:  # noqa: BLE001 - whatever the layer raises, it is a hint
                metrics.group_messages_failed.inc(1 + len(self._rung))
                self._rung.clear()
                self._note(f"The channel layer takes no messages ({error!r})")
            else:
                self._note("")

    def _note(self, trouble: str) -> None:
        """One line when the layer goes away and one when it is back."""
        if bool(trouble) != bool(self._trouble):
            logger.warning(trouble or "The channel layer takes messages again")
        self._trouble = trouble


bell = Bell()


class Listener:
    """One channel of the layer in any number of groups, for the lifetime of one event loop."""

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_message = on_message
        self._layer = get_channel_layer()
        self._channel: str | None = None
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._joined: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._keep_groups())]

    def join(self, group: str) -> asyncio.Future[None]:
        """The future is done once messages to the group arrive here; it may take for ever."""
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
            except Exception as error:  # noqa: BLE001 - a layer that is away must not end us
                logger.warning("The channel layer takes no subscriptions (%r)", error)
                await asyncio.sleep(jittered(RETRY_SECONDS))

    async def _catch_up(self) -> None:
        if self._channel is None:
            channel = await self._layer.new_channel()
            _heed_cancellation()
            self._channel = channel
            self._tasks.append(asyncio.create_task(self._receive(self._channel)))
        for group in [group for group in self._wanted if group not in self._joined]:
            await self._layer.group_add(group, self._channel)
            _heed_cancellation()
            self._joined.add(group)
        for group in self._joined - self._wanted.keys():
            self._joined.discard(group)  # first: if the layer fails, a rejoin must ask again
            await self._layer.group_discard(group, self._channel)
        self._tell_joined()

    def _tell_joined(self) -> None:
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


def _heed_cancellation() -> None:
    """redis-py swallows a cancellation that meets it while it connects."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
