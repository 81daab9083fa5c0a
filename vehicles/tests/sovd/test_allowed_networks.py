"""Networks that the SOVD connector may reach."""

import socket
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.http_peer import always
from vehicles.tests.sovd.hostile_server import documents, peer, target


async def test_a_server_in_a_network_that_is_not_allowed_is_not_asked(
    connector: SovdConnector, settings: Settings
) -> None:
    settings.CONNECTOR_ALLOWED_NETWORKS = []
    probe = await connector.probe(target("http://169.254.169.254"))

    assert probe.status == "disconnected"
    assert "`url`" in probe.problem
    assert "CONNECTOR_ALLOWED_NETWORKS" in probe.problem


async def test_the_address_that_was_checked_is_the_one_connected_to(
    connector: SovdConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name would have another address, or none, if it were resolved again."""

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        assert host == "car.invalid"
        return [(0, 0, 0, "", ("127.0.0.2", 0)), (0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with peer(documents({})) as hostile:
        probe = await connector.probe(target(f"http://car.invalid:{hostile.port}"))

    assert (probe.status, probe.problem) == ("connected", "")
    assert hostile.requests[0].headers["host"] == f"car.invalid:{hostile.port}"


async def test_a_closed_port_is_disconnected(connector: SovdConnector) -> None:
    async with peer(always(b"")) as hostile:
        origin = hostile.origin

    probe = await connector.probe(target(origin))

    assert probe.status == "disconnected"
    assert "accepts no connection" in probe.problem
