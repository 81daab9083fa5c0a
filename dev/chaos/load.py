"""What people do during a campaign: submit, follow, leave, come back, stop reading, cancel.

Every outcome is written down as it was seen; nothing is judged here.
"""

import asyncio
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import Redis, RedisError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from dev.chaos.processes import STREAM_POLL_SECONDS, Processes

MOST_AT_ONCE = 250
ASK_SECONDS = 15.0
SILENT_SECONDS = 3 * STREAM_POLL_SECONDS + 5
FORGING_SECONDS = 3.0
LAST_SECONDS = 60.0

ENDED = {"completed", "failed", "timed_out", "cancelled", "expired"}
ECUS = [f"0x{n:02X}" for n in range(256)]
ECUS_WITH_CODES = ("0x10", "0x18", "0x28", "0x40")
DATA_IDS = ("0x0105", "0x010C", "0x010D", "0xF190")

Body = dict[str, Any]


@dataclass
class Car:
    vehicle_id: str
    vin: str
    is_connected: bool


@dataclass
class Order:
    """One command, told from all others by its vehicle, its name and its parameters."""

    car: Car
    command_name: str
    command_params: dict[str, str]
    cancel_after: float | None

    @property
    def key(self) -> str:
        return key_of(self.car.vin, self.command_name, self.command_params)


def key_of(vin: str, command_name: str, command_params: dict[str, Any]) -> str:
    return f"{vin} {command_name} {json.dumps(command_params, sort_keys=True)}"


@dataclass
class Recording:
    """What one subscriber has received, over however many connections."""

    command_id: str
    frames: list[str] = field(default_factory=list)
    closes: list[int] = field(default_factory=list)
    connects: int = 0
    position: int = 0
    """The highest sequence number so far."""
    times_stuck: int = 0
    has_ended: bool = False

    def add(self, text: str, frame: Body) -> None:
        self.frames.append(text)
        self.position = max(self.position, frame["sequence_number"])
        self.has_ended = frame.get("status") in ENDED


@dataclass
class Seen:
    """All that the clients saw."""

    ordered: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    """Key of each order that was answered 201 → its command id."""
    unknown: set[str] = field(default_factory=set)
    """Keys of orders whose POST got no answer, or one that says that it is not known."""
    cancels: dict[str, int] = field(default_factory=dict)
    """Command id → what was answered; 0 when nothing was."""
    statuses: Counter[int] = field(default_factory=Counter)
    recordings: list[Recording] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


# --- What is submitted


def orders(seed: int, cars: Sequence[Car]) -> Iterator[Order]:
    """Without end, as long as the cars have addresses left."""
    chance = random.Random(f"{seed} orders")  # noqa: S311
    kinds = {car.vin: _kinds(chance) for car in cars}
    while True:
        car = chance.choice(cars)
        name, params = next(kinds[car.vin])
        cancel_after = chance.uniform(0, 1.5) if chance.random() < 0.06 else None
        yield Order(car, name, params, cancel_after)


def _kinds(chance: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
    """Commands of all types, each with parameters that no other of the same car has."""
    ecus = [*ECUS_WITH_CODES, *(ecu for ecu in ECUS if ecu not in ECUS_WITH_CODES)]
    reads, clears = iter(ecus), iter(ECUS)
    values = ((ecu, data_id) for ecu in ECUS for data_id in DATA_IDS)
    while True:
        kind = chance.random()
        if kind < 0.4:
            yield "ReadDTC", {"ecuAddress": next(reads)}
        elif kind < 0.65:
            yield "ClearDTC", {"ecuAddress": next(clears)}
        else:
            ecu, data_id = next(values)
            yield "ReadDataByID", {"ecuAddress": ecu, "dataId": data_id}


def make_cars(database_url: str, number: int) -> list[Car]:
    cars = [Car(str(uuid.uuid4()), f"WVWZZZ1KZ{n:08}", n % 40 != 7) for n in range(number)]
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO vehicles_vehicle"
            " (vehicle_id, vin, make, model, connection_status, metadata)"
            " VALUES (%s, %s, 'Volkswagen', 'Golf', %s, '{}')",
            [
                (car.vehicle_id, car.vin, "connected" if car.is_connected else "disconnected")
                for car in cars
            ],
        )
    return cars


# --- Who submits


class Load(threading.Thread):
    """Submits `number` orders evenly over `seconds`, and follows each until it has ended."""

    def __init__(
        self, processes: Processes, cars: Sequence[Car], *, seed: int, number: int, seconds: float
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.seen = Seen()
        self._processes = processes
        self._orders = orders(seed, cars)
        self._chance = random.Random(f"{seed} load")  # noqa: S311
        self._number = number
        self._between = seconds / number
        self._forging_until = 0.0

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self.clients = Clients(self._processes, self.seen)
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._layer = RedisPubSubChannelLayer(hosts=[self._processes.servers.valkey.url])
        async with self.clients:
            tasks = [asyncio.create_task(self._one(n)) for n in range(self._number)]
            submitting = self._between * self._number
            longest = submitting + self._processes.expires_seconds + LAST_SECONDS
            _, late = await asyncio.wait(tasks, timeout=longest)
            if late:
                self.seen.problems.append(f"{len(late)} clients had not finished after {longest} s")
            for task in late:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    self.seen.problems.append(f"a client failed: {outcome!r}")
        await self._layer.flush()

    async def _one(self, n: int) -> None:
        await asyncio.sleep(n * self._between)
        async with self._places:
            order = next(self._orders)
            command_id = await self.clients.submit(order)
            if command_id:
                await self._accompany(order, command_id)

    async def _accompany(self, order: Order, command_id: str) -> None:
        followers = [self._follow(command_id) for _ in range(2)]
        if order.cancel_after is not None:
            followers.append(self._cancel(command_id, order.cancel_after))
        await asyncio.gather(*followers)

    async def _cancel(self, command_id: str, after: float) -> None:
        await asyncio.sleep(after)
        await self.clients.cancel(command_id)

    async def _follow(self, command_id: str) -> None:
        """Most come at once, some late; some drop out and resume, some stop reading for a while."""
        await asyncio.sleep(self._chance.choice((0, 0, 0, self._chance.uniform(0.1, 5))))
        kind = self._chance.random()
        habit = drops_out if kind < 0.15 else stops_reading if kind < 0.2 else reads_on
        recording = await self.clients.follow(command_id, habit, self._on_frame)
        if kind > 0.95:
            await self.clients.come_back(recording)

    # --- What the nemesis asks for

    def flush(self) -> None:
        """FLUSHALL, and what goes with it: whoever is connected is thrown out."""
        with Redis.from_url(self._processes.servers.valkey.url, socket_timeout=2) as redis:
            redis.flushall()
            redis.client_kill_filter(_type="pubsub")

    def forge(self) -> None:
        self._forging_until = time.monotonic() + FORGING_SECONDS

    async def _on_frame(self, frame: Body, text: str) -> None:
        if time.monotonic() < self._forging_until:
            for message in forgeries(frame, text):
                try:
                    await self._layer.group_send(f"response_{frame['command_id']}", message)
                except RedisError:
                    return


def forgeries(frame: Body, text: str) -> list[Body]:
    """What rings again, and what only looks like a ring. (Redis is trusted: no better ones.)"""
    number = frame["sequence_number"]
    ring = {"type": "command.event", "command_id": frame["command_id"], "sequence_number": number}
    other = {**frame, "command_id": str(uuid.uuid4()), "sequence_number": number + 1}
    return [
        ring | {"frame": text},
        ring | {"frame": text},
        ring | {"frame": "no JSON"},
        ring | {"frame": text, "sequence_number": number + 1},
        ring | {"frame": json.dumps(other), "sequence_number": number + 1},
        {"type": "command.event"},
        {"type": "nothing.known"},
    ]


# --- How a client behaves

Habit = Callable[[ClientConnection, int], Awaitable[None]]


async def reads_on(socket: ClientConnection, position: int) -> None:
    pass


async def drops_out(socket: ClientConnection, position: int) -> None:
    """The network is gone without a word, once: after the second frame."""
    if position == 2:
        socket.transport.abort()


async def stops_reading(socket: ClientConnection, position: int) -> None:
    if position == 2:
        await asyncio.sleep(4)


class Clients:
    """A well-behaved client of the API and of the streams, of which there are many at once."""

    def __init__(self, processes: Processes, seen: Seen) -> None:
        self._processes = processes
        self._seen = seen
        self._turn = count()

    async def __aenter__(self) -> "Clients":
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(timeout=ASK_SECONDS, limits=limits)
        await self._log_in()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def _log_in(self) -> None:
        body = {"username": "operator", "password": "sovd-demo"}
        answer = await self._until_answered("POST", "token/", body)
        self.token = answer.json()["access"]
        self._http.headers["Authorization"] = f"Bearer {self.token}"

    async def submit(self, order: Order) -> str:
        """Its command id; empty when the outcome is not known, and cannot be found out."""
        body = {
            "vehicle_id": order.car.vehicle_id,
            "command_name": order.command_name,
            "command_params": order.command_params,
        }
        self._seen.ordered += 1
        answer = await self._ask("POST", "commands/", body)
        if answer is not None and answer.status_code == 201:
            self._seen.accepted[order.key] = str(answer.json()["command_id"])
            return self._seen.accepted[order.key]
        self._seen.unknown.add(order.key)
        return await self._find(order)

    async def _find(self, order: Order) -> str:
        address = f"commands/?vehicle_id={order.car.vehicle_id}&command_name={order.command_name}"
        answer = await self._until_answered("GET", address)
        for found in answer.json()["results"]:
            if found["command_params"] == order.command_params:
                return str(found["command_id"])
        return ""

    async def cancel(self, command_id: str, web: str = "") -> None:
        answer = await self._ask("POST", f"commands/{command_id}/cancel/", web=web)
        self._seen.cancels[command_id] = answer.status_code if answer is not None else 0

    async def reads(self, web: str) -> None:
        """Returns when this process reads the database."""
        await self._until_answered("GET", "commands/", web=web)

    async def is_up(self, web: str) -> bool:
        return await self._ask("GET", "command-types/", web=web) is not None

    @property
    def recordings(self) -> list[Recording]:
        return self._seen.recordings

    async def _until_answered(
        self, method: str, address: str, body: Body | None = None, web: str = ""
    ) -> httpx.Response:
        while True:
            answer = await self._ask(method, address, body, web)
            if answer is not None and answer.status_code < 500:
                return answer
            await asyncio.sleep(0.5)

    async def _ask(
        self, method: str, address: str, body: Body | None = None, web: str = ""
    ) -> httpx.Response | None:
        """None when the connection died, or never came about."""
        url = f"{self._processes.url(web or self._next_web())}/api/v1/{address}"
        try:
            answer = await self._http.request(method, url, json=body)
        except httpx.TransportError:
            return None
        self._seen.statuses[answer.status_code] += 1
        if answer.status_code in (400, 401, 403, 404) or answer.status_code in (500, 502):
            self._seen.problems.append(f"{method} {address}: {answer.status_code} {answer.text}")
        return answer

    def _next_web(self) -> str:
        return self._processes.web[next(self._turn) % len(self._processes.web)]

    # --- Streams

    async def follow(
        self,
        command_id: str,
        habit: Habit = reads_on,
        on_frame: Callable[[Body, str], Awaitable[None]] | None = None,
        web: str = "",
    ) -> Recording:
        """Until the terminal event, over however many connections."""
        recording = Recording(command_id)
        self._seen.recordings.append(recording)
        pause = 0.2
        while not recording.has_ended:
            before = recording.position
            await self._connect(recording, habit, on_frame, web or self._next_web())
            pause = 0.2 if recording.position > before else min(2.0, pause * 2)
            if not recording.has_ended:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
        return recording

    async def come_back(self, recording: Recording) -> None:
        """After the end: there is nothing more to hear, and the server says so at once."""
        await self._connect(recording, reads_on, None, self._next_web())

    async def _connect(
        self,
        recording: Recording,
        habit: Habit,
        on_frame: Callable[[Body, str], Awaitable[None]] | None,
        web: str,
    ) -> None:
        query = f"token={quote(self.token)}&after={recording.position}"
        address = self._processes.url(web).replace("http", "ws", 1)
        url = f"{address}/ws/responses/{recording.command_id}?{query}"
        try:
            async with connect(url, proxy=None, open_timeout=ASK_SECONDS, max_queue=4) as socket:
                recording.connects += 1
                while text := await self._next_text(socket, recording, web):
                    frame = json.loads(text)
                    if frame["sequence_number"] == 0:  # about the socket; its close follows
                        continue
                    recording.add(text, frame)
                    if on_frame:
                        await on_frame(frame, text)
                    await habit(socket, recording.position)
        except ConnectionClosed as closed:
            recording.closes.append(closed.rcvd.code if closed.rcvd else 1006)
        except (OSError, InvalidHandshake, TimeoutError, EOFError):
            recording.closes.append(1006)

    async def _next_text(self, socket: ClientConnection, recording: Recording, web: str) -> str:
        """Empty when nothing comes although the log, as the same process reads it, has more; or
        when the socket is not closed although it has not."""
        while not recording.has_ended:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    return str(await socket.recv())
            except TimeoutError:
                if await self._has_more(recording, web):
                    break
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                return str(await socket.recv())
        except TimeoutError:
            recording.times_stuck += recording.has_ended or await self._has_more(recording, web)
            return ""

    async def _has_more(self, recording: Recording, web: str) -> bool:
        answer = await self._ask("GET", f"commands/{recording.command_id}/", web=web)
        if answer is None or answer.status_code != 200:
            return False
        return bool(answer.json()["last_sequence_number"] > recording.position)
