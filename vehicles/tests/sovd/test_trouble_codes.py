"""Trouble codes of a SOVD vehicle."""

from typing import Any

from django.conf import settings

from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.sovd.requests import ECU, ONE_CODE
from vehicles.tests.sovd_vehicle import (
    BASE,
    ENGINE,
    HELD_BY_ANOTHER,
    SovdVehicle,
)
from vehicles.tests.targets import KeptAttempt, execute, failure, responses


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
