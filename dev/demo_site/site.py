"""The demo site: one web process, one worker, and a fleet with a past.

Its static files are those of the checkout, which the Makefile collects when one has changed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import psycopg

from dev.bench.growth import COMMANDS, EVENTS, PREPARE
from dev.clients import make_vehicles
from dev.processes import Installation, Process

DAY = 24 * 3600
VEHICLES, PAST = 5_000, 20_000  # of the large site
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "sovd.tests.settings",
    "ACCESS_TOKEN_SECONDS": DAY,
    "COMMAND_EXPIRES_SECONDS": DAY,  # commands for an offline vehicle wait as long as one looks
    "REQUESTS_PER_USER": 1000,
    "STREAM_POLL_SECONDS": 1,
    "MOCK_VEHICLE_LATENCY_SECONDS": 0.15,
}


class DemoSite(Installation):
    ids: dict[str, str]
    """IDs of what `dev.demo_site.seed` has made, by what each is an example of."""

    def __init__(self, home: Path) -> None:
        super().__init__(SETTINGS, home)

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[Self]:
        with TemporaryDirectory() as home, cls(Path(home)) as site:
            yield site

    def prepare(self) -> None:
        """Fill the database, and start the site."""
        super().prepare()
        self.fill()
        ids = self.logs / "ids.json"
        self.run("demo-fleet", "-m", "dev.with_django", "dev.demo_site.seed", str(ids))
        self.ids = json.loads(ids.read_text())
        self.start_all()

    def fill(self) -> None:
        """Hook for what is there before the examples are made."""

    def send_responses(self, command_id: str, count: int, held_after: int | None = None) -> Process:
        """Start to send so many responses to a command of an offline vehicle.

        After `held_after` of them it waits for SIGUSR1.
        """
        numbers = [str(count), str(count if held_after is None else held_after)]
        program = ("-m", "dev.with_django", "dev.demo_site.send_responses", command_id, *numbers)
        return self.spawn("send_responses", program)


class LargeDemoSite(DemoSite):
    """The demo site with a large fleet and a long past."""

    def fill(self) -> None:
        url = self.servers.postgres.url
        make_vehicles(url, VEHICLES)
        with psycopg.ClientCursor(psycopg.connect(url, autocommit=True)) as cursor:
            for statements in (PREPARE, COMMANDS, EVENTS):
                cursor.execute(statements, {"size": PAST, "first": 0, "last": PAST - 1})
            cursor.execute("VACUUM ANALYZE")
            cursor.connection.close()
