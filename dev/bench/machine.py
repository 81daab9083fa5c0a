"""The machine under a measurement: its speed, its CPU time by process, and its other users."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CORES = sorted(os.sched_getaffinity(0))
SERVERS, LOAD = CORES[:1], CORES[1:2] or CORES[:1]

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LOOPS, STEPS = 9, 200_000
NOMINAL_MS = 10.0  # of one loop: all figures are scaled to a machine of this speed


@contextlib.contextmanager
def pinned_to(cores: list[int]) -> Iterator[None]:
    """Run this thread, and the processes that it starts, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def loop_ms() -> float:
    """Return the CPU time of a fixed loop on the core of the servers."""
    with pinned_to(SERVERS):
        return median(_one_loop() for _ in range(LOOPS))


def _one_loop() -> float:
    start, total = time.thread_time(), 0
    for number in range(STEPS):
        total += number & 7
    return (time.thread_time() - start) * 1000


def _stat(pid: str) -> tuple[int, float]:
    """Return the parent and the CPU seconds of a process and of its children that have ended."""
    fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICK


def _all() -> dict[int, tuple[int, float]]:
    found = {}
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            found[int(pid)] = _stat(pid)
    return found


def _tree(root: int, processes: Mapping[int, tuple[int, float]]) -> Iterator[int]:
    yield root
    for pid, (parent, _) in processes.items():
        if parent == root:
            yield from _tree(pid, processes)


def _busy_seconds() -> float:
    """Return the CPU time of all cores that was not idle, stolen time included."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / TICK


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far: of each named process with its children, of us, and of the others."""

    at: float
    cpu: dict[str, float]
    others: float

    @classmethod
    def now(cls, pids: Mapping[str, int], excluded: frozenset[int] = frozenset()) -> "Usage":
        processes = _all()
        busy = _busy_seconds()
        ours = sum(processes[pid][1] for pid in _tree(os.getpid(), processes))
        cpu = {
            name: sum(processes[pid][1] for pid in {*_tree(root, processes)} - excluded)
            for name, root in pids.items()
            if root in processes
        }
        return cls(time.monotonic(), cpu, busy - ours)

    def since(self, before: "Usage") -> "Usage":
        cpu = {name: seconds - before.cpu.get(name, 0) for name, seconds in self.cpu.items()}
        return Usage(self.at - before.at, cpu, self.others - before.others)


def resident_bytes(pid: int) -> int:
    return sum(
        int(Path("/proc", str(each), "statm").read_text().split()[1]) * PAGE
        for each in _tree(pid, _all())
    )
