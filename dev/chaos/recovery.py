"""How long until all is well again: after a worker, after Valkey, after a web process."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from dev.chaos.load import DATA_IDS, ECUS, Car, Clients, Order, Seen
from dev.chaos.processes import LEASE_SECONDS, Processes

BUSY = 120
SUBSCRIBERS = 500
FOLLOWED = 50
VALKEY_TIMES = 3
POSTGRES_AWAY_SECONDS = 20.0

RUN_BY = """
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
    what: str
    seconds: float
    at_most: float

    @property
    def is_good(self) -> bool:
        return self.seconds <= self.at_most

    def __str__(self) -> str:
        verdict = "" if self.is_good else "  TOO LATE"
        return f"{self.what:60} {self.seconds:8.3f} s  (at most {self.at_most:g} s){verdict}"


def measure(processes: Processes, cars: Sequence[Car], seen: Seen) -> list[Time]:
    """On the processes that a campaign leaves behind, when nothing else runs on them."""
    return asyncio.run(_measure(processes, cars, seen))


async def _measure(processes: Processes, cars: Sequence[Car], seen: Seen) -> list[Time]:
    async with Clients(processes, seen) as clients:
        bench = Bench(processes, clients, cars)
        return [
            *await bench.after_a_worker(),
            *await bench.after_valkey(),
            *await bench.after_postgres(),
            *await bench.after_a_web_process(),
        ]


class Bench:
    def __init__(self, processes: Processes, clients: Clients, cars: Sequence[Car]) -> None:
        self._processes = processes
        self._clients = clients
        self._connected = [car for car in cars if car.is_connected]
        self._away = [car for car in cars if not car.is_connected]
        self._number = 0

    # --- A worker

    async def after_a_worker(self) -> list[Time]:
        """Each command that it ran has ended, or runs again."""
        orders = [self._order(car) for car in self._connected[:BUSY]]
        ids = await asyncio.gather(*(self._clients.submit(order) for order in orders))
        following = [asyncio.create_task(self._clients.follow(command_id)) for command_id in ids]
        worker, killed_at = await self._kill_a_busy_one()
        lost = self._run_by(worker)
        await asyncio.gather(*following)
        self._processes.start(worker)
        worst = max((self._well_again(command_id, killed_at) for command_id in lost), default=0)
        what = f"the {len(lost)} commands of a killed worker run again or have ended"
        return [Time(what, worst, LEASE_SECONDS + 5)]

    async def _kill_a_busy_one(self) -> tuple[str, float]:
        while True:
            for worker in self._processes.workers:
                if self._run_by(worker):
                    self._processes.kill(worker)
                    return worker, time.time()
            await asyncio.sleep(0.01)

    def _run_by(self, worker: str) -> list[str]:
        return [str(row[0]) for row in self._ask(RUN_BY, (self._processes.life(worker),))]

    def _well_again(self, command_id: str, killed_at: float) -> float:
        ((first,),) = self._ask(NEXT_MOVE, (command_id, killed_at))
        return float(first) - killed_at

    def _ask(self, question: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._processes.servers.postgres.url) as connection:
            return connection.execute(question, arguments).fetchall()

    # --- Valkey

    async def after_valkey(self) -> list[Time]:
        """Live means by the bell: far below the interval of the safety net."""
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
        """Median seconds, over what live subscribers of ten commands receive there."""
        seconds: list[float] = []

        async def note(frame: dict[str, str], _: str) -> None:
            if frame["event"] == "response":
                happened = datetime.fromisoformat(frame["timestamp"]).timestamp()
                seconds.append(time.time() - happened)

        orders = [self._order(car) for car in self._connected[:10]]
        ids = await asyncio.gather(*(self._clients.submit(order) for order in orders))
        await asyncio.gather(
            *(self._clients.follow(command_id, on_frame=note, web=web) for command_id in ids)
        )
        return statistics.median(seconds)

    # --- Postgres

    async def after_postgres(self) -> list[Time]:
        """Away for long, so that whoever waits longer and longer between two tries has begun to."""
        self._processes.kill("postgres")
        await asyncio.sleep(POSTGRES_AWAY_SECONDS)
        self._processes.start("postgres")
        up = time.monotonic()
        await asyncio.gather(*(self._clients.reads(web) for web in self._processes.web))
        command_id = await self._clients.submit(self._order(self._connected[0]))
        await self._clients.follow(command_id)
        what = f"a command is carried out after Postgres was away for {POSTGRES_AWAY_SECONDS:g} s"
        return [Time(what, time.monotonic() - up, 10)]

    # --- A web process

    async def after_a_web_process(self) -> list[Time]:
        """It is killed under 500 clients; what they follow ends meanwhile."""
        first, second = self._processes.web[:2]
        orders = [self._order(self._away[n % len(self._away)]) for n in range(FOLLOWED)]
        ids = [await self._clients.submit(order) for order in orders]
        followers = [
            asyncio.create_task(self._clients.follow(ids[n % FOLLOWED], web=first))
            for n in range(SUBSCRIBERS)
        ]
        await self._all_have_one(followers)
        self._processes.kill(first)
        for command_id in ids:
            await self._clients.cancel(command_id, web=second)
        self._processes.start(first)
        while not await self._clients.is_up(first):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        up = time.monotonic()
        await asyncio.gather(*followers)
        what = f"{SUBSCRIBERS} clients are caught up after a web process is back"
        return [Time(what, time.monotonic() - up, 15)]

    async def _all_have_one(self, followers: Sequence[asyncio.Task[object]]) -> None:
        recordings = self._clients.recordings[-len(followers) :]
        while len(recordings) < len(followers) or not all(r.frames for r in recordings):
            await asyncio.sleep(0.05)
            recordings = self._clients.recordings[-len(followers) :]

    def _order(self, car: Car) -> Order:
        """At addresses that the load, which counts from the lowest, does not reach."""
        self._number += 1
        params = {
            "ecuAddress": ECUS[-1 - self._number % 128],
            "dataId": DATA_IDS[self._number // 128],
        }
        return Order(car, "ReadDataByID", params, None)
