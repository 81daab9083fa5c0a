"""`make soak`: a million events and 20,000 connects through one web process. Prints what it holds
over time, and exits 1 if that grows after the warm-up, or if a stream was not as promised."""

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg

from dev.chaos.evidence import settle, sockets_in_gauge, tracebacks_in
from dev.chaos.load import Car, Clients, Seen, make_cars
from dev.chaos.processes import ROOT
from dev.servers import ServerError
from dev.soak.clients import FAILURES, Size, Soak
from dev.soak.figures import HEADER, Sample, grown, of_process
from dev.soak.processes import OneWeb

CARS = 10
CONNECTS_OF_A_COMMAND = 20
LEAST_EVENTS = 10  # for each connect
SAMPLES = 20
LEAVE_SECONDS = 10.0
LONGEST_SECONDS = 60.0
SLOWEST = 200.0  # events in a second

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        is_good = run(arguments())
    except KeyboardInterrupt:
        sys.exit("soak: interrupted")
    except ServerError as error:
        sys.exit(f"soak: {error}")
    sys.exit(0 if is_good else 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.soak", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="how many to push")
    parser.add_argument("--connects", type=int, default=20_000, help="how many sockets to open")
    options = parser.parse_args()
    if options.connects < CARS or options.events < LEAST_EVENTS * options.connects:
        parser.error(f"at least {CARS} connects, and {LEAST_EVENTS} events for each of them")
    return options


def size_of(events: int, connects: int) -> Size:
    commands = max(CARS, connects // CONNECTS_OF_A_COMMAND)
    return Size(commands, -(-events // commands), -(-connects // commands) - 1)


def run(options: argparse.Namespace) -> bool:
    home = ROOT / "var" / "soak" / f"{options.events}-{options.connects}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    size = size_of(options.events, options.connects)
    with OneWeb(home) as processes:
        processes.set_up()
        cars = make_cars(processes.servers.postgres.url, 2 * CARS)
        processes.start_all()
        soak = Run(processes, size)
        asyncio.run(soak.load([car for car in cars if car.is_connected][:CARS]))
        problems = [*soak.problems, *left_behind(processes, soak)]
    return report([*problems, *grown(soak.samples)], home)


class Run:
    """One run of the load, with a sample of the web process at every twentieth of it."""

    def __init__(self, processes: OneWeb, size: Size) -> None:
        self.samples: list[Sample] = []
        self.problems: list[str] = []
        self._processes = processes
        self._size = size
        self._every = size.commands * size.events / SAMPLES

    async def load(self, cars: list[Car]) -> None:
        print(HEADER, flush=True)
        seen = Seen()
        async with Clients(self._processes, seen) as clients:
            self._soak = Soak(self._processes, clients, self._size, self._look)
            self._start = time.monotonic()
            longest = LONGEST_SECONDS + self._size.commands * self._size.events / SLOWEST
            try:
                async with asyncio.timeout(longest):
                    await self._soak.run(cars)
            except* (*FAILURES, httpx.HTTPError) as failures:
                self.problems += causes(failures)
        self.problems += seen.problems

    def _look(self) -> None:
        if self._soak.events >= self._every * (len(self.samples) + 1):
            self.samples.append(self.sample())
            print(self.samples[-1], flush=True)

    def sample(self) -> Sample:
        web = self._processes.web[0]
        streams = sockets_in_gauge(self._processes)
        return Sample(
            self._soak.events,
            self._soak.connects,
            time.monotonic() - self._start,
            int(streams),
            *of_process(self._processes.pid(web)),
            connections(self._processes, web),
        )


def connections(processes: OneWeb, name: str) -> int:
    with psycopg.connect(processes.servers.postgres.url) as connection:
        (number,) = connection.execute(CONNECTIONS, [processes.life(name)]).fetchone() or (0,)
    return int(number)


def causes(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield f"a client failed: {error!r}"


def left_behind(processes: OneWeb, soak: Run) -> Iterator[str]:
    """What should not be there when all clients have left, and when the processes have."""
    processes.restart_the_dead()
    yield from (f"{disturbance.whom} died" for disturbance in processes.disturbances)
    if not processes.disturbances:
        if not settle(lambda: sockets_in_gauge(processes) == 0, LEAVE_SECONDS):
            yield f"{sockets_in_gauge(processes):g} sockets are left in the gauge"
        print(f"{soak.sample()}  (all have left)", flush=True)
    web = processes.web[0]
    processes.stop_all()
    if not settle(lambda: connections(processes, web) == 0, LEAVE_SECONDS):
        yield f"{connections(processes, web)} database connections are left open"
    yield from processes.unasked
    yield from tracebacks_in(processes.logs)


def report(problems: list[str], home: Path) -> bool:
    for problem in problems:
        print(f"soak: {problem}")
    print(f"soak: NOT WELL: see {home}" if problems else "soak: nothing grew, and nothing was lost")
    return not problems


if __name__ == "__main__":
    main()
