"""One web process, which is measured, and the producer in the place of the workers."""

from pathlib import Path

from dev.chaos.processes import Processes

EXPIRES_SECONDS = 24 * 3600.0


class OneWeb(Processes):
    def __init__(self, home: Path) -> None:
        super().__init__(home, expires_seconds=EXPIRES_SECONDS)
        self.web, self.workers = ["web-1"], ["producer-1"]
        self.ports = {name: self.ports[name] for name in self.web}

    def _make_environment(self, scratch: Path) -> dict[str, str]:
        """The safety net with its wide meshes: a busy process would read most lines twice."""
        return super()._make_environment(scratch) | {"STREAM_POLL_SECONDS": "3"}

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def _command(self, name: str) -> list[str]:
        if name in self.workers:
            return ["-m", "dev.soak.producer"]
        return super()._command(name)
