"""The load of a campaign: clients submit, follow, drop out, come back, stop reading and cancel."""

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Iterator, Sequence

from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import Redis, RedisError
from websockets.asyncio.client import ClientConnection

from dev.chaos.processes import Processes
from dev.clients import Body, Clients, Observations, Submission, Vehicle, keeps_reading

MAX_AT_ONCE = 250
FORGING_SECONDS = 3.0
LAST_SECONDS = 60.0

ECUS = [f"0x{n:02X}" for n in range(256)]
ECUS_WITH_CODES = ("0x10", "0x18", "0x28", "0x40")
DATA_IDS = ("0x0105", "0x010C", "0x010D", "0xF190")


def submissions(seed: int, vehicles: Sequence[Vehicle]) -> Iterator[Submission]:
    """Yield different commands, as long as the vehicles have addresses left."""
    chance = random.Random(f"{seed} submissions")
    commands = {vehicle.vin: _commands(chance) for vehicle in vehicles}
    while True:
        vehicle = chance.choice(vehicles)
        name, params = next(commands[vehicle.vin])
        cancel_after = chance.uniform(0, 1.5) if chance.random() < 0.06 else None
        yield Submission(vehicle, name, params, cancel_after)


def _commands(chance: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield commands of all types, each with parameters that no other of the vehicle has."""
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


class Load(threading.Thread):
    """Submits `number` commands evenly over `seconds`, and follows each until it has ended."""

    def __init__(
        self,
        processes: Processes,
        submissions: Iterator[Submission],
        *,
        seed: int,
        number: int,
        seconds: float,
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.observations = Observations()
        self._processes = processes
        self._submissions = submissions
        self._random = random.Random(f"{seed} load")
        self._number = number
        self._seconds = seconds
        self._forging_until = 0.0

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        problems = self.observations.problems
        self._clients = Clients(self._processes, self.observations)
        self._limit = asyncio.Semaphore(MAX_AT_ONCE)
        self._layer = RedisPubSubChannelLayer(hosts=[self._processes.servers.valkey.url])
        async with self._clients:
            tasks = [asyncio.create_task(self._submit_one(n)) for n in range(self._number)]
            longest = self._seconds + self._processes.expires_seconds + LAST_SECONDS
            _, late = await asyncio.wait(tasks, timeout=longest)
            if late:
                problems.append(f"{len(late)} clients had not finished after {longest} s")
            for task in late:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        problems += [f"a client failed: {o!r}" for o in outcomes if isinstance(o, Exception)]
        await self._layer.flush()

    async def _submit_one(self, n: int) -> None:
        await asyncio.sleep(n * self._seconds / self._number)
        async with self._limit:
            submission = next(self._submissions)
            command_id = await self._clients.submit(submission)
            if command_id:
                followers = [self._follow(command_id) for _ in range(2)]
                if submission.cancel_after is not None:
                    followers.append(self._cancel(command_id, submission.cancel_after))
                await asyncio.gather(*followers)

    async def _cancel(self, command_id: str, after: float) -> None:
        await asyncio.sleep(after)
        await self._clients.cancel(command_id)

    async def _follow(self, command_id: str) -> None:
        """Follow at once or late; some drop out and resume, some stop reading for a while."""
        await asyncio.sleep(self._random.choice((0, 0, 0, self._random.uniform(0.1, 5))))
        kind = self._random.random()
        habit = drops_out if kind < 0.15 else stops_reading if kind < 0.2 else keeps_reading
        recording = await self._clients.follow(command_id, habit, self._on_frame)
        if kind > 0.95:
            await self._clients.come_back(recording)

    # --- What the nemesis asks for

    def flush(self) -> None:
        """Empty Valkey, and disconnect its subscribers."""
        with Redis.from_url(self._processes.servers.valkey.url, socket_timeout=2) as redis:
            redis.flushall()
            redis.client_kill_filter(_type="pubsub")

    def forge(self) -> None:
        """Publish forged notifications for a while."""
        self._forging_until = time.monotonic() + FORGING_SECONDS

    async def _on_frame(self, frame: Body, text: str) -> None:
        if time.monotonic() < self._forging_until:
            for message in forgeries(frame, text):
                try:
                    await self._layer.group_send(f"response_{frame['command_id']}", message)
                except RedisError:
                    return


def forgeries(frame: Body, text: str) -> list[Body]:
    """Return repeated and malformed notifications. (Redis is trusted: no better ones.)"""
    number = frame["sequence_number"]
    known = {"type": "command.event", "command_id": frame["command_id"], "sequence_number": number}
    other = {**frame, "command_id": str(uuid.uuid4()), "sequence_number": number + 1}
    return [
        known | {"frame": text},
        known | {"frame": text},
        known | {"frame": "no JSON"},
        known | {"frame": text, "sequence_number": number + 1},
        known | {"frame": json.dumps(other), "sequence_number": number + 1},
        {"type": "command.event"},
        {"type": "nothing.known"},
    ]


async def drops_out(socket: ClientConnection, position: int) -> None:
    """Break the connection once, after the second frame."""
    if position == 2:
        socket.transport.abort()


async def stops_reading(socket: ClientConnection, position: int) -> None:
    if position == 2:
        await asyncio.sleep(4)
