"""The channel layer over Redis, which sends many group messages by one round trip."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

Message = tuple[str, Mapping[str, Any]]  # to a group


class PubSubLayer(RedisPubSubChannelLayer):
    """Layer of `channels_redis`, whose `group_send` waits for one response for each message."""

    async def groups_send(self, messages: Sequence[Message]) -> None:
        layer = self._get_layer()
        by_shard: defaultdict[Any, list[tuple[str, bytes]]] = defaultdict(list)
        for group, message in messages:
            channel = layer._get_group_channel_name(group)
            by_shard[layer._get_shard(channel)].append((channel, self.serialize(message)))
        for shard, published in by_shard.items():
            async with shard._lock:
                shard._ensure_redis()
                pipeline = shard._redis.pipeline(transaction=False)
                for channel, data in published:
                    pipeline.publish(channel, data)
                await pipeline.execute()
