"""Operations, restarts, scans and probes of a SOVD vehicle."""

import asyncio
from typing import Any

import pytest

from vehicles.connectors.base import VehicleError
from vehicles.connectors.sovd import operations
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.http_peer import Request, reply
from vehicles.tests.sovd.requests import ECU, RESET, START
from vehicles.tests.sovd_vehicle import (
    ENGINE,
    SovdVehicle,
)
from vehicles.tests.targets import VIN, KeptAttempt, execute, failure, responses


async def test_a_routine_is_followed_until_it_ends(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    params = START | {"data": "01a4"}

    progress, routine = await responses(connector, "RoutineControl", params, vehicle.target())

    assert progress == {"type": "progress", "ecuAddress": "0x10", "pendingCount": 1}
    assert routine == {
        "type": "routine",
        "ecuAddress": "0x10",
        "routineId": "0x0203",
        "action": "start",
        "raw": "1F",
        "parameters": {"raw": "1f", "given": {"data": "01A4"}},
    }
    assert vehicle.carried_out == ["operation"]
    assert vehicle.locks == {}


async def test_the_results_of_a_routine_are_read_and_it_can_be_stopped(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = vehicle.target()
    error = await failure(connector, target, "RoutineControl", START | {"action": "results"})
    assert error.error_code == "vehicle_refused"
    await execute(connector, target, "RoutineControl", START)

    [results] = await responses(connector, "RoutineControl", START | {"action": "results"}, target)
    [stopped] = await responses(connector, "RoutineControl", START | {"action": "stop"}, target)

    assert (results["raw"], stopped["action"]) == ("1F", "stop")
    assert vehicle.carried_out == ["operation", "stop"]


@pytest.mark.parametrize(
    ("execution", "message", "is_certain"),
    [
        pytest.param({"status": "failed"}, "failed", True, id="failed"),
        pytest.param({"status": "stopped"}, "stopped", True, id="stopped"),
        pytest.param(
            {"error": {"error_code": "error-response", "parameters": {"nrc": "22"}}},
            "NRC 0x22 conditionsNotCorrect",
            True,
            id="negative response",
        ),
        pytest.param(
            {"error": [{"path": "/", "error": {"error_code": "not-responding", "message": "?"}}]},
            "no answer from the ECU",
            False,
            id="silence",
        ),
    ],
)
async def test_a_routine_that_fails_says_why(
    connector: SovdConnector,
    vehicle: SovdVehicle,
    execution: dict[str, Any],
    message: str,
    is_certain: bool,
) -> None:
    class Attempt(KeptAttempt):
        def record(self, exchange: Any) -> None:
            for each in vehicle.executions.values():
                each.update(execution)

    error = await failure(connector, vehicle.target(), "RoutineControl", START, Attempt())

    assert message in str(error)
    assert error.is_certain == is_certain


async def test_a_routine_without_an_operation_is_asked_for_as_raw_uds(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    params = START | {"routineId": "0xFF00"}

    [routine] = await responses(connector, "RoutineControl", params, vehicle.target())

    assert (routine["raw"], vehicle.carried_out) == ("10", ["routine"])
    error = await failure(
        connector, vehicle.target(), "RoutineControl", START | {"routineId": "0x4711"}
    )
    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "NRC 0x31" in str(error)


async def test_an_operation_that_is_cancelled_ends_at_once_and_leaves_nothing_locked(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.polls_until_done = 1_000_000
    is_polled = asyncio.Event()

    async def run() -> None:
        async for _ in connector.execute(vehicle.target(), "RoutineControl", START, KeptAttempt()):
            is_polled.set()

    task = asyncio.create_task(run())
    await is_polled.wait()
    assert list(vehicle.locks.values()) == ["own"]

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert vehicle.locks == {}


@pytest.mark.parametrize(
    ("reset_type", "sent"),
    [
        ("hard", "restart hardreset"),
        ("keyOffOn", "restart keyoffonreset"),
        ("soft", "restart softreset"),
    ],
)
async def test_an_ecu_is_restarted_by_its_status(
    connector: SovdConnector, vehicle: SovdVehicle, reset_type: str, sent: str
) -> None:
    params = ECU | {"resetType": reset_type}

    [reset] = await responses(connector, "ECUReset", params, vehicle.target())

    assert reset == {"type": "reset", "ecuAddress": "0x10", "resetType": reset_type}
    assert vehicle.carried_out == [sent]


async def test_an_ecu_without_a_status_is_restarted_by_an_operation_or_refused(
    connector: SovdConnector, vehicle: SovdVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = vehicle._documents()
    del documents["/components/engine"]["status"]
    vehicle._documents = lambda: documents  # type: ignore[method-assign]
    error = await failure(connector, vehicle.target(), "ECUReset", RESET)
    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)

    monkeypatch.setattr(operations, "RESET", "0203")
    *_, reset = await responses(connector, "ECUReset", RESET, vehicle.target())

    assert reset["type"] == "reset"
    [execution] = vehicle.executions.values()
    assert execution["given"] == {"resetType": "hard"}


def answer_in_place(vehicle: SovdVehicle, answers: dict[str, bytes]) -> None:
    """Answer some requests, by method and path, otherwise than the vehicle does."""
    answer = vehicle.peer.answer

    async def changed(request: Request) -> bytes | None:
        return answers.get(str(request)) or await answer(request)

    vehicle.peer.answer = changed


async def test_a_restart_that_is_an_execution_is_followed(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    execution = f"{ENGINE}/operations/ecureset/executions/1"
    running, failed = {"id": "1", "status": "running"}, {"status": "failed"}
    answers = {
        f"PUT {ENGINE}/status/restart": reply(202, running, Location=execution),
        f"GET {execution}": reply(200, failed),
    }
    answer_in_place(vehicle, answers)

    error = await failure(connector, vehicle.target(), "ECUReset", RESET)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "failed" in str(error)


@pytest.mark.parametrize(
    ("started", "ends"),
    [
        pytest.param(reply(200, {"parameters": {"raw": "1F"}}), "1F", id="done"),
        pytest.param(reply(204), "", id="done without a body"),
        pytest.param(reply(200, {"id": "77", "status": "running"}), "2F", id="running by its ID"),
        pytest.param(reply(200, {"id": "77", "status": "failed"}), None, id="failed at once"),
        pytest.param(reply(202, {"status": "running"}), None, id="running without an ID"),
    ],
)
async def test_an_operation_may_be_done_at_once_and_need_not_be_listed(
    connector: SovdConnector, vehicle: SovdVehicle, started: bytes, ends: str | None
) -> None:
    operation = f"{ENGINE}/operations/0x4711"
    done = {"status": "completed", "parameters": {"data": "2f"}}
    answers = {
        f"GET {operation}": reply(200, {"item": {"id": "0x4711"}}),
        f"POST {operation}/executions": started,
        f"GET {operation}/executions/77": reply(200, done),
    }
    answer_in_place(vehicle, answers)
    params = START | {"routineId": "0x4711"}

    [result] = await asyncio.gather(
        execute(connector, vehicle.target(), "RoutineControl", params), return_exceptions=True
    )

    if ends is None:
        assert isinstance(result, VehicleError)
    else:
        assert isinstance(result, list)
        assert result[-1].response["raw"] == ends
    assert vehicle.arrived("POST") == 1


# Scans and probes


async def test_a_scan_tells_of_each_ecu_and_of_those_that_are_silent(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    engine, transmission, scan = await responses(connector, "ScanVehicle", {}, vehicle.target())

    assert engine["identification"] == {"0xF190": VIN, "0xF187": "8K0907115"}
    assert [code["dtcCode"] for code in engine["dtcs"]][:2] == ["P0420-13", "P0420-00"]
    assert transmission["reachable"] is False
    assert "no answer from the ECU" in transmission["problem"]
    assert scan == {"type": "scan", "ecuCount": 2, "reachableCount": 1, "dtcCount": 4}
    silent = [request for request in vehicle.peer.requests if "transmission/" in request.path]
    assert len(silent) == 1


async def test_a_test_of_the_connection_says_which_ecus_answer(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    probe = await connector.probe(vehicle.target(), with_ecus=True)

    assert probe.found == {"gateway": None, "ecus": ["0x10"], "silent_ecus": ["0x18"]}


async def test_a_probe_beside_a_command_sends_nothing(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = vehicle.target()
    steps = connector.execute(target, "ReadDTC", ECU, KeptAttempt())
    await anext(steps)
    before = len(vehicle.peer.requests)

    probe = await connector.probe(target)

    assert probe.status == "connected"
    assert len(vehicle.peer.requests) == before
    await steps.aclose()


async def test_requests_of_one_vehicle_are_sent_one_after_the_other(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = vehicle.target()
    under_way = [0, 0]  # now, and at most
    answer = vehicle.peer.answer

    async def counted(request: Any) -> bytes | None:
        under_way[0] += 1
        under_way[1] = max(under_way)
        await asyncio.sleep(0)
        under_way[0] -= 1
        return await answer(request)

    vehicle.peer.answer = counted
    await asyncio.gather(*(execute(connector, target, "ReadDTC", ECU) for _ in range(5)))

    assert under_way[1] == 1
