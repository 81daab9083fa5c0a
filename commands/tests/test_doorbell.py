"""The doorbell: hints that arrive in order, and a layer that may be away on either side."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from commands.doorbell import Bell, Listener
from conftest import until
from dev.servers import Valkey


@pytest.fixture
async def valkey(settings: Settings, tmp_path: Path) -> AsyncIterator[Valkey]:
    """One of its own, not yet started."""
    server = Valkey(tmp_path)
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {"hosts": [server.url]}}}
    yield server
    await asyncio.to_thread(server.stop)


@pytest.fixture
async def heard() -> AsyncIterator[list[Any]]:
    """What a listener in the group `bells` hears."""
    messages: list[Any] = []

    def on_message(message: Mapping[str, Any]) -> None:
        if message["n"] == "broken":
            raise ValueError("a message that cannot be read")
        messages.append(message["n"])

    listener = Listener(on_message)
    messages.append(listener.join("bells"))
    yield messages
    await listener.close()


async def joined(heard: list[Any]) -> None:
    await asyncio.wait_for(heard.pop(0), 30)


async def test_in_the_order_they_were_rung_from_any_thread(heard: list[Any]) -> None:
    await joined(heard)
    bell = Bell()
    bell.attach()

    def ring() -> None:
        for n in range(200):
            bell.ring("bells", {"n": n})

    await asyncio.to_thread(ring)
    await until(lambda: len(heard) == 200)
    assert heard == list(range(200))


async def test_without_a_loop_it_makes_its_own(heard: list[Any]) -> None:
    await joined(heard)
    bell = Bell()
    bell.ring("bells", {"n": 1})
    await until(lambda: heard == [1])


async def test_a_message_that_breaks_the_reader_does_not_end_it(
    heard: list[Any], caplog: Any
) -> None:
    await joined(heard)
    bell = Bell()
    bell.attach()
    bell.ring("bells", {"n": "broken"})
    bell.ring("bells", {"n": 2})
    await until(lambda: heard == [2])
    assert "not understood" in caplog.text


async def test_a_layer_that_is_away(valkey: Valkey, heard: list[Any], caplog: Any) -> None:
    """Ringing fails nobody and is told once; who wants to listen does so when it is back."""
    bell = Bell()
    bell.attach()
    for n in range(3):
        bell.ring("bells", {"n": n})
        await until(lambda: "takes no messages" in caplog.text)
    assert caplog.text.count("takes no messages") == 1
    await asyncio.to_thread(valkey.start)
    await joined(heard)
    bell.ring("bells", {"n": 3})
    await until(lambda: heard == [3])
    assert "takes messages again" in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


async def test_leaving_and_coming_back(heard: list[Any]) -> None:
    await joined(heard)
    bell, listener = Bell(), Listener(lambda message: heard.append(message["n"]))
    bell.attach()
    await asyncio.wait_for(listener.join("others"), 30)
    listener.leave("others")
    await asyncio.wait_for(listener.join("others"), 30)
    bell.ring("others", {"n": "back"})
    await until(lambda: heard == ["back"])
    listener.leave("others")
    await listener.close()
