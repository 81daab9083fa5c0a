"""One instance of the product as the SOVD server of another's vehicles: connector and façade."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from commands.accounts.demo_users import PASSWORD
from sovd.tests.live import Live
from sovd.tests.site import VINS, ask
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.targets import KeptAttempt, Target, TargetEcu, execute, failure, responses

ECU = {"ecuAddress": "0x10"}


@pytest.fixture
async def connector() -> AsyncIterator[SovdConnector]:
    sovd = SovdConnector()
    yield sovd
    await sovd.close()


def admin_token(live: Live) -> str:
    body = {"username": "admin", "password": PASSWORD}
    status, text = ask(live.port, "POST", "/api/v1/token/", body)
    assert status == 200, text
    return str(json.loads(text)["access"])


def service_account(live: Live, name: str) -> dict[str, str]:
    body = {"name": name, "groups": []}
    status, text = ask(live.port, "POST", "/api/v1/service-accounts/", body, admin_token(live))
    assert status == 201, text
    found = json.loads(text)
    return {name: found[name] for name in ("client_id", "client_secret")}


def vehicle(live: Live, number: int, **secrets: str) -> Target:
    vin = VINS[number]
    settings: dict[str, Any] = {"url": f"http://127.0.0.1:{live.port}/sovd/{vin}"}
    if "client_id" in secrets:
        settings |= {
            "client_id": secrets.pop("client_id"),
            "token_url": f"http://127.0.0.1:{live.port}/sovd/token",
        }
    ecus = [TargetEcu("0x10", "Engine", component="0x10")]
    return Target(vin, "sovd", settings, secrets, ecus)


async def test_a_vehicle_of_another_instance_is_probed_read_and_cleared(
    connector: SovdConnector, live: Live
) -> None:
    target, attempt = vehicle(live, 3, token=admin_token(live)), KeptAttempt()

    probe = await connector.probe(target)
    *before, _ = await responses(connector, "ReadDTC", ECU, target)
    [cleared] = await execute(connector, target, "ClearDTC", ECU, attempt)
    *after, summary = await responses(connector, "ReadDTC", ECU, target)

    assert (probe.status, probe.problem, probe.vin) == ("connected", "", target.vin)
    assert before
    assert cleared.response["before"] == [code["dtcCode"] for code in before]
    assert (cleared.response["verified"], cleared.response["remaining"]) == (True, [])
    assert (after, summary["dtcCount"]) == ([], 0)
    methods = [request.partition(" ")[0] for request in attempt.requests]
    assert methods[-5:] == ["POST", "GET", "DELETE", "GET", "DELETE"]


async def test_data_routines_resets_and_scans_of_another_instance(
    connector: SovdConnector, live: Live
) -> None:
    target = vehicle(live, 1, token=admin_token(live))

    _, data = await responses(connector, "ReadDataByID", ECU | {"dataId": "0xF190"}, target)
    start = ECU | {"routineId": "0x0203", "action": "start"}
    *_, routine = await responses(connector, "RoutineControl", start, target)
    *_, reset = await responses(connector, "ECUReset", ECU | {"resetType": "hard"}, target)
    engine, scan = await responses(connector, "ScanVehicle", {}, target)

    assert (data["value"], data["raw"]) == (target.vin, target.vin.encode().hex().upper())
    assert (routine["type"], routine["routineId"]) == ("routine", "0x0203")
    assert reset["type"] == "reset"
    assert engine["identification"]["0xF190"] == target.vin
    assert (scan["reachableCount"], scan["ecuCount"]) == (1, 1)
    error = await failure(connector, target, "ReadDataByID", ECU | {"dataId": "0x1234"})
    assert error.error_code == "vehicle_refused"


async def test_a_service_account_may_do_what_its_groups_may(
    connector: SovdConnector, live: Live
) -> None:
    target = vehicle(live, 2, **service_account(live, "another-instance"))

    error = await failure(connector, target, "ClearDTC", ECU)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
