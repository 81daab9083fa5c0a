"""One run of a measurement: its size, and the rate and the CPU time of its units of work."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dev.bench.load import Loop
from dev.bench.machine import Usage
from dev.bench.product import Bench

Client = TypeVar("Client", bound="Closable")
Figures = dict[str, float]
COMMANDS = "/api/v1/commands/"


@dataclass(frozen=True)
class Scale:
    seconds: float
    """Of one measurement."""
    streams: int
    """Of a fan-out."""
    queue: int
    """Commands that wait for the worker."""
    waiting: int
    """Commands that wait while others are claimed."""


@dataclass
class Run:
    bench: Bench
    scale: Scale

    async def loop(self, number: int, step: Callable[[int], Awaitable[None]]) -> "Rate":
        loop, edges = Loop(number, step), list[Usage]()
        done: list[int] = []

        def on_edge() -> None:
            done.append(loop.done)
            edges.append(self.bench.usage())

        await loop.run(self.scale.seconds / 4, self.scale.seconds, on_edge)
        return Rate(done[-1], edges[-1].since(edges[0]), loop.latencies)


@dataclass(frozen=True)
class Rate:
    """So many units of work, their CPU time and their latencies."""

    number: int
    usage: Usage
    latencies: list[float]

    @property
    def per_second(self) -> float:
        return self.number / self.usage.at

    def cpu_ms(self, *names: str) -> float:
        """Return the CPU time of one unit in these processes; without names, in all."""
        names = names or tuple(self.usage.cpu)
        return sum(self.usage.cpu[name] for name in names) * 1000 / self.number


class Closable(Protocol):
    def close(self) -> None: ...


@contextlib.contextmanager
def closing(clients: Sequence[Client]) -> Iterator[Sequence[Client]]:
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def any_command(bench: Bench) -> str:
    ((command_id,),) = bench.execute("SELECT command_id::text FROM commands_command LIMIT 1")
    return str(command_id)
