"""A running product with something to look at: one web process, one worker, a fleet with a past."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Self

from dev.chaos.processes import START_SECONDS, Processes
from dev.servers import ServerError

EXPIRES_SECONDS = 24 * 3600.0  # what waits for an offline vehicle waits as long as anybody looks
SETTINGS = {
    "COMMAND_LEASE_SECONDS": "30",
    "COMMAND_TIMEOUT_SECONDS": "30",
    "VEHICLE_PRESENCE_SECONDS": "30",
    "MOCK_VEHICLE_TIMEOUT_RATE": "0",
    "MOCK_VEHICLE_UNREACHABLE_RATE": "0",
    "MOCK_VEHICLE_MALFORMED_RATE": "0",
}


class Showroom(Processes):
    def __init__(self, home: Path) -> None:
        super().__init__(home, expires_seconds=EXPIRES_SECONDS)
        self.web, self.workers = ["web-1"], ["worker-1"]
        self.ports = {name: self.ports[name] for name in self.web}
        self.ids: dict[str, str] = {}
        """Of what `dev.showroom.furnish` has made, by what each is an example of."""

    def _make_environment(self, scratch: Path) -> dict[str, str]:
        return super()._make_environment(scratch) | SETTINGS

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Self]:
        """One that leaves nothing behind."""
        with TemporaryDirectory() as home, cls(Path(home)) as showroom:
            showroom.open()
            yield showroom

    def open(self) -> None:
        self.set_up()
        ids = self.logs / "ids.json"
        self.do("furnish", str(ids))
        self.ids = json.loads(ids.read_text())
        self.start_all()

    def do(self, name: str, *arguments: str) -> None:
        """Run one of the programs of this package beside the product."""
        if self.begin(name, *arguments).wait(START_SECONDS):
            raise ServerError(f"{name} failed: see {self.logs / name}.log")

    def begin(self, name: str, *arguments: str) -> Popen[bytes]:
        return self._spawn(name, name, ["-m", f"dev.showroom.{name}", *arguments], {})

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        self.pause(name)
        try:
            yield
        finally:
            self.resume(name)

    @property
    def address(self) -> str:
        return self.url("web-1")
