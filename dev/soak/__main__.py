"""`make soak`: send a million events and 20,000 connects through one web process.

Prints samples of its memory, sockets, threads and connections. Exits 1 if one of them grows after
the warm-up, or if a stream broke its promise.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import psycopg

from dev.chaos.gather import settle, sockets_in_gauge, tracebacks_in
from dev.chaos.processes import LOAD_SETTINGS
from dev.clients import Clients, Observations, Vehicle, make_vehicles
from dev.processes import ROOT, Installation
from dev.servers import ServerError
from dev.soak.clients import FAILURES, Size, Soak
from dev.soak.figures import HEADER, Sample, grown, of_process

VEHICLES = 10
CONNECTS_PER_COMMAND = 20
MIN_EVENTS = 10  # for each connect
SAMPLES = 20
LEAVE_SECONDS = 10.0
MAX_SECONDS = 60.0
MIN_RATE = 200.0  # events in a second

WEB = "web-1"
# The widest poll interval: a busy process would read most events twice.
SETTINGS = LOAD_SETTINGS | {"COMMAND_EXPIRES_SECONDS": 24 * 3600, "STREAM_POLL_SECONDS": 3}

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
    parser.add_argument("--events", type=int, default=1_000_000, help="number of events")
    parser.add_argument("--connects", type=int, default=20_000, help="number of sockets")
    options = parser.parse_args()
    if options.connects < VEHICLES or options.events < MIN_EVENTS * options.connects:
        parser.error(f"at least {VEHICLES} connects, and {MIN_EVENTS} events for each of them")
    return options


def size_of(events: int, connects: int) -> Size:
    commands = max(VEHICLES, connects // CONNECTS_PER_COMMAND)
    return Size(commands, -(-events // commands), -(-connects // commands) - 1)


def run(options: argparse.Namespace) -> bool:
    home = ROOT / "var" / "soak" / f"{options.events}-{options.connects}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    size = size_of(options.events, options.connects)
    with SoakedProduct(SETTINGS, home) as product:
        vehicles = make_vehicles(product.servers.postgres.url, VEHICLES)
        product.start_all()
        soak = Run(product, size)
        asyncio.run(soak.load(vehicles))
        problems = [*soak.problems, *leftovers(product, soak)]
    return report([*problems, *grown(soak.samples)], home)


class SoakedProduct(Installation):
    """One web process, which is measured, and the producer in the place of the workers."""

    def program(self, name: str) -> Sequence[str]:
        if name in self.workers:
            return ("-m", "dev.with_django", "dev.soak.producer")
        return super().program(name)


class Run:
    """One run of the load, with a sample of the web process at every twentieth of it."""

    def __init__(self, product: SoakedProduct, size: Size) -> None:
        self.samples: list[Sample] = []
        self.problems: list[str] = []
        self._product = product
        self._size = size
        self._every = size.commands * size.events / SAMPLES

    async def load(self, vehicles: list[Vehicle]) -> None:
        print(HEADER, flush=True)
        seen = Observations()
        async with Clients(self._product, seen) as clients:
            self._soak = Soak(self._product, clients, self._size, self._on_batch)
            self._start = time.monotonic()
            longest = MAX_SECONDS + self._size.commands * self._size.events / MIN_RATE
            try:
                async with asyncio.timeout(longest):
                    await self._soak.run(vehicles)
            except* (*FAILURES, httpx.HTTPError) as failures:
                self.problems += causes(failures)
        self.problems += seen.problems

    def _on_batch(self) -> None:
        if self._soak.events >= self._every * (len(self.samples) + 1):
            self.samples.append(self.sample())
            print(self.samples[-1], flush=True)

    def sample(self) -> Sample:
        return Sample(
            self._soak.events,
            self._soak.connects,
            time.monotonic() - self._start,
            int(sockets_in_gauge(self._product)),
            *of_process(self._product.running[WEB].pid),
            connections(self._product),
        )


def connections(product: Installation) -> int:
    with psycopg.connect(product.servers.postgres.url) as connection:
        (number,) = connection.execute(CONNECTIONS, [WEB]).fetchone() or (0,)
    return int(number)


def causes(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield f"a client failed: {error!r}"


def leftovers(product: Installation, soak: Run) -> Iterator[str]:
    """Yield what should not be there when all clients have left, and when the processes have."""
    if not settle(lambda: sockets_in_gauge(product) == 0, LEAVE_SECONDS):
        yield f"{sockets_in_gauge(product):g} sockets are left in the gauge"
    print(f"{soak.sample()}  (all have left)", flush=True)
    yield from product.stop(product.workers)
    yield from product.stop(product.web)
    if not settle(lambda: connections(product) == 0, LEAVE_SECONDS):
        yield f"{connections(product)} database connections are left open"
    yield from tracebacks_in(product.logs)


def report(problems: list[str], home: Path) -> bool:
    for problem in problems:
        print(f"soak: {problem}")
    print(f"soak: FAILED: see {home}" if problems else "soak: nothing grew, and nothing was lost")
    return not problems


if __name__ == "__main__":
    main()
