"""The responses of simulated vehicles to each command type."""

from collections.abc import Callable
from typing import Any

import pytest

from vehicles.connectors import CONNECTORS
from vehicles.connectors.mock import MockConnector
from vehicles.tests.targets import (
    MOCKED,
    Target,
    TargetEcu,
    execute,
    failure,
    refusal,
    responses,
    stored_codes,
)

ENGINE = {"ecuAddress": "0x10"}
TRANSMISSION = {"ecuAddress": "0x18"}
PART_NUMBER = ENGINE | {"dataId": "0xF187"}
ROUTINE = ENGINE | {"routineId": "0x0203"}


async def test_the_mock_can_carry_out_whatever_another_connector_can() -> None:
    mock = MockConnector.command_names

    assert mock >= {name for each in CONNECTORS.values() for name in each.command_names}


# The spelling of addresses


@pytest.mark.parametrize("address", ["0x10", "0x0010"])
async def test_an_address_of_four_digits_is_the_same_ecu(address: str) -> None:
    summary = (await responses(MockConnector(), "ReadDTC", {"ecuAddress": address}))[-1]

    assert (summary["ecuAddress"], summary["dtcCount"] > 0) == ("0x10", True)


async def test_responses_spell_an_address_as_it_is_configured() -> None:
    target = Target(connector="mock", configured_ecus=[TargetEcu("0x001A")])
    [summary] = await responses(MockConnector(), "ReadDTC", {"ecuAddress": "0x1a"}, target)

    assert summary["ecuAddress"] == "0x001A"


# ReadDataByID


MEASURED: list[tuple[str, str, str, int, Callable[[int], float]]] = [
    ("0x010C", "Engine speed", "rpm", 4, lambda raw: raw / 4),
    ("0x010D", "Vehicle speed", "km/h", 2, lambda raw: raw),
    ("0x0105", "Coolant temperature", "°C", 2, lambda raw: raw - 40),
]


@pytest.mark.parametrize(("data_id", "name", "unit", "raw_digits", "decode"), MEASURED)
async def test_a_measured_value_belongs_to_its_raw_bytes(
    data_id: str, name: str, unit: str, raw_digits: int, decode: Callable[[int], float]
) -> None:
    reading, data = await responses(MockConnector(), "ReadDataByID", ENGINE | {"dataId": data_id})

    assert reading == {"type": "reading", "ecuAddress": "0x10", "dataId": data_id}
    raw = data.pop("raw")
    assert len(raw) == raw_digits
    assert data == {
        "type": "data",
        "dataId": data_id,
        "name": name,
        "value": decode(int(raw, 16)),
        "unit": unit,
    }


@pytest.mark.parametrize(
    ("data_id", "name", "value"),
    [
        ("0xF187", "Spare part number", "MOCK-10-0001"),
        ("0xF189", "Software version", "1.4.2"),
        ("0xF18C", "ECU serial number", "10MN109186"),
        ("0xF190", "VIN", "1HGBH41JXMN109186"),
    ],
)
async def test_an_identification_is_text(data_id: str, name: str, value: str) -> None:
    _, data = await responses(MockConnector(), "ReadDataByID", ENGINE | {"dataId": data_id})

    assert data == {
        "type": "data",
        "dataId": data_id,
        "name": name,
        "value": value,
        "unit": "",
        "raw": value.encode("ascii").hex().upper(),
    }


async def test_identifiers_may_be_written_in_lower_case() -> None:
    params = {"ecuAddress": "0xaB", "dataId": "0xf190"}

    reading, data = await responses(MockConnector(), "ReadDataByID", params)

    assert reading == {"type": "reading", "ecuAddress": "0xAB", "dataId": "0xF190"}
    assert data["dataId"] == "0xF190"


async def test_an_unknown_data_identifier_is_refused() -> None:
    message = await refusal(MockConnector(), "ReadDataByID", ENGINE | {"dataId": "0x1234"})

    assert message.startswith("NRC 0x31 requestOutOfRange: ECU 0x10 has no data identifier 0x1234")


# WriteDataByID


@pytest.mark.parametrize(
    ("params", "value"),
    [
        (PART_NUMBER, "AB12"),
        (ENGINE | {"dataId": "0x1234"}, "AB12"),
    ],
)
async def test_written_data_is_read_back(params: dict[str, Any], value: str) -> None:
    mock = MockConnector()

    assert await responses(mock, "WriteDataByID", params | {"data": "41423132"}) == [
        {"type": "written", "ecuAddress": "0x10", "dataId": params["dataId"], "raw": "41423132"}
    ]

    _, data = await responses(mock, "ReadDataByID", params)
    assert (data["value"], data["raw"]) == (value, "41423132")
    other = await failure(mock, MOCKED, "ReadDataByID", TRANSMISSION | {"dataId": "0x1234"})
    assert other.error_code == "vehicle_refused"


async def test_a_measured_value_cannot_be_written() -> None:
    params = ENGINE | {"dataId": "0x010C", "data": "0000"}

    message = await refusal(MockConnector(), "WriteDataByID", params)

    assert message.startswith("NRC 0x31 requestOutOfRange: 0x010C is measured by ECU 0x10")


# RoutineControl and ECUReset


async def control(mock: MockConnector, action: str) -> str:
    """Return the status record of the routine after the action."""
    [routine] = await responses(mock, "RoutineControl", ROUTINE | {"action": action})
    raw: str = routine.pop("raw")
    assert routine == {
        "type": "routine",
        "ecuAddress": "0x10",
        "routineId": "0x0203",
        "action": action,
    }
    return raw


async def test_a_routine_is_started_and_stopped_and_has_results() -> None:
    mock = MockConnector()
    actions = ["start", "results", "stop", "results", "start"]

    assert [await control(mock, action) for action in actions] == ["01", "01", "00", "00", "01"]


@pytest.mark.parametrize(
    "before", [[], [("start", TRANSMISSION)], [("start", ENGINE), ("stop", ENGINE)]]
)
async def test_a_routine_that_does_not_run_cannot_be_stopped(
    before: list[tuple[str, dict[str, str]]],
) -> None:
    mock = MockConnector()
    for action, ecu in before:
        await execute(mock, MOCKED, "RoutineControl", ROUTINE | ecu | {"action": action})

    message = await refusal(mock, "RoutineControl", ROUTINE | {"action": "stop"})

    assert message.startswith("NRC 0x24 requestSequenceError: Routine 0x0203 of ECU 0x10")


async def test_a_routine_that_never_ran_has_no_results() -> None:
    message = await refusal(MockConnector(), "RoutineControl", ROUTINE | {"action": "results"})

    assert message.startswith("NRC 0x24 requestSequenceError")


@pytest.mark.parametrize("reset_type", ["hard", "keyOffOn", "soft"])
async def test_a_reset_ends_routines_and_keeps_codes_and_data(reset_type: str) -> None:
    mock = MockConnector()
    codes = await stored_codes(mock, ENGINE)
    await control(mock, "start")
    await execute(mock, MOCKED, "WriteDataByID", PART_NUMBER | {"data": "4142"})

    assert await responses(mock, "ECUReset", ENGINE | {"resetType": reset_type}) == [
        {"type": "reset", "ecuAddress": "0x10", "resetType": reset_type}
    ]

    await refusal(mock, "RoutineControl", ROUTINE | {"action": "results"})
    assert await stored_codes(mock, ENGINE) == codes
    assert (await responses(mock, "ReadDataByID", PART_NUMBER))[-1]["value"] == "AB"


# ScanVehicle


async def test_a_scan_tells_of_four_ecus_and_counts_them() -> None:
    mock = MockConnector()

    *ecus, scan = await responses(mock, "ScanVehicle", {})

    assert [(ecu["ecuAddress"], ecu["name"]) for ecu in ecus] == [
        ("0x10", "Engine control"),
        ("0x18", "Transmission control"),
        ("0x28", "Brake control"),
        ("0x40", "Body control"),
    ]
    *codes, _ = await responses(mock, "ReadDTC", ENGINE)
    assert ecus[0] == {
        "type": "ecu",
        "ecuAddress": "0x10",
        "name": "Engine control",
        "reachable": True,
        "problem": "",
        "identification": {
            "0xF190": MOCKED.vin,
            "0xF187": "MOCK-10-0001",
            "0xF189": "1.4.2",
            "0xF18C": "10MN109186",
        },
        "identificationRaw": {
            "0xF190": MOCKED.vin.encode().hex().upper(),
            "0xF187": b"MOCK-10-0001".hex().upper(),
            "0xF189": "312E342E32",
            "0xF18C": b"10MN109186".hex().upper(),
        },
        "dtcs": codes,
    }
    count = sum(len(ecu["dtcs"]) for ecu in ecus)
    assert scan == {"type": "scan", "ecuCount": 4, "reachableCount": 4, "dtcCount": count}


async def test_a_scan_of_a_vehicle_with_configured_ecus_tells_of_these() -> None:
    ecus = [TargetEcu("0x10", "Motor"), TargetEcu("0x1010")]
    target = Target(connector="mock", configured_ecus=ecus)

    first, second, scan = await responses(MockConnector(), "ScanVehicle", {}, target)

    assert (first["ecuAddress"], first["name"]) == ("0x10", "Motor")
    assert (second["ecuAddress"], second["dtcs"]) == ("0x1010", [])
    assert (scan["ecuCount"], scan["dtcCount"]) == (2, len(first["dtcs"]))


async def test_a_scan_shows_an_identification_that_was_written() -> None:
    mock = MockConnector()
    await execute(mock, MOCKED, "WriteDataByID", PART_NUMBER | {"data": "4142"})

    engine, *_ = await responses(mock, "ScanVehicle", {})

    assert engine["identification"]["0xF187"] == "AB"
