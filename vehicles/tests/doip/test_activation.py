"""Activation of the routing, and identification of the vehicle."""

from dataclasses import replace

import pytest

from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.doip.exchanges import ENGINE, READ_VIN, VIN_RESPONSE, checks_vin
from vehicles.tests.hostile import (
    ECU,
    GATEWAY,
    OTHER_ECU,
    activation,
    always,
    diagnostic,
    gateway,
)
from vehicles.tests.targets import VIN, KeptAttempt, execute, failure


@pytest.mark.parametrize("code", [0x00, 0x02, 0x04, 0x05, 0x06, 0x07, 0x11, 0x42])
async def test_a_gateway_that_denies_activation_is_refused_and_in_error(
    connector: DoipConnector, code: int
) -> None:
    async with gateway(always(), activation(code)) as hostile:
        error = await failure(connector, hostile.vehicle, "ReadDTC", ENGINE)
        probe = await connector.probe(hostile.vehicle)

    assert (error.error_code, probe.status) == ("vehicle_refused", "error")
    assert "activation" in probe.problem
    assert hostile.requests == []


async def test_a_gateway_that_says_nothing_is_unreachable(connector: DoipConnector) -> None:
    async with gateway(always(), b"") as hostile:
        probe = await connector.probe(hostile.vehicle)

    assert probe.status == "disconnected"
    assert "did not answer" in probe.problem


async def test_a_closed_port_is_disconnected(connector: DoipConnector) -> None:
    async with gateway(always()) as hostile:
        vehicle = hostile.vehicle

    probe = await connector.probe(vehicle)

    assert probe.status == "disconnected"
    assert "accepts no connection" in probe.problem


async def test_the_vin_is_read_from_an_ecu_if_the_gateway_tells_none(
    connector: DoipConnector,
) -> None:
    async def answer(uds: bytes, ecu: int) -> list[bytes]:
        return [VIN_RESPONSE if ecu == ECU else b""]

    async with gateway(answer) as hostile:
        ecus = hostile.vehicle.configured_ecus[::-1]
        vehicle = replace(checks_vin(hostile), configured_ecus=ecus)
        probe = await connector.probe(vehicle)
        await execute(connector, vehicle, "ReadDataByID", READ_VIN)

    assert (probe.status, probe.vin) == ("connected", VIN)
    assert [ecu for ecu, _ in hostile.requests] == [OTHER_ECU, ECU] * 2 + [ECU]


async def test_another_vin_is_the_wrong_vehicle_and_nothing_else_is_sent(
    connector: DoipConnector,
) -> None:
    other = diagnostic(b"\x62\xf1\x90" + b"1HGBH41JXMN109186")
    async with gateway(always(other)) as hostile:
        attempt = KeptAttempt()
        error = await failure(connector, checks_vin(hostile), "ClearDTC", ENGINE, attempt)
        probe = await connector.probe(checks_vin(hostile))

    assert (error.error_code, probe.status) == ("wrong_vehicle", "error")
    assert "1HGBH41JXMN109186" in str(error)
    assert {uds for _, uds in hostile.requests} == {b"\x22\xf1\x90"}
    assert attempt.announced == []


async def test_a_vehicle_that_tells_no_vin_is_in_error(connector: DoipConnector) -> None:
    async with gateway(always(diagnostic(b"\x7f\x22\x31"))) as hostile:
        probe = await connector.probe(checks_vin(hostile))

    assert probe.status == "error"
    assert "check_vin" in probe.problem


async def test_the_probe_of_a_vehicle_with_its_ecus_says_which_answer(
    connector: DoipConnector,
) -> None:
    async def answer(_uds: bytes, ecu: int) -> list[bytes]:
        return [diagnostic(b"\x7e\x00")] if ecu == ECU else []

    async with gateway(answer) as hostile:
        probe = await connector.probe(hostile.vehicle, with_ecus=True)

    assert probe.found == {
        "gateway": f"0x{GATEWAY:04X}",
        "ecus": ["0x10"],
        "silent_ecus": ["0x18"],
    }
