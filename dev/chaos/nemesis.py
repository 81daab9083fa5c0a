"""The faults of a campaign and their times: drawn from a seed, and written down before the run."""

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dev.chaos.load import Load
from dev.chaos.processes import DRAIN_SECONDS, LEASE_SECONDS, Processes

WARM_UP_SECONDS = 2.0
MAX_BETWEEN_SECONDS = 6.0
MIN_BETWEEN_SECONDS = 1.8
MAX_OUTAGE_SECONDS = 60.0

EACH_ONCE = (
    *("kill worker", "pause worker", "drain worker", "kill web"),
    *("kill valkey", "flush valkey", "kill postgres", "forge notifications"),
)
AGAIN = ("kill worker", "kill worker", "kill worker", "kill web", "kill valkey", "pause worker")

END_OF = {"kill": "start", "pause": "resume", "drain": "restart"}


class Step(NamedTuple):
    at: float
    """Seconds after the start."""
    action: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  {self.action} {self.target}".rstrip()


def schedule(seed: int, seconds: float, web: Sequence[str], workers: Sequence[str]) -> list[Step]:
    return sorted(Plan(seed, seconds, web, workers).steps())


class Plan:
    def __init__(
        self, seed: int, seconds: float, web: Sequence[str], workers: Sequence[str]
    ) -> None:
        self._random = random.Random(f"{seed} nemesis")
        self._seconds = seconds
        self._targets = {"web": web, "worker": workers}
        self._affected: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def steps(self) -> Iterator[Step]:
        yield from self._outages()
        kinds = self._kinds()
        between = min(MAX_BETWEEN_SECONDS, max(MIN_BETWEEN_SECONDS, self._seconds / 20))
        at = WARM_UP_SECONDS
        while at < self._seconds:
            yield from self._fault(at, *next(kinds).split())
            at += between * self._random.uniform(0.7, 1.3)

    def _kinds(self) -> Iterator[str]:
        while True:
            for deck in (EACH_ONCE, AGAIN):
                yield from self._random.sample(deck, len(deck))

    def _outages(self) -> Iterator[Step]:
        """Yield a long outage of each server, where the campaign has the time."""
        length = min(MAX_OUTAGE_SECONDS, self._seconds / 10)
        if length >= LEASE_SECONDS:
            for server, share in (("valkey", 0.4), ("postgres", 0.7)):
                yield from self._affect(self._seconds * share, length, "kill", server)

    def _fault(self, at: float, action: str, kind: str) -> Iterator[Step]:
        length = self._length(action)
        if target := self._unaffected(kind, at - 1, at + length + 1):
            yield from self._affect(at, length, action, target)

    def _length(self, action: str) -> float:
        if action == "pause":  # sometimes beyond its leases, which others then take over
            return LEASE_SECONDS * self._random.uniform(0.3, 2)
        return DRAIN_SECONDS if action == "drain" else self._random.uniform(0.2, 3)

    def _unaffected(self, kind: str, start: float, end: float) -> str:
        free = [
            target
            for target in self._targets.get(kind, [kind])
            if all(end < since or until < start for since, until in self._affected[target])
        ]
        return self._random.choice(free) if free else ""

    def _affect(self, at: float, length: float, action: str, target: str) -> Iterator[Step]:
        self._affected[target].append((at, at + length))
        yield Step(at, action, target)
        if action in END_OF:
            yield Step(at + length, END_OF[action], target)


def run(steps: Sequence[Step], processes: Processes, load: Load) -> None:
    start = time.monotonic()
    for step in steps:
        time.sleep(max(0.0, start + step.at - time.monotonic()))
        processes.restart_the_dead()
        do(step, processes, load)


def do(step: Step, processes: Processes, load: Load) -> None:
    if step.action == "flush":
        load.flush()
    elif step.action == "forge":
        load.forge()
    else:
        getattr(processes, step.action)(step.target)
