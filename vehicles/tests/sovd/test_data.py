"""Data of a SOVD vehicle."""

import asyncio
from typing import Any

import pytest

from vehicles.connectors.base import VehicleError
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.connectors.sovd.errors import Refusal
from vehicles.tests.sovd.requests import ECU, READ_VIN, WRITE
from vehicles.tests.sovd_vehicle import (
    SovdVehicle,
)
from vehicles.tests.targets import KeptAttempt, execute, failure, responses


async def test_data_is_read_by_the_servers_name_for_the_identifier(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = vehicle.target(data_ids={"0x010d": "speed"})
    params = ECU | {"dataId": "0x010D"}

    _, data = await responses(connector, "ReadDataByID", params, target)

    assert data == {
        "type": "data",
        "dataId": "0x010D",
        "name": "speed",
        "value": 12.5,
        "unit": "",
        "raw": "",
    }


async def test_data_under_the_identifier_itself_needs_no_mapping(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    documents = vehicle._documents()
    documents["/components/engine/data"] = {"items": [{"id": "0xF187"}]}
    value = {"value": "8K0 907 115", "unit": "", "raw": "384b30"}
    documents["/components/engine/data/0xF187"] = {"id": "0xF187", "data": value}
    vehicle._documents = lambda: documents  # type: ignore[method-assign]
    params = ECU | {"dataId": "0xF187"}

    _, data = await responses(connector, "ReadDataByID", params, vehicle.target())

    assert (data["value"], data["raw"]) == ("8K0 907 115", "384B30")


async def test_an_identifier_without_a_name_says_how_to_map_it(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    documents = vehicle._documents()
    del documents["/components/engine"]["x-maker-genericservice"]
    vehicle._documents = lambda: documents  # type: ignore[method-assign]

    error = await failure(connector, vehicle.target(), "ReadDataByID", READ_VIN)

    assert error.error_code == "vehicle_refused"
    assert "no data named 0xF190" in str(error)
    assert "`data_ids`" in str(error)


async def test_data_is_written_as_raw_uds_once(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    attempt = KeptAttempt()

    [written] = await execute(connector, vehicle.target(), "WriteDataByID", WRITE, attempt)

    assert written.response == {
        "type": "written",
        "ecuAddress": "0x10",
        "dataId": "0xF198",
        "raw": "4142",
    }
    assert vehicle.data[0xF198] == b"AB"
    assert len(attempt.announced) == 1
    assert vehicle.locks == {}


@pytest.mark.parametrize(
    ("present", "written"),
    [
        pytest.param("SHOP", "AB", id="text"),
        pytest.param("ffff", "4142", id="hexadecimal"),
        pytest.param({"Code": "FFFF"}, {"Code": "4142"}, id="in an object"),
        pytest.param({"raw": "FF", "x": 1}, {"raw": "4142"}, id="raw"),
        pytest.param("ffffff", None, id="hexadecimal of another length"),
        pytest.param(12, None, id="a number"),
    ],
)
async def test_data_is_written_in_the_form_that_the_server_tells(
    connector: SovdConnector, vehicle: SovdVehicle, present: Any, written: Any
) -> None:
    documents = vehicle._documents()
    documents["/components/engine/data/shop"] = {"id": "shop", "data": present}
    vehicle._documents = lambda: documents  # type: ignore[method-assign]
    target = vehicle.target(data_ids={"0xF198": "shop"})
    attempt = KeptAttempt()

    [result] = await asyncio.gather(
        execute(connector, target, "WriteDataByID", WRITE, attempt), return_exceptions=True
    )

    assert written or isinstance(result, Refusal)
    sent = [request.json for request in vehicle.peer.requests if request.method == "PUT"]
    assert sent == ([{"data": written}] if written else [])
    assert len(attempt.announced) == len(sent)


async def test_a_write_is_proved_by_reading_it(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = vehicle.target()
    vehicle.fault = "cut after a clear"
    error = await failure(connector, target, "WriteDataByID", WRITE)
    vehicle.fault = ""

    back = await connector.read_back(target, "WriteDataByID", WRITE, None, KeptAttempt())

    assert not error.is_certain
    assert back
    assert [response.response["type"] for response in back] == ["written"]
    assert vehicle.carried_out == ["write"]
    other = WRITE | {"data": "4344"}
    with pytest.raises(VehicleError) as caught:
        await connector.read_back(target, "WriteDataByID", other, None, KeptAttempt())
    assert caught.value.error_code == "outcome_unknown"
