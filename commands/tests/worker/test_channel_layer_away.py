"""A worker while the channel layer is away."""

import asyncio
from typing import Any

from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from commands.database.threads import in_thread
from commands.tests.worker.background import working
from commands.tests.worker.bench import Bench, has_status
from conftest import follow, log_of, read_all, submit, token_of, until, worker_of
from dev.servers import Valkey
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle


async def test_a_worker_needs_no_channel_layer(
    operator: User, vehicle: Vehicle, settings: Settings
) -> None:
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    away = {"BACKEND": backend, "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]}}
    settings.CHANNEL_LAYERS = {"default": away}
    settings.STREAM_POLL_SECONDS = 0.1
    async with working(worker_of(MockConnector())):
        command = await in_thread(submit, operator, vehicle)
        frames, code = await read_all(command, operator)
    assert (frames, code) == (await in_thread(log_of, operator, command), 1000)


async def test_a_worker_goes_on_when_redis_dies_and_comes_back(
    operator: User, vehicle: Vehicle, settings: Settings, tmp_path: Any
) -> None:
    """A real server is killed while a subscriber waits: no event is missed."""
    valkey = Valkey(tmp_path)
    await asyncio.to_thread(valkey.start)
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    here = {"BACKEND": backend, "CONFIG": {"hosts": [valkey.url]}}
    settings.CHANNEL_LAYERS = {"default": here}
    settings.STREAM_POLL_SECONDS = 0.1
    try:
        bench = Bench()
        async with working(worker_of(bench)):
            command = await in_thread(submit, operator, vehicle)
            async with follow(command.pk, token_of(operator)) as stream:
                first = await stream.frame()
                await asyncio.to_thread(valkey.kill)
                await until(lambda: bench.running)
                bench.go.set()
                await until(lambda: has_status(command, "completed"))
                await asyncio.to_thread(valkey.start)
                frames, code = await stream.rest()
        assert ([first, *frames], code) == (await in_thread(log_of, operator, command), 1000)
    finally:
        await asyncio.to_thread(valkey.stop)
