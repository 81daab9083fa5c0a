"""A SOVD vehicle and the connector of its tests."""

from collections.abc import AsyncIterator

import pytest

from vehicles.connectors.sovd import operations, server
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.sovd_vehicle import (
    SovdVehicle,
)
from vehicles.tests.targets import VIN


@pytest.fixture
async def connector() -> AsyncIterator[SovdConnector]:
    sovd = SovdConnector()
    yield sovd
    await sovd.close()


@pytest.fixture
async def vehicle() -> AsyncIterator[SovdVehicle]:
    made = SovdVehicle(VIN)
    made.peer.start()
    yield made
    made.may_answer.set()
    await made.peer.stop()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "POLL_SECONDS", (0.0, 0.01))
    monkeypatch.setattr(server, "ANSWER_SECONDS", 3.0)
