"""Commands by the SOVD connector to a stateful server in another dialect than the product's own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from vehicles.connectors.base import VehicleError
from vehicles.connectors.sovd import operations, server
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.connectors.sovd.errors import Refusal
from vehicles.tests.http_peer import Request, reply
from vehicles.tests.sovd_vehicle import (
    BASE,
    CLIENT_ID,
    CLIENT_SECRET,
    ENGINE,
    HELD_BY_ANOTHER,
    SovdVehicle,
)
from vehicles.tests.targets import VIN, KeptAttempt, TargetEcu, execute, failure, responses

ECU = {"ecuAddress": "0x10"}
ONE_CODE = ECU | {"dtcCode": "P0171"}
READ_VIN = ECU | {"dataId": "0xF190"}
WRITE = ECU | {"dataId": "0xF198", "data": "4142"}
START = ECU | {"routineId": "0x0203", "action": "start"}
RESET = ECU | {"resetType": "hard"}
OAUTH = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


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


# The way to the vehicle


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


# Trouble codes


async def test_faults_are_read_with_bits_names_and_failure_types(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    first, *others, summary = await responses(connector, "ReadDTC", ECU, vehicle.target())

    assert first == {
        "type": "dtc",
        "ecuAddress": "0x10",
        "dtcCode": "P0420-13",
        "dtcRaw": "042013",
        "description": "Fault 042013",
        "failureType": "circuit open",
        "status": "0x2F",
        "statusBits": [
            "testFailed",
            "testFailedThisOperationCycle",
            "pendingDTC",
            "confirmedDTC",
            "testFailedSinceLastClear",
        ],
        "confirmed": True,
    }
    assert [code["dtcCode"] for code in others] == ["P0420-00", "P0171-00", "P0300-00"]
    assert summary["dtcCount"] == 4


async def test_faults_are_filtered_here_and_not_at_the_server(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    params = ECU | {"statusMask": "0x01"}

    code, summary = await responses(connector, "ReadDTC", params, vehicle.target())

    assert (code["dtcCode"], summary["dtcCount"]) == ("P0420-13", 1)
    assert vehicle.peer.requests[-1].path == f"{ENGINE}/faults"


async def test_a_snapshot_has_the_data_stored_with_a_code(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    target = vehicle.target(data_ids={"0x010D": "speed"})
    params: dict[str, Any] = ECU | {"dtcCode": "P0420-13"}

    first, second = await responses(connector, "ReadDTCSnapshot", params, target)

    assert first == {
        "type": "snapshot",
        "ecuAddress": "0x10",
        "dtcCode": "P0420-13",
        "dtcRaw": "042013",
        "recordNumber": 1,
        "data": [
            {"dataId": "0x010D", "name": "speed", "value": 12.5, "unit": "km/h", "raw": ""},
            {"dataId": "", "name": "temperature", "value": 80, "unit": "", "raw": ""},
        ],
    }
    assert second["recordNumber"] == 2
    params |= {"recordNumber": 2}
    assert await responses(connector, "ReadDTCSnapshot", params, target) == [second]
    error = await failure(connector, target, "ReadDTCSnapshot", params | {"recordNumber": 3})
    assert error.error_code == "vehicle_refused"


async def test_a_clear_locks_reads_clears_reads_and_unlocks(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    attempt = KeptAttempt()

    [cleared] = await execute(connector, vehicle.target(), "ClearDTC", ECU, attempt)

    assert cleared.response == {
        "type": "cleared",
        "ecuAddress": "0x10",
        "clearedCount": 3,
        "before": ["P0420-13", "P0420-00", "P0171-00"],
        "remaining": [],
        "verified": True,
    }
    assert attempt.requests[-5:] == [
        f"POST {ENGINE}/locks",
        f"GET {ENGINE}/faults",
        f"DELETE {ENGINE}/faults",
        f"GET {ENGINE}/faults",
        f"DELETE {BASE}/components/engine/locks/lock%201",
    ]
    assert vehicle.locks == {}
    [seconds] = vehicle.lock_expirations
    assert settings.COMMAND_TIMEOUT_SECONDS < seconds <= settings.COMMAND_TIMEOUT_SECONDS + 10


async def test_every_code_of_a_base_is_cleared_by_the_servers_own_key(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    params = ECU | {"dtcCode": "P0420"}

    [cleared] = await responses(connector, "ClearDTC", params, vehicle.target())

    assert vehicle.carried_out == ["clear 042013", "clear 042000"]
    assert (cleared["clearedCount"], cleared["remaining"]) == (2, ["P0171-00"])


async def test_all_codes_are_never_cleared_because_one_cannot_be(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.may_clear_one = False

    error = await failure(connector, vehicle.target(), "ClearDTC", ONE_CODE)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "501" in str(error)
    assert vehicle.carried_out == []
    assert vehicle.locks == {}


async def test_a_lock_of_another_tester_is_refused_with_the_holder_and_nothing_is_sent(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.locks = {"theirs": HELD_BY_ANOTHER}
    attempt = KeptAttempt()

    error = await failure(connector, vehicle.target(), "ClearDTC", ECU, attempt)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert f"locked by {HELD_BY_ANOTHER}" in str(error)
    assert attempt.announced == []
    assert vehicle.locks == {"theirs": HELD_BY_ANOTHER}


async def test_a_lock_that_breaks_before_the_clear_is_refused(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    class BreakingAttempt(KeptAttempt):
        async def about_to_send(self, before: list[str] | None = None) -> None:
            vehicle.locks.clear()

    error = await failure(connector, vehicle.target(), "ClearDTC", ECU, BreakingAttempt())

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert vehicle.carried_out == []


async def test_a_server_without_locks_is_used_without_one(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    documents = vehicle._documents()
    del documents["/components/engine"]["locks"]
    vehicle._documents = lambda: documents  # type: ignore[method-assign]
    vehicle.locks = {"of the server": "own"}

    await execute(connector, vehicle.target(), "ClearDTC", ECU)

    assert vehicle.locks_given == 0
    assert vehicle.carried_out == ["clear"]


# Data


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


# Operations and restarts


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


# Tokens


async def test_a_token_is_fetched_once_kept_and_shared(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = set()
    target = vehicle.target(**OAUTH, token_url=f"{vehicle.origin}/token")
    other = vehicle.target(**OAUTH, token_url=f"{vehicle.origin}/token", base_uri=BASE)

    for each in (target, target, other):
        await execute(connector, each, "ReadDTC", ECU)

    assert vehicle.tokens_given == 1


async def test_a_token_that_is_rejected_is_fetched_again_once(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = set()
    target = vehicle.target(**OAUTH, token_url=f"{vehicle.origin}/token")
    await execute(connector, target, "ReadDTC", ECU)
    vehicle.tokens = set()

    class RevokingAttempt(KeptAttempt):
        async def about_to_send(self, before: list[str] | None = None) -> None:
            await super().about_to_send(before)
            vehicle.tokens = set()

    attempt = RevokingAttempt()
    await execute(connector, target, "ClearDTC", ECU, attempt)

    assert vehicle.tokens_given == 3
    assert vehicle.carried_out == ["clear"]
    assert len(attempt.announced) == 1


async def test_credentials_that_are_wrong_are_refused_and_never_shown(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = set()
    wrong = OAUTH | {"client_secret": "wr0ng"}
    target = vehicle.target(**wrong, token_url=f"{vehicle.origin}/token")

    error = await failure(connector, target, "ClearDTC", ECU)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "client_secret" in str(error)
    assert "wr0ng" not in str(error)
    assert vehicle.arrived("GET", "/") == 0


async def test_a_fixed_token_is_sent_and_hidden_from_evidence(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = {"t0ken-of-mine"}
    vehicle.names[0x042013] = "You sent t0ken-of-mine"
    attempt = KeptAttempt()

    read = await execute(connector, vehicle.target(token="t0ken-of-mine"), "ReadDTC", ECU, attempt)

    assert read[0].response["description"] == "You sent ***"
    assert "t0ken" not in repr(attempt.exchanges)
    error = await failure(connector, vehicle.target(token="another"), "ReadDTC", ECU)
    assert error.error_code == "vehicle_refused"
    assert "401" in str(error)
    assert vehicle.tokens_given == 0


# Evidence


async def test_evidence_has_method_and_path_and_status_and_body(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    attempt = KeptAttempt()
    params = ECU | {"dataId": "0x1234"}

    await failure(connector, vehicle.target(), "ReadDataByID", params, attempt)

    first, refused = attempt.exchanges[0], attempt.exchanges[-1]
    assert (first.request, first.service) == ("GET /version-info", "version-info")
    assert first.response
    assert first.response.startswith('200 {"items": [')
    assert (refused.request, refused.nrc) == (f"PUT {ENGINE}/genericservice", "0x31")
    assert refused.nrc_name == "requestOutOfRange"
    assert {exchange.ecu_address for exchange in attempt.exchanges} == {"0x10"}


async def test_evidence_of_a_long_answer_is_cut(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.codes = dict.fromkeys(range(0x010000, 0x010200), 0x2F)
    vehicle.names = dict.fromkeys(vehicle.codes, "ü" * 100)
    attempt = KeptAttempt()

    await execute(connector, vehicle.target(), "ReadDTC", ECU, attempt)

    kept = attempt.exchanges[-1].response
    assert kept
    assert len(kept.encode()) == 16 * 1024


# At most once


CHANGES = [
    pytest.param("ClearDTC", ECU, id="ClearDTC"),
    pytest.param("ClearDTC", ONE_CODE, id="one code"),
    pytest.param("WriteDataByID", WRITE, id="WriteDataByID"),
    pytest.param("RoutineControl", START, id="RoutineControl"),
    pytest.param("ECUReset", RESET, id="ECUReset"),
]


@pytest.mark.parametrize(
    ("fault", "carried_out"),
    [
        ("cut before a clear", 0),
        ("cut after a clear", 1),
        ("malformed clear", 1),
        ("silent after a clear", 1),
    ],
)
@pytest.mark.parametrize(("name", "params"), CHANGES)
async def test_a_change_is_sent_once_whatever_becomes_of_its_answer(
    vehicle: SovdVehicle, name: str, params: dict[str, Any], fault: str, carried_out: int
) -> None:
    vehicle.fault = fault
    attempt, sovd = KeptAttempt(), SovdConnector()

    error = await failure(sovd, vehicle.target(), name, params, attempt)
    await sovd.close()

    assert not error.is_certain
    assert len(attempt.announced) == 1
    assert sum(vehicle.arrived(method) for method in ("DELETE", "PUT", "POST")) == 1
    assert len(vehicle.carried_out) == carried_out
    assert vehicle.locks == {}


@pytest.mark.parametrize(("name", "params"), CHANGES)
async def test_a_change_that_cannot_be_connected_is_certainly_not_sent(
    connector: SovdConnector, vehicle: SovdVehicle, name: str, params: dict[str, Any]
) -> None:
    class LeavingAttempt(KeptAttempt):
        async def about_to_send(self, before: list[str] | None = None) -> None:
            vehicle.peer.refuse()
            await vehicle.peer.all_closed()

    error = await failure(connector, vehicle.target(), name, params, LeavingAttempt())

    assert (error.error_code, error.is_certain) == ("vehicle_unreachable", True)


@pytest.mark.parametrize(("name", "params"), CHANGES)
async def test_only_reads_of_codes_and_data_can_prove_a_change(
    connector: SovdConnector, vehicle: SovdVehicle, name: str, params: dict[str, Any]
) -> None:
    target, before = vehicle.target(), ["P0171-00"]

    [back] = await asyncio.gather(
        connector.read_back(target, name, params, before, KeptAttempt()), return_exceptions=True
    )

    if name in {"ClearDTC", "WriteDataByID"}:
        assert isinstance(back, VehicleError)
        assert back.error_code == "outcome_unknown"
    else:
        assert back is None
    assert sum(vehicle.arrived(method) for method in ("DELETE", "POST")) == 0
