"""Servers of the tests: a silent fallback is a failure, not a skip."""

import asyncio

import pytest
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.db import connection
from redis import Redis


def test_the_tests_run_on_postgres_and_redis(transactional_db: None) -> None:
    assert connection.vendor == "postgresql"
    assert connection.settings_dict["OPTIONS"]["pool"]
    with Redis.from_url(settings.REDIS_URL) as redis:
        assert redis.ping()
    assert isinstance(get_channel_layer(), RedisPubSubChannelLayer)


@pytest.mark.embedded
def test_a_commit_is_on_disk_before_it_is_answered(transactional_db: None) -> None:
    """A power loss takes back no answered request, by the databases' defaults or ours."""
    question = "PRAGMA synchronous" if settings.EMBEDDED else "SHOW synchronous_commit"
    with connection.cursor() as cursor:
        cursor.execute(question)
        assert cursor.fetchone() == ((2,) if settings.EMBEDDED else ("on",))


@pytest.mark.embedded
def test_database_and_channel_layer_are_those_of_the_mode(transactional_db: None) -> None:
    layer = InMemoryChannelLayer if settings.EMBEDDED else RedisPubSubChannelLayer
    assert isinstance(get_channel_layer(), layer)
    assert connection.vendor == ("sqlite" if settings.EMBEDDED else "postgresql")


@pytest.mark.embedded
async def test_a_group_message_really_travels() -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add("travel", channel)
    await layer.group_send("travel", {"type": "hello"})
    async with asyncio.timeout(10):
        assert await layer.receive(channel) == {"type": "hello"}
