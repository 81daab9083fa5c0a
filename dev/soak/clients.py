"""The load: each vehicle gets one command after the other, with a follower and visitors.

The follower stays from the first event to the last; visitors come and go.
"""

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

from dev.clients import ENDED, REQUEST_SECONDS, Clients, Submission, Vehicle
from dev.processes import Installation
from dev.soak.requests import QUEUE, WriteRequest

BATCH = 100  # events at once: the queue of one stream holds as many
SILENT_SECONDS = 60.0
MAX_FRAMES = 10  # of a visit
MAX_MISSED = 20  # events of a visitor
MAX_PATIENCE = 0.2  # seconds
FINISHED, UNAUTHENTICATED = 1000, 4401


class Broken(Exception):
    """A stream that breaks its promise."""


FAILURES = (Broken, WebSocketException, RedisError, OSError, TimeoutError)


@dataclass(frozen=True)
class Size:
    commands: int
    events: int
    """Of each command."""
    visits: int
    """To each command, besides its follower."""


def targets(events: int) -> list[int]:
    """Return the last sequence number of each batch."""
    number = -(-events // BATCH)
    return [events * n // number for n in range(1, number + 1)]


def opened(url: str) -> connect:
    """Open a socket with an unbounded queue: a bounded one could not close while it is full."""
    return connect(
        url, proxy=None, open_timeout=REQUEST_SECONDS, max_queue=None, ping_interval=None
    )


class Position:
    """The position of one subscriber in a log: every event must arrive once and in order."""

    def __init__(self, command_id: str, number: int, end: int) -> None:
        self.command_id = command_id
        self.number = number
        self.end = end

    @property
    def is_at_end(self) -> bool:
        return self.number == self.end

    async def read_until(self, socket: ClientConnection, up_to: int) -> None:
        try:
            while self.number < min(up_to, self.end):
                self._take(json.loads(await socket.recv()))
        except ConnectionClosed as closed:
            raise self._broken(str(closed)) from closed

    def _take(self, frame: dict[str, object]) -> None:
        is_next = frame["sequence_number"] == self.number + 1
        is_last = frame.get("status") in ENDED
        if not is_next or is_last != (self.number + 1 == self.end):
            raise self._broken(f"got {frame}")
        self.number += 1

    async def wait_until_closed(self, socket: ClientConnection) -> None:
        await socket.wait_closed()
        if socket.close_code != FINISHED:
            raise self._broken(f"closed with {socket.close_code}")

    def _broken(self, problem: str) -> Broken:
        return Broken(f"{self.command_id}, after event {self.number} of {self.end}: {problem}")


class Soak:
    def __init__(
        self, product: Installation, clients: Clients, size: Size, on_batch: Callable[[], None]
    ) -> None:
        self.events = 0
        self.connects = 0
        self._clients = clients
        self._size = size
        self._on_batch = on_batch
        self._address = product.url().replace("http", "ws", 1)
        self._producer = Redis.from_url(product.servers.valkey.url)
        self._numbers = iter(range(size.commands))

    async def run(self, vehicles: Sequence[Vehicle]) -> None:
        async with self._producer, asyncio.TaskGroup() as tasks:
            for vehicle in vehicles:
                tasks.create_task(self._submit_to(vehicle))

    async def _submit_to(self, vehicle: Vehicle) -> None:
        for number in self._numbers:
            params = {"ecuAddress": "0x10", "dataId": f"0x{number:04X}"}
            submission = Submission(vehicle, "ReadDataByID", params)
            command_id = await self._clients.submit(submission)
            async with asyncio.TaskGroup() as visits:
                await self._follow(command_id, visits)

    async def _follow(self, command_id: str, visits: asyncio.TaskGroup) -> None:
        position = Position(command_id, 0, self._size.events)
        numbers = self._numbers_of_visitors()
        async with opened(self._url(command_id)) as socket:
            self.connects += 1
            for up_to in targets(self._size.events):
                self._start_visits(next(numbers), position, visits)
                await self._read_batch(socket, position, up_to)
            async with asyncio.timeout(SILENT_SECONDS):
                await position.wait_until_closed(socket)
        self._start_visits(next(numbers), position, visits)

    async def _read_batch(self, socket: ClientConnection, position: Position, up_to: int) -> None:
        before = position.number
        request = WriteRequest(position.command_id, up_to, up_to == position.end)
        await self._producer.rpush(QUEUE, request.encode())
        async with asyncio.timeout(SILENT_SECONDS):
            await position.read_until(socket, up_to)
        self.events += position.number - before
        self._on_batch()

    # --- Visitors

    def _numbers_of_visitors(self) -> Iterator[int]:
        """Yield the number of visitors before each batch, and after the last."""
        moments = len(targets(self._size.events)) + 1
        shares = [self._size.visits * n // moments for n in range(moments + 1)]
        return (after - before for before, after in pairwise(shares))

    def _start_visits(self, number: int, position: Position, visits: asyncio.TaskGroup) -> None:
        for _ in range(number):
            visits.create_task(self._visit(position.command_id, position.number))

    async def _visit(self, command_id: str, newest: int) -> None:
        chance = random.random()
        async with asyncio.timeout(SILENT_SECONDS):
            if chance < 0.05:
                await self._send_a_wrong_token(command_id)
            elif chance < 0.1:
                await self._give_up(command_id)
            elif chance < 0.13:
                await self._read_a_little(command_id, 0)
            else:
                missed = random.randrange(MAX_MISSED)
                await self._read_a_little(command_id, max(0, newest - missed))

    async def _read_a_little(self, command_id: str, after: int) -> None:
        """Read some events, and leave with or without a close frame, unless the log ends before."""
        position = Position(command_id, after, self._size.events)
        async with opened(f"{self._url(command_id)}&after={after}") as socket:
            self.connects += 1
            await position.read_until(socket, after + random.randint(1, MAX_FRAMES))
            if position.is_at_end:
                await position.wait_until_closed(socket)
            elif random.random() < 0.5:
                socket.transport.abort()

    async def _send_a_wrong_token(self, command_id: str) -> None:
        async with opened(f"{self._address}/ws/responses/{command_id}?token=wrong") as socket:
            self.connects += 1
            await socket.wait_closed()
        if socket.close_code != UNAUTHENTICATED:
            raise Broken(f"{command_id}: a wrong token was answered with {socket.close_code}")

    async def _give_up(self, command_id: str) -> None:
        """Leave before the socket is open, or just then."""
        self.connects += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0, MAX_PATIENCE)):
                async with opened(self._url(command_id)):
                    pass

    def _url(self, command_id: str) -> str:
        return f"{self._address}/ws/responses/{command_id}?token={quote(self._clients.token)}"
