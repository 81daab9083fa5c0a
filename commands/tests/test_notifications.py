"""Notifications: hints that arrive in order, and a layer that may be away on either side."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from channels.layers import get_channel_layer
from pytest_django.fixtures import Settings

from commands.notifications import Listener, Publisher
from conftest import WAIT_SECONDS, until
from dev.servers import Valkey


@pytest.fixture
async def valkey(settings: Settings, tmp_path: Path) -> AsyncIterator[Valkey]:
    """Return a publisher that has not started."""
    server = Valkey(tmp_path)
    backend = "commands.channel_layer.PubSubLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {"hosts": [server.url]}}}
    yield server
    await asyncio.to_thread(server.stop)


@pytest.fixture
async def heard() -> AsyncIterator[list[Any]]:
    """Collect the messages to a listener in the group `hints`."""
    messages: list[Any] = []

    def on_message(message: Mapping[str, Any]) -> None:
        if message["n"] == "broken":
            raise ValueError("a message that cannot be read")
        messages.append(message["n"])

    listener = Listener(on_message)
    messages.append(listener.join("hints"))
    yield messages
    await listener.close()


async def joined(heard: list[Any]) -> None:
    await asyncio.wait_for(heard.pop(0), 30)


async def test_messages_arrive_in_the_order_of_publishing_from_any_thread(heard: list[Any]) -> None:
    await joined(heard)
    publisher = Publisher()
    publisher.attach()

    def publish_many() -> None:
        for n in range(200):
            publisher.publish("hints", {"n": n})

    await asyncio.to_thread(publish_many)
    await until(lambda: len(heard) == 200)
    assert heard == list(range(200))


async def test_a_loop_that_is_faster_than_the_publishing_thread_gets_the_next_message(
    heard: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await joined(heard)
    publisher, loop = Publisher(), asyncio.get_running_loop()
    publisher.attach()
    call_soon = loop.call_soon_threadsafe

    def call_and_wait(callback: Any, *arguments: Any, **options: Any) -> Any:
        called = call_soon(callback, *arguments, **options)
        if callback == publisher._start:
            has_run = threading.Event()
            call_soon(has_run.set)
            has_run.wait(WAIT_SECONDS)
        return called

    monkeypatch.setattr(loop, "call_soon_threadsafe", call_and_wait)
    for n in (1, 2):
        await asyncio.to_thread(publisher.publish, "hints", {"n": n})
        await until(partial(heard.__contains__, n))


async def test_a_publisher_without_a_loop_makes_its_own(heard: list[Any]) -> None:
    await joined(heard)
    publisher = Publisher()
    publisher.publish("hints", {"n": 1})
    await until(lambda: heard == [1])


async def test_a_message_that_breaks_the_reader_does_not_end_it(
    heard: list[Any], caplog: Any
) -> None:
    await joined(heard)
    publisher = Publisher()
    publisher.attach()
    publisher.publish("hints", {"n": "broken"})
    publisher.publish("hints", {"n": 2})
    await until(lambda: heard == [2])
    assert "not understood" in caplog.text


async def test_a_layer_that_is_away_stops_neither_side(
    valkey: Valkey, heard: list[Any], caplog: Any
) -> None:
    """Publishing never fails, and is logged once; listeners are back when the layer is."""
    publisher = Publisher()
    publisher.attach()
    for n in range(3):
        publisher.publish("hints", {"n": n})
        await until(lambda: "takes no messages" in caplog.text)
    assert caplog.text.count("takes no messages") == 1
    await asyncio.to_thread(valkey.start)
    await joined(heard)
    publisher.publish("hints", {"n": 3})
    await until(lambda: heard == [3])
    assert "takes messages again" in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_group_that_was_left_can_be_joined_again(heard: list[Any]) -> None:
    await joined(heard)
    publisher, listener = Publisher(), Listener(lambda message: heard.append(message["n"]))
    publisher.attach()
    await asyncio.wait_for(listener.join("others"), 30)
    listener.leave("others")
    await asyncio.wait_for(listener.join("others"), 30)
    publisher.publish("others", {"n": "back"})
    await until(lambda: heard == ["back"])
    listener.leave("others")
    await listener.close()


# --- The layer of the embedded mode


@pytest.fixture
def in_memory(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": settings.IN_MEMORY_LAYER}


async def test_a_membership_outlives_a_day(in_memory: None, heard: list[Any]) -> None:
    await joined(heard)
    layer: Any = get_channel_layer()
    for members in layer.groups.values():
        for channel in members:
            members[channel] -= timedelta(days=2).total_seconds()
    publisher = Publisher()
    publisher.attach()
    publisher.publish("hints", {"n": 1})
    await until(lambda: heard == [1])


async def test_a_membership_outlives_an_hour_in_which_the_process_was_suspended(
    in_memory: None, heard: list[Any]
) -> None:
    """The message had arrived before, on a laptop that then slept."""
    await joined(heard)
    layer: Any = get_channel_layer()
    (queue,) = layer.channels.values()
    queue.put_nowait((time.time() + layer.expiry - 3600, {"n": 1}))
    await layer.group_send("hints", {"n": 2})
    await until(lambda: heard == [1, 2])
