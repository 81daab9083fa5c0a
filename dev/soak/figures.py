"""Samples of a process, and a comparison of early ones with late ones."""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.processes import POOL_SIZE

# Shares of the run: samples from WARM to BEFORE are compared with those from LATE.
WARM, BEFORE, LATE = 0.2, 0.4, 0.8

SOCKETS = 20  # that are just opening or closing, and not among the streams
THREADS = 6  # of requests in progress
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
    value: Callable[[Sample], float]
    maximum: Callable[[float], float]
    """The greatest late value that an early value allows."""

    def growth(self, early: Iterable[Sample], late: Iterable[Sample]) -> str:
        """Describe the growth of the median; return an empty text if it is allowed."""
        before, after = (statistics.median(map(self.value, part)) for part in (early, late))
        maximum = self.maximum(before)
        if after <= maximum:
            return ""
        return f"{self.name}: from {before:.1f} to {after:.1f}, at most {maximum:.1f} is allowed"


FIGURES = (
    Figure(
        "MB of RSS", lambda sample: sample.rss / MB, lambda before: min(before * 1.1, before + 20)
    ),
    Figure(
        "file descriptors besides the streams",
        lambda sample: sample.fds - sample.streams,
        lambda before: before + SOCKETS,
    ),
    Figure("threads", lambda sample: sample.threads, lambda before: before + THREADS),
    # The pool may grow to its size at any time; a leak goes beyond, or ends in a timeout.
    Figure(
        "database connections", lambda sample: sample.connections, lambda _: POOL_SIZE + CONNECTIONS
    ),
)


def grown(samples: Sequence[Sample]) -> list[str]:
    """Describe the figures that grew after the warm-up."""
    total = max((sample.events for sample in samples), default=0)
    early = [sample for sample in samples if WARM * total < sample.events <= BEFORE * total]
    late = [sample for sample in samples if sample.events > LATE * total]
    if not early or not late:
        return ["the run ended too early to compare anything"]
    return [growth for figure in FIGURES if (growth := figure.growth(early, late))]


def of_process(pid: int) -> tuple[int, int, int]:
    """Return resident bytes, open file descriptors and threads."""
    process = Path("/proc", str(pid))
    resident = int((process / "statm").read_text().split()[1])
    return resident * PAGE, _entries(process / "fd"), _entries(process / "task")


def _entries(directory: Path) -> int:
    return sum(1 for _ in directory.iterdir())
