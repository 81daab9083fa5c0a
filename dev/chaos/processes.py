"""All processes of a campaign, each of which can be killed, paused, drained and started again."""

import math
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.processes import POOL_SIZE, Installation, Process, ending
from dev.servers import Server

STOP_SECONDS = 30.0

LEASE_SECONDS = 3.0
TIMEOUT_SECONDS = 9.0
DRAIN_SECONDS = LEASE_SECONDS + TIMEOUT_SECONDS + 3
STREAM_POLL_SECONDS = 1.0
LATENCY_SECONDS = 0.15
SLOW_SECONDS = 1.7  # per response: a command then lasts longer than a lease
SLOW_WORKER = "worker-3"
YOUNG_SECONDS = 10.0  # a process may still be starting for so long

# Of clients that are many and fast, for as long as a campaign lasts.
LOAD_SETTINGS = {
    "ACCESS_TOKEN_SECONDS": 24 * 3600,
    "REQUESTS_PER_USER": 1000,
    "DATABASE_POOL_SIZE": POOL_SIZE,
}
SETTINGS = LOAD_SETTINGS | {
    "COMMAND_LEASE_SECONDS": LEASE_SECONDS,
    "COMMAND_TIMEOUT_SECONDS": TIMEOUT_SECONDS,
    "STREAM_POLL_SECONDS": STREAM_POLL_SECONDS,
    "VEHICLE_PRESENCE_SECONDS": 10,
    "VEHICLE_PROBE_SECONDS": 2,
    "MOCK_VEHICLE_TIMEOUT_RATE": 0.01,
    "MOCK_VEHICLE_UNREACHABLE_RATE": 0.01,
    "MOCK_VEHICLE_MALFORMED_RATE": 0.01,
}


@dataclass
class Disturbance:
    """A reason to lose a claim: times by the clock of this machine."""

    target: str
    """A life of a process, or a server."""
    since: float
    until: float = math.inf


class Processes(Installation):
    def __init__(self, home: Path, expires_seconds: float, seed: int, mutant: str = "") -> None:
        """`seed`: of the failpoints; `mutant`: see dev/chaos/mutants.py."""
        super().__init__(
            SETTINGS | {"COMMAND_EXPIRES_SECONDS": expires_seconds}, home, web=2, workers=3
        )
        self.expires_seconds = expires_seconds
        self.journal = home / "journal"
        self.journal.mkdir()
        self.unexpected_ends: list[str] = []
        """Processes that ended by themselves, or did not end when they were asked to."""
        self.disturbances: list[Disturbance] = []
        self._random = random.Random(f"{seed} failpoints")
        self._mutant = ["--mutant", mutant] if mutant else []
        self._draining: dict[str, Process] = {}
        self._lives: Counter[str] = Counter()
        self._started_at: dict[str, float] = {}

    # --- How a process is started

    def program(self, name: str) -> Sequence[str]:
        program = [argument for argument in super().program(name) if argument != "-m"]
        patches = ["--failpoints", self._failpoints(name), "--journal", str(self.journal)]
        return ["-m", "dev.with_django", "dev.chaos.patched", *patches, *self._mutant, *program]

    def _failpoints(self, name: str) -> str:
        """Break connections around a COMMIT in every second life, and kill some workers there."""
        if self._random.random() < 0.5:
            return ""
        points = [f"after_commit=cut@{self._random.randint(5, 60)}"]
        if name in self.workers:
            points.append(f"before_commit=cut@{self._random.randint(5, 60)}")
            point = self._random.choice(("before_send", "after_send", "after_commit"))
            points.append(f"{point}=kill@{self._random.randint(20, 200)}")
        return ",".join(points)

    def environment(self, name: str) -> dict[str, str]:
        latency = SLOW_SECONDS if name == SLOW_WORKER else LATENCY_SECONDS
        return super().environment(name) | {"MOCK_VEHICLE_LATENCY_SECONDS": str(latency)}

    def name_in_postgres(self, name: str) -> str:
        """Give each start of a process a name of its own: its life."""
        return f"{name}.{self._lives[name]}" if name in self._lives else name

    # --- What the nemesis does

    def server(self, name: str) -> Server | None:
        return getattr(self.servers, name, None)

    def start(self, name: str) -> None:
        if server := self.server(name):
            server.start()
            self._end_disturbance(name)
        else:
            self._lives[name] += 1
            self._started_at[name] = time.time()
            super().start(name)

    def kill(self, name: str) -> None:
        self._begin_disturbance(name)
        if name == "postgres":  # at once, as if it had crashed, but with all of its backends
            self.servers.postgres.process.send_signal(signal.SIGQUIT)
            self.servers.postgres.process.wait(STOP_SECONDS)
        elif server := self.server(name):
            server.kill()
        else:
            super().kill(name)

    def pause(self, name: str) -> None:
        self._begin_disturbance(name)
        super().pause(name)

    def resume(self, name: str) -> None:
        super().resume(name)
        self._end_disturbance(name)

    def drain(self, name: str) -> None:
        self._draining[name] = self.running.pop(name)
        self._draining[name].terminate()
        self._started_at[name] -= time.time()  # from now on: minus its age

    def restart(self, name: str) -> None:
        self.wait_for_end(name, patience=1)
        self.start(name)

    def wait_for_end(self, name: str, patience: float = DRAIN_SECONDS) -> None:
        """Wait for a drained process; one that does not end, or not well, is a finding."""
        process = self._draining.pop(name)
        is_young = -self._started_at[name] < YOUNG_SECONDS
        try:
            code = process.wait(patience)
            if code and not (code == -signal.SIGTERM and is_young):
                self.unexpected_ends.append(f"{name} {ending(process)} when it was asked to stop")
        except subprocess.TimeoutExpired:
            self.unexpected_ends.append(f"{name} did not stop within {patience:g} s")
            process.kill()
            process.wait()

    def restart_the_dead(self) -> None:
        """Start again after a failpoint; any other end that nobody asked for is a finding."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                self._begin_disturbance(name)
                if process.returncode != -signal.SIGKILL:
                    self.unexpected_ends.append(f"{name} {ending(process)}")
                self.start(name)

    def lives(self) -> list[str]:
        return [self.name_in_postgres(name) for name in self.running]

    def stop_all(self) -> None:
        """Stop the workers and then the web processes, as an operator does."""
        for names in (self.workers, self.web):
            for name in names:
                self.drain(name)
            for name in names:
                self.wait_for_end(name)

    def __exit__(self, *_: object) -> None:
        self.running |= {f"{name} (draining)": each for name, each in self._draining.items()}
        super().__exit__()

    def _begin_disturbance(self, name: str) -> None:
        self.disturbances.append(Disturbance(self.name_in_postgres(name), time.time()))

    def _end_disturbance(self, name: str) -> None:
        for disturbance in self.disturbances:
            if disturbance.target == self.name_in_postgres(name) and disturbance.until == math.inf:
                disturbance.until = time.time()
