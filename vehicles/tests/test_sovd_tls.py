"""The SOVD connector over TLS: own authorities, client certificates, and names."""

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.sovd_vehicle import SovdVehicle
from vehicles.tests.targets import VIN, execute

ECU = {"ecuAddress": "0x10"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """Return the settings of a vehicle that trusts the authority and has a certificate by it."""
    ca_file, certificate = tmp_path / "ca.pem", tmp_path / "client.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    authority.issue_cert("console").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    return {"ca_file": str(ca_file), "client_certificate": str(certificate)}


@pytest.fixture
async def connector() -> AsyncIterator[SovdConnector]:
    sovd = SovdConnector()
    yield sovd
    await sovd.close()


@pytest.fixture(params=["127.0.0.1", "car.invalid"])
async def vehicle(
    request: pytest.FixtureRequest, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SovdVehicle]:
    """Serve with a certificate of this name, and demand one of the client."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(request.param).configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    made = SovdVehicle(VIN, tls)
    found = [(0, 0, 0, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    made.peer.start()
    yield made
    await made.peer.stop()


def url(vehicle: SovdVehicle, request: pytest.FixtureRequest) -> str:
    host = request.node.callspec.params["vehicle"]
    return f"https://{host}:{vehicle.peer.port}"


async def test_a_server_of_an_own_authority_is_reached_with_a_client_certificate(
    connector: SovdConnector,
    vehicle: SovdVehicle,
    files: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    documents = vehicle._documents()
    documents[""]["components"] = "/vehicle/v15/components"
    vehicle._documents = lambda: documents  # type: ignore[method-assign]
    target = vehicle.target(url=url(vehicle, request), **files)

    *_, summary = await execute(connector, target, "ReadDTC", ECU)

    assert summary.response["dtcCount"] == 4


@pytest.mark.parametrize("missing", ["ca_file", "client_certificate"])
async def test_a_server_is_not_reached_without_trust_or_without_a_certificate(
    connector: SovdConnector,
    vehicle: SovdVehicle,
    files: dict[str, str],
    missing: str,
    request: pytest.FixtureRequest,
) -> None:
    del files[missing]

    probe = await connector.probe(vehicle.target(url=url(vehicle, request), **files))

    assert probe.status == "disconnected"
    assert vehicle.peer.requests == []


async def test_a_certificate_of_another_name_is_not_accepted(
    connector: SovdConnector, vehicle: SovdVehicle, files: dict[str, str]
) -> None:
    other = f"https://other.invalid:{vehicle.peer.port}"

    probe = await connector.probe(vehicle.target(url=other, **files))

    assert probe.status == "disconnected"
    assert "certificate" in probe.problem
    assert vehicle.peer.requests == []


@pytest.mark.parametrize("setting", ["ca_file", "client_certificate"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"no PEM", id="no PEM"),
        pytest.param(b"a" * 1_100_000, id="too large"),
    ],
)
@pytest.mark.parametrize("vehicle", ["127.0.0.1"], indirect=True)
async def test_a_file_of_no_use_is_told_without_its_content(
    connector: SovdConnector, vehicle: SovdVehicle, tmp_path: Path, setting: str, content: Any
) -> None:
    path = tmp_path / "file.pem"
    if content:
        path.write_bytes(content)

    probe = await connector.probe(vehicle.target(**{setting: str(path)}))

    assert probe.status == "error"
    assert probe.problem == (
        f"The worker cannot use the file in `{setting}`. Correct the path, and check that it is "
        "PEM without a password."
    )
