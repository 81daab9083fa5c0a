"""The load: for each vehicle one command after the other, followed from its first to its last
event by one who stays, and looked at by visitors who come and go."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from redis.asyncio import Redis
from redis.exceptions import RedisError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from dev.chaos.load import ASK_SECONDS, ENDED, Car, Clients, Order
from dev.chaos.processes import Processes
from dev.soak.wanted import QUEUE, Wanted

BATCH = 100  # events at once, which is what the queue of one stream holds
SILENT_SECONDS = 60.0
MOST_FRAMES = 10  # of a visit
MOST_BACK = 20  # events that a visitor has missed
MOST_PATIENCE = 0.2  # seconds
FINISHED, UNAUTHENTICATED = 1000, 4401


class Broken(Exception):
    """A stream that is not what was promised."""


FAILURES = (Broken, WebSocketException, RedisError, OSError, TimeoutError)


@dataclass(frozen=True)
class Size:
    commands: int
    events: int
    """Of each command."""
    visits: int
    """To each command, besides the one who follows it."""


def targets(events: int) -> list[int]:
    """Where the log of a command stands after each batch."""
    number = -(-events // BATCH)
    return [events * n // number for n in range(1, number + 1)]


def opened(url: str) -> connect:
    """Without an end to its queue: who stops reading cannot take leave, and holds the socket."""
    return connect(url, proxy=None, open_timeout=ASK_SECONDS, max_queue=None, ping_interval=None)


class Place:
    """One subscriber's place in a log of which it must get every event once and in turn."""

    def __init__(self, command_id: str, position: int, end: int) -> None:
        self.command_id = command_id
        self.position = position
        self.end = end

    @property
    def is_at_end(self) -> bool:
        return self.position == self.end

    async def read_until(self, socket: ClientConnection, up_to: int) -> None:
        try:
            while self.position < min(up_to, self.end):
                self._take(json.loads(await socket.recv()))
        except ConnectionClosed as closed:
            raise self._broken(str(closed)) from closed

    def _take(self, frame: dict[str, object]) -> None:
        is_next = frame["sequence_number"] == self.position + 1
        is_last = frame.get("status") in ENDED
        if not is_next or is_last != (self.position + 1 == self.end):
            raise self._broken(f"got {frame}")
        self.position += 1

    async def closed(self, socket: ClientConnection) -> None:
        await socket.wait_closed()
        if socket.close_code != FINISHED:
            raise self._broken(f"closed with {socket.close_code}")

    def _broken(self, what: str) -> Broken:
        return Broken(f"{self.command_id}, after event {self.position} of {self.end}: {what}")


class Soak:
    def __init__(
        self, processes: Processes, clients: Clients, size: Size, on_batch: Callable[[], None]
    ) -> None:
        self.events = 0
        self.connects = 0
        self._clients = clients
        self._size = size
        self._on_batch = on_batch
        self._address = processes.url(processes.web[0]).replace("http", "ws", 1)
        self._producer = Redis.from_url(processes.servers.valkey.url)
        self._orders = iter(range(size.commands))

    async def run(self, cars: Sequence[Car]) -> None:
        async with self._producer, asyncio.TaskGroup() as lanes:
            for car in cars:
                lanes.create_task(self._lane(car))

    async def _lane(self, car: Car) -> None:
        for number in self._orders:
            params = {"ecuAddress": "0x10", "dataId": f"0x{number:04X}"}
            command_id = await self._clients.submit(Order(car, "ReadDataByID", params, None))
            async with asyncio.TaskGroup() as visits:
                await self._follow(command_id, visits)

    async def _follow(self, command_id: str, visits: asyncio.TaskGroup) -> None:
        place = Place(command_id, 0, self._size.events)
        guests = self._guests()
        async with opened(self._url(command_id)) as socket:
            self.connects += 1
            for up_to in targets(self._size.events):
                self._invite(next(guests), place, visits)
                await self._read_batch(socket, place, up_to)
            async with asyncio.timeout(SILENT_SECONDS):
                await place.closed(socket)
        self._invite(next(guests), place, visits)

    async def _read_batch(self, socket: ClientConnection, place: Place, up_to: int) -> None:
        before = place.position
        wanted = Wanted(place.command_id, up_to, up_to == place.end)
        await self._producer.rpush(QUEUE, wanted.encode())
        async with asyncio.timeout(SILENT_SECONDS):
            await place.read_until(socket, up_to)
        self.events += place.position - before
        self._on_batch()

    # --- Visitors

    def _guests(self) -> Iterator[int]:
        """How many come before each batch, and after the last."""
        moments = len(targets(self._size.events)) + 1
        shares = [self._size.visits * n // moments for n in range(moments + 1)]
        return (after - before for before, after in pairwise(shares))

    def _invite(self, number: int, place: Place, visits: asyncio.TaskGroup) -> None:
        for _ in range(number):
            visits.create_task(self._visit(place.command_id, place.position))

    async def _visit(self, command_id: str, position: int) -> None:
        chance = random.random()  # noqa: S311
        async with asyncio.timeout(SILENT_SECONDS):
            if chance < 0.05:
                await self._come_with_a_wrong_token(command_id)
            elif chance < 0.1:
                await self._give_up(command_id)
            elif chance < 0.13:
                await self._come_and_go(command_id, 0)
            else:
                back = random.randrange(MOST_BACK)  # noqa: S311
                await self._come_and_go(command_id, max(0, position - back))

    async def _come_and_go(self, command_id: str, after: int) -> None:
        """Reads a little, and leaves with or without a word, unless the log ends before."""
        place = Place(command_id, after, self._size.events)
        async with opened(f"{self._url(command_id)}&after={after}") as socket:
            self.connects += 1
            await place.read_until(socket, after + random.randint(1, MOST_FRAMES))  # noqa: S311
            if place.is_at_end:
                await place.closed(socket)
            elif random.random() < 0.5:  # noqa: S311
                socket.transport.abort()

    async def _come_with_a_wrong_token(self, command_id: str) -> None:
        async with opened(f"{self._address}/ws/responses/{command_id}?token=wrong") as socket:
            self.connects += 1
            await socket.wait_closed()
        if socket.close_code != UNAUTHENTICATED:
            raise Broken(f"{command_id}: a wrong token was answered with {socket.close_code}")

    async def _give_up(self, command_id: str) -> None:
        """Goes before it was let in, or just then."""
        self.connects += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0, MOST_PATIENCE)):  # noqa: S311
                async with opened(self._url(command_id)):
                    pass

    def _url(self, command_id: str) -> str:
        return f"{self._address}/ws/responses/{command_id}?token={quote(self._clients.token)}"
