"""What the web process holds at one moment, and whether it came to hold ever more."""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.chaos.processes import POOL_SIZE

WARM = 0.2  # of the run; what is held then, until BEFORE, is compared with what is held from LATE
BEFORE, LATE = 0.4, 0.8

SOCKETS = 20  # which are just opening or closing, and not among the streams
THREADS = 6  # of requests that are just answered
CONNECTIONS = 3  # outside of the pool

MB = 2**20
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    events: int
    connects: int
    seconds: float
    streams: int
    rss: int
    """In bytes."""
    fds: int
    threads: int
    connections: int

    def __str__(self) -> str:
        return (
            f"{self.events:>9} {self.connects:>9} {self.seconds:>8.1f} {self.streams:>8}"
            f" {self.rss / MB:>8.1f} {self.fds:>5} {self.threads:>8} {self.connections:>12}"
        )


HEADER = "   events  connects  seconds  streams   RSS MB   fds  threads  connections"


@dataclass(frozen=True)
class Figure:
    name: str
    of: Callable[[Sample], float]
    most: Callable[[float], float]
    """What it may have become, from what it was."""

    def growth(self, was: Iterable[Sample], became: Iterable[Sample]) -> str:
        """Empty if there is none."""
        before, after = (statistics.median(map(self.of, part)) for part in (was, became))
        most = self.most(before)
        if after <= most:
            return ""
        return f"{self.name}: from {before:.1f} to {after:.1f}, at most {most:.1f} is allowed"


FIGURES = (
    Figure("MB of RSS", lambda sample: sample.rss / MB, lambda was: min(was * 1.1, was + 20)),
    Figure(
        "file descriptors besides the streams",
        lambda sample: sample.fds - sample.streams,
        lambda was: was + SOCKETS,
    ),
    Figure("threads", lambda sample: sample.threads, lambda was: was + THREADS),
    # The pool may grow to its size at any time. What leaks goes beyond, or ends in a timeout.
    Figure(
        "database connections", lambda sample: sample.connections, lambda _: POOL_SIZE + CONNECTIONS
    ),
)


def grown(samples: Sequence[Sample]) -> list[str]:
    """Which figures grew after the warm-up: medians, since each has its ups and downs."""
    total = max((sample.events for sample in samples), default=0)
    was = [sample for sample in samples if WARM * total < sample.events <= BEFORE * total]
    became = [sample for sample in samples if sample.events > LATE * total]
    if not was or not became:
        return ["the run ended too early to compare anything"]
    return [growth for figure in FIGURES if (growth := figure.growth(was, became))]


def of_process(pid: int) -> tuple[int, int, int]:
    """Resident bytes, open file descriptors, threads."""
    process = Path("/proc", str(pid))
    resident = int((process / "statm").read_text().split()[1])
    return resident * PAGE, _entries(process / "fd"), _entries(process / "task")


def _entries(directory: Path) -> int:
    return sum(1 for _ in directory.iterdir())
