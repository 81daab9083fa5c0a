"""Addresses and failures on the way to a SOVD vehicle."""

from dataclasses import replace

import pytest

from vehicles.connectors.sovd import server
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.sovd.requests import ECU
from vehicles.tests.sovd_vehicle import (
    BASE,
    SovdVehicle,
)
from vehicles.tests.targets import VIN, TargetEcu, execute, failure


@pytest.mark.parametrize(
    "url", ["{}", "{}/", "{}/version-info"], ids=["host", "slash", "version-info"]
)
async def test_the_base_is_learned_from_version_info(
    connector: SovdConnector, vehicle: SovdVehicle, url: str
) -> None:
    target = vehicle.target(url=url.format(vehicle.origin))

    probe = await connector.probe(target)

    assert (probe.status, probe.problem, probe.vin) == ("connected", "", VIN)
    assert [str(request) for request in vehicle.peer.requests] == [
        "GET /version-info",
        f"GET {BASE}/",
        f"GET {BASE}",
        f"GET {BASE}/data/vin",
    ]


@pytest.mark.parametrize("base_uri", [BASE, f"{BASE}/", "{}" + BASE])
async def test_a_base_that_is_set_is_used_instead_of_the_servers(
    connector: SovdConnector, vehicle: SovdVehicle, base_uri: str
) -> None:
    target = vehicle.target(base_uri=base_uri.format(vehicle.origin))

    assert (await connector.probe(target)).status == "connected"
    assert "/version-info" not in [request.path for request in vehicle.peer.requests]


async def test_the_base_is_asked_for_once_and_the_vin_before_each_command(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = vehicle.target()

    for _ in range(2):
        await execute(connector, target, "ReadDTC", ECU)

    paths = [request.path for request in vehicle.peer.requests]
    assert paths.count("/version-info") == 1
    assert paths.count(f"{BASE}/data/vin") == 2
    assert vehicle.peer.connections == 1


async def test_an_idle_connection_is_closed(
    connector: SovdConnector, vehicle: SovdVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "KEPT_SECONDS", 0.0)

    await execute(connector, vehicle.target(), "ReadDTC", ECU)

    await vehicle.peer.all_closed()


async def test_the_vin_may_be_in_another_component_under_another_name(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    documents = vehicle._documents()
    del documents[""]["data"]
    documents["/components/engine/data/WMI"] = {"id": "WMI", "data": [{"Number": VIN}]}
    vehicle._documents = lambda: documents  # type: ignore[method-assign]

    assert (await connector.probe(vehicle.target(data_ids={"0xF190": "WMI"}))).vin == VIN
    assert (await connector.probe(vehicle.target())).vin == VIN, "by raw UDS"
    documents[""]["variant"] = {"VIN": VIN[::-1]}
    assert (await connector.probe(vehicle.target())).status == "error"


async def test_an_ecu_without_a_component_is_refused_and_the_server_is_not_asked(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = replace(vehicle.target(), configured_ecus=[TargetEcu("0x10")])

    for params in (ECU, {"ecuAddress": "0x77"}):
        error = await failure(connector, target, "ReadDTC", params)
        assert error.error_code == "vehicle_refused"
        assert "no SOVD component" in str(error)
    assert vehicle.peer.requests == []


async def test_a_component_that_the_server_lacks_is_refused_with_those_it_has(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = replace(vehicle.target(), configured_ecus=[TargetEcu("0x10", component="brakes")])

    error = await failure(connector, target, "ClearDTC", ECU)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "It has: engine, transmission" in str(error)
