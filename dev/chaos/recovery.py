"""Recovery times: after the loss of a worker, of Valkey, of Postgres and of a web process."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from dev.chaos.load import DATA_IDS, ECUS
from dev.chaos.processes import LEASE_SECONDS, Processes
from dev.clients import Clients, Observations, Submission, Vehicle

BUSY = 120
SUBSCRIBERS = 500
FOLLOWED = 50
VALKEY_TIMES = 3
POSTGRES_AWAY_SECONDS = 20.0

HELD_BY = """
SELECT command_id FROM commands_command
JOIN commands_event USING (command_id) JOIN chaos_author USING (command_id, sequence_number)
WHERE status = 'in_progress' AND payload->>'status' = 'in_progress' AND author = %s
"""
NEXT_MOVE = """
SELECT extract(epoch FROM min(created_at)) FROM commands_event
WHERE command_id = %s AND created_at > to_timestamp(%s) AND payload->>'status' <> 'pending'
"""


@dataclass
class Time:
    name: str
    seconds: float
    maximum: float

    @property
    def is_good(self) -> bool:
        return self.seconds <= self.maximum

    def __str__(self) -> str:
        verdict = "" if self.is_good else "  TOO LATE"
        return f"{self.name:60} {self.seconds:8.3f} s  (at most {self.maximum:g} s){verdict}"


async def measure(
    processes: Processes, vehicles: Sequence[Vehicle], seen: Observations
) -> list[Time]:
    """Measure on the processes that a campaign leaves behind, when nothing else runs on them."""
    async with Clients(processes, seen) as clients:
        bench = Bench(processes, clients, vehicles)
        return [
            *await bench.after_a_worker(),
            *await bench.after_valkey(),
            *await bench.after_postgres(),
            *await bench.after_a_web_process(),
        ]


class Bench:
    def __init__(self, processes: Processes, clients: Clients, vehicles: Sequence[Vehicle]) -> None:
        self._processes = processes
        self._clients = clients
        self._online = [vehicle for vehicle in vehicles if vehicle.is_online]
        self._offline = [vehicle for vehicle in vehicles if not vehicle.is_online]
        self._number = 0

    # --- A worker

    async def after_a_worker(self) -> list[Time]:
        """Measure until each command that it ran has ended, or runs again."""
        ids = await self._submit(self._online[:BUSY])
        following = [asyncio.create_task(self._clients.follow(command_id)) for command_id in ids]
        worker, killed_at = await self._kill_a_busy_worker()
        lost = self._held_by(worker)
        await asyncio.gather(*following)
        self._processes.start(worker)
        worst = max((self._recovered(command_id, killed_at) for command_id in lost), default=0)
        name = f"the {len(lost)} commands of a killed worker run again or have ended"
        return [Time(name, worst, LEASE_SECONDS + 5)]

    async def _kill_a_busy_worker(self) -> tuple[str, float]:
        while True:
            for worker in self._processes.workers:
                if self._held_by(worker):
                    self._processes.kill(worker)
                    return worker, time.time()
            await asyncio.sleep(0.01)

    def _held_by(self, worker: str) -> list[str]:
        life = self._processes.name_in_postgres(worker)
        return [str(row[0]) for row in self._query(HELD_BY, (life,))]

    def _recovered(self, command_id: str, killed_at: float) -> float:
        ((first,),) = self._query(NEXT_MOVE, (command_id, killed_at))
        return float(first) - killed_at

    def _query(self, query: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._processes.servers.postgres.url) as connection:
            return connection.execute(query, arguments).fetchall()

    # --- Valkey

    async def after_valkey(self) -> list[Time]:
        """Measure live events, which arrive far below the poll interval of the streams."""
        before = max([await self._latency(web) for web in self._processes.web])
        after = 0.0
        for _ in range(VALKEY_TIMES):
            self._processes.kill("valkey")
            await asyncio.sleep(5)
            self._processes.start("valkey")
            await asyncio.sleep(5)
            after = max([after, *[await self._latency(web) for web in self._processes.web]])
        return [
            Time("median from the event to its subscriber, of the slower web process", before, 0.5),
            Time(f"… 5 s after Valkey is back, worst of {VALKEY_TIMES}", after, 0.1 + 2 * before),
        ]

    async def _latency(self, web: str) -> float:
        """Return the median seconds from an event to its subscriber, over ten commands."""
        seconds: list[float] = []

        async def note(frame: dict[str, str], _: str) -> None:
            if frame["event"] == "response":
                happened = datetime.fromisoformat(frame["timestamp"]).timestamp()
                seconds.append(time.time() - happened)

        ids = await self._submit(self._online[:10])
        await asyncio.gather(
            *(self._clients.follow(command_id, on_frame=note, web=web) for command_id in ids)
        )
        return statistics.median(seconds)

    # --- Postgres

    async def after_postgres(self) -> list[Time]:
        """Measure after an outage so long that waits between two tries have grown."""
        self._processes.kill("postgres")
        await asyncio.sleep(POSTGRES_AWAY_SECONDS)
        self._processes.start("postgres")
        up = time.monotonic()
        await asyncio.gather(*(self._clients.wait_for_database(web) for web in self._processes.web))
        (command_id,) = await self._submit(self._online[:1])
        await self._clients.follow(command_id)
        name = f"a command is carried out after Postgres was away for {POSTGRES_AWAY_SECONDS:g} s"
        return [Time(name, time.monotonic() - up, 10)]

    # --- A web process

    async def after_a_web_process(self) -> list[Time]:
        """Kill it under 500 clients; the commands that they follow end meanwhile."""
        first, second = self._processes.web[:2]
        ids = await self._submit([self._offline[n % len(self._offline)] for n in range(FOLLOWED)])
        followers = [
            asyncio.create_task(self._clients.follow(ids[n % FOLLOWED], web=first))
            for n in range(SUBSCRIBERS)
        ]
        await self._all_have_a_frame(followers)
        self._processes.kill(first)
        for command_id in ids:
            await self._clients.cancel(command_id, web=second)
        self._processes.start(first)
        while not await self._clients.is_up(first):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        up = time.monotonic()
        await asyncio.gather(*followers)
        name = f"{SUBSCRIBERS} clients are caught up after a web process is back"
        return [Time(name, time.monotonic() - up, 15)]

    async def _all_have_a_frame(self, followers: Sequence[asyncio.Task[object]]) -> None:
        recordings = self._clients.recordings[-len(followers) :]
        while len(recordings) < len(followers) or not all(r.frames for r in recordings):
            await asyncio.sleep(0.05)
            recordings = self._clients.recordings[-len(followers) :]

    async def _submit(self, vehicles: Sequence[Vehicle]) -> list[str]:
        submissions = [self._submission(vehicle) for vehicle in vehicles]
        return await asyncio.gather(*map(self._clients.submit, submissions))

    def _submission(self, vehicle: Vehicle) -> Submission:
        """Return one at an address that the load, which counts from the lowest, does not reach."""
        self._number += 1
        params = {
            "ecuAddress": ECUS[-1 - self._number % 128],
            "dataId": DATA_IDS[self._number // 128],
        }
        return Submission(vehicle, "ReadDataByID", params)
