"""Evidence, addresses and connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from vehicles.connectors.base import Response
from vehicles.connectors.doip import connection
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.doip.exchanges import (
    ENGINE,
    READ_VIN,
    START,
    VIN_RESPONSE,
    checks_vin,
)
from vehicles.tests.hostile import (
    ECU,
    OTHER_ECU,
    HostileGateway,
    activation,
    always,
    diagnostic,
    frame,
    gateway,
)
from vehicles.tests.targets import KeptAttempt, TargetEcu, execute, failure


async def test_each_exchange_is_kept_with_its_bytes_and_the_name_of_a_refusal(
    connector: DoipConnector,
) -> None:
    attempt = KeptAttempt()
    async with gateway(always(diagnostic(b"\x7f\x22\x31"))) as hostile:
        await failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN, attempt)

    [exchange] = attempt.exchanges
    assert (exchange.ecu_address, exchange.service) == ("0x10", "ReadDataByIdentifier")
    assert (exchange.request, exchange.response) == ("22F190", "7F2231")
    assert (exchange.nrc, exchange.nrc_name) == ("0x31", "requestOutOfRange")


async def test_a_request_without_response_is_kept_too(connector: DoipConnector) -> None:
    attempt = KeptAttempt()
    async with gateway(always()) as hostile:
        await failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN, attempt)

    [exchange] = attempt.exchanges
    assert (exchange.response, exchange.nrc, exchange.nrc_name) == (None, None, "")


@pytest.mark.parametrize(
    ("typed", "spelled", "logical"),
    [
        ("0x10", "0x10", ECU),
        ("0x0010", "0x10", ECU),
        ("0xab", "0x00AB", 0x00AB),
        ("0xac", "0xAC", 0x00AC),
        ("0x00ac", "0xAC", 0x00AC),
        ("0x1018", "0x1018", OTHER_ECU),
    ],
)
async def test_an_address_is_spelled_one_way_and_stands_for_one_ecu(
    connector: DoipConnector, typed: str, spelled: str, logical: int
) -> None:
    async def answer(_uds: bytes, ecu: int) -> list[bytes]:
        return [diagnostic(b"\x59\x02\xff", source=ecu)]

    async with gateway(answer) as hostile:
        ecus = (*hostile.vehicle.configured_ecus, TargetEcu("0x00aB"))
        vehicle = replace(hostile.vehicle, configured_ecus=ecus)
        [summary] = await execute(connector, vehicle, "ReadDTC", {"ecuAddress": typed})

    assert summary.response["ecuAddress"] == spelled
    assert [ecu for ecu, _ in hostile.requests] == [logical]


async def test_an_open_connection_is_used_again(connector: DoipConnector) -> None:
    async with gateway(always(VIN_RESPONSE)) as hostile:
        for _ in range(3):
            await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert hostile.connections == 1


async def test_a_connection_is_not_used_again_while_a_late_response_may_come(
    connector: DoipConnector,
) -> None:
    answers = iter([[], [VIN_RESPONSE]])

    async def answer(_uds: bytes, _ecu: int) -> list[bytes]:
        return next(answers)

    async with gateway(answer) as hostile:
        await failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN)
        await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert hostile.connections == 2


async def test_a_response_that_comes_twice_answers_no_later_request(
    connector: DoipConnector,
) -> None:
    async def twice(uds: bytes, _ecu: int) -> list[bytes]:
        return [diagnostic(b"\x62" + uds[1:] + b"A")] * 2

    async with gateway(twice) as hostile:
        for data_id in ("0xF187", "0xF189"):
            params = ENGINE | {"dataId": data_id}
            *_, data = await execute(connector, hostile.vehicle, "ReadDataByID", params)
            assert data.response["dataId"] == data_id

    assert hostile.connections == 1


async def test_an_idle_connection_is_closed_and_forgotten(
    connector: DoipConnector,
) -> None:
    async with gateway(always(VIN_RESPONSE)) as hostile:
        await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)
        assert hostile.open
        await hostile.all_closed()

    assert connector._gateways._gateways == {}


async def test_a_gateway_serves_its_vehicles_one_after_the_other(
    connector: DoipConnector,
) -> None:
    active = most = 0

    async def answer(_uds: bytes, _ecu: int) -> list[bytes]:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        active -= 1
        return [VIN_RESPONSE]

    async with gateway(answer) as hostile, asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN))

    assert (most, hostile.connections, len(hostile.requests)) == (1, 1, 10)


async def test_leaving_while_waiting_for_a_gateway_does_not_cut_the_command_that_holds_it(
    connector: DoipConnector,
) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(_uds: bytes, _ecu: int) -> list[bytes]:
        is_asked.set()
        await may_answer.wait()
        return [diagnostic(b"\x71\x01\x02\x03")]

    async with gateway(answer) as hostile:
        settings = {**hostile.vehicle.connector_settings, "response_timeout": 30}
        vehicle = replace(hostile.vehicle, connector_settings=settings)
        command = asyncio.create_task(execute(connector, vehicle, "RoutineControl", START))
        await is_asked.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await connector.probe(vehicle, with_ecus=True)
        may_answer.set()
        responses = await command

    assert responses[-1].is_final


@pytest.mark.parametrize("check_vin", [True, False])
async def test_a_vehicle_that_a_command_holds_is_connected_without_another_request(
    connector: DoipConnector, check_vin: bool
) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(uds: bytes, _ecu: int) -> list[bytes]:
        if uds == b"\x22\xf1\x87":
            is_asked.set()
            await may_answer.wait()
            return [diagnostic(b"\x62\xf1\x87A")]
        return [VIN_RESPONSE]

    async with gateway(answer) as hostile:
        vehicle = checks_vin(hostile) if check_vin else hostile.vehicle
        settings = {**vehicle.connector_settings, "response_timeout": 30}
        vehicle = replace(vehicle, connector_settings=settings)
        params = ENGINE | {"dataId": "0xF187"}
        command = asyncio.create_task(execute(connector, vehicle, "ReadDataByID", params))
        await is_asked.wait()
        probe = await connector.probe(vehicle)
        may_answer.set()
        responses = await command

    assert (probe.status, probe.problem) == ("connected", "")
    assert responses[-1].is_final
    assert hostile.connections == 1


async def test_a_gateway_that_is_busy_with_another_tester_is_tried_again(
    connector: DoipConnector,
) -> None:
    async with gateway(always(VIN_RESPONSE), activation(0x03), activation()) as hostile:
        responses = await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert responses[-1].is_final
    assert hostile.connections == 2


async def test_a_connection_that_died_while_idle_is_opened_again(
    connector: DoipConnector,
) -> None:
    is_dead = False

    async def answer(_uds: bytes, _ecu: int) -> list[bytes] | None:
        nonlocal is_dead
        is_dead = not is_dead
        return [VIN_RESPONSE] if is_dead else None

    async with gateway(answer) as hostile:
        await connector.probe(checks_vin(hostile))
        probe = await connector.probe(checks_vin(hostile))

    assert probe.status == "disconnected"
    assert hostile.connections == 2


async def test_an_alive_check_is_answered(connector: DoipConnector) -> None:
    async with gateway(always(frame(0x0007, b""), VIN_RESPONSE)) as hostile:
        responses = await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN)

    assert responses[-1].is_final


@asynccontextmanager
async def one_ecu_silent() -> AsyncIterator[HostileGateway]:
    async def answer(uds: bytes, ecu: int) -> list[bytes]:
        if ecu == ECU:
            return []
        if uds[0] == 0x19:
            return [diagnostic(b"\x59\x02\xff\x07\x00\x00\x2f", source=ecu)]
        if uds == b"\x22\xf1\x87":
            return [diagnostic(b"\x62\xf1\x87AB-1", source=ecu)]
        return [diagnostic(b"\x7f\x22\x31", source=ecu)]

    async with gateway(answer) as hostile:
        yield hostile


async def test_a_scan_goes_on_after_an_ecu_that_does_not_answer(connector: DoipConnector) -> None:
    async with one_ecu_silent() as hostile:
        engine, transmission, scan = await execute(connector, hostile.vehicle, "ScanVehicle", {})

    assert [uds for ecu, uds in hostile.requests if ecu == ECU] == [b"\x22\xf1\x90"]
    assert engine.response["reachable"] is False
    assert "did not answer" in engine.response["problem"]
    assert transmission.response["identification"] == {"0xF187": "AB-1"}
    assert [code["dtcCode"] for code in transmission.response["dtcs"]] == ["P0700-00"]
    assert scan == Response(
        {"type": "scan", "ecuCount": 2, "reachableCount": 1, "dtcCount": 1}, is_final=True
    )


async def test_a_vehicle_without_ecus_cannot_be_scanned(connector: DoipConnector) -> None:
    async with gateway(always()) as hostile:
        vehicle = replace(hostile.vehicle, configured_ecus=())
        error = await failure(connector, vehicle, "ScanVehicle", {})

    assert error.error_code == "vehicle_refused"
    assert hostile.connections == 0


async def test_identifiers_of_a_snapshot_end_at_the_first_of_unknown_length(
    connector: DoipConnector,
) -> None:
    record = b"\x01\x03\xf4\x0c\x0c\x80\x47\x11\x01\x02\xf4\x05\x7f"
    response = diagnostic(b"\x59\x04\x04\x20\x13\x2f" + record)
    async with gateway(always(response)) as hostile:
        params = ENGINE | {"dtcCode": "P0420-13", "recordNumber": 1}
        [snapshot] = await execute(connector, hostile.vehicle, "ReadDTCSnapshot", params)

    assert hostile.requests == [(ECU, b"\x19\x04\x04\x20\x13\x01")]
    assert snapshot.is_final
    assert snapshot.response["recordNumber"] == 1
    assert snapshot.response["data"] == [
        {"dataId": "0xF40C", "name": "Engine speed", "value": 800, "unit": "rpm", "raw": "0C80"},
        {"dataId": "0x4711", "name": "", "value": "0102F4057F", "unit": "", "raw": "0102F4057F"},
    ]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, "host"),
        ({"host": ""}, "host"),
        ({"host": "10.0.0.1\n"}, "host"),
        ({"host": "http://10.0.0.1"}, "host"),
        ({"host": "a" * 254}, "host"),
        ({"host": "car", "port": 0}, "port"),
        ({"host": "car", "port": "13400"}, "port"),
        ({"host": "car", "source_address": "0xE00"}, "source_address"),
        ({"host": "car", "activation_type": 256}, "activation_type"),
        ({"host": "car", "check_vin": 1}, "check_vin"),
        ({"host": "car", "response_timeout": 0}, "response_timeout"),
        ({"host": "car", "colour": "red"}, "colour"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], wrong: str) -> None:
    [error] = Draft202012Validator(DoipConnector.settings_schema).iter_errors(settings)

    assert wrong in error.path or wrong in error.message


@pytest.mark.parametrize("host", ["10.0.0.1", "car-7.fleet.example", "fe80::1%eth0", "2001:db8::1"])
def test_a_name_or_an_address_of_the_gateway_is_enough(host: str) -> None:
    assert Draft202012Validator(DoipConnector.settings_schema).is_valid({"host": host})


def test_the_largest_message_is_64_kib_and_its_addresses() -> None:
    assert connection.MAX_PAYLOAD_BYTES == 64 * 1024 + 4
