"""Yardsticks of streams: a Channels consumer that only accepts, and a bare broadcast.

`application` is the consumer, for daphne and for dev/bench/served.py. `python -m dev.bench.bare
PORT` broadcasts: a client that asks for /SIZE/COUNT/PAUSE lets all others get so many messages.
"""

import asyncio
import sys
from datetime import UTC, datetime

from channels.generic.websocket import AsyncWebsocketConsumer
from websockets.asyncio.server import ServerConnection, broadcast, serve


class Consumer(AsyncWebsocketConsumer):
    channel_layer_alias = "none"


application = Consumer.as_asgi()
open_sockets: set[ServerConnection] = set()


async def handle(socket: ServerConnection) -> None:
    _, *order = (socket.request.path if socket.request else "/").split("/")
    if len(order) == 3:
        await send(int(order[0]), int(order[1]), float(order[2]))
    else:
        open_sockets.add(socket)
        await socket.wait_closed()
        open_sockets.discard(socket)


async def send(size: int, count: int, pause: float) -> None:
    for _ in range(count):
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        broadcast(open_sockets, f'{{"timestamp":"{now}","padding":"'.ljust(size - 2, "x") + '"}')
        await asyncio.sleep(pause)


async def main() -> None:
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
