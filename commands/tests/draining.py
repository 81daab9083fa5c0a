"""A worker in the process of the test: one of its own takes long to start."""

from pathlib import Path
from typing import cast

from asgiref.sync import async_to_sync

from conftest import drain
from dev.chaos.failpoints import Failpoints
from dev.chaos.journal import Journal, WatchedConnector
from vehicles.connectors.base import Connector
from vehicles.connectors.mock import MockConnector


def drain_here(failpoints: str = "", journal: Path | None = None) -> None:
    """Let a worker drain the database; `failpoints` may cut its connections, but not kill it."""
    points = Failpoints(failpoints)
    watched = WatchedConnector(
        MockConnector.from_settings(), Journal(journal) if journal else None, points
    )
    with points.armed():
        async_to_sync(drain)(cast(Connector, watched))
