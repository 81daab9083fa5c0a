"""The resources of the façade: what each call becomes, and what it is answered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.database.threads import in_thread
from commands.models import AuditEntry, Command, Status
from commands.tests.sovd_facade.caller import Caller, at_work
from conftest import ScriptedConnector, make_user
from vehicles.connectors import dtc
from vehicles.connectors.base import Response
from vehicles.models import Ecu, Vehicle

ENGINE = "/components/0x10"
ROUTINE = f"{ENGINE}/operations/0x0203"


@pytest.fixture
def tester(transactional_db: None) -> User:
    return make_user("tester", "add_command", "view_vehicle", "send_intrusive")


@pytest.fixture
def caller(tester: User, vehicle: Vehicle) -> Caller:
    return Caller(tester, vehicle)


async def names_of_commands() -> list[str]:
    return await in_thread(
        lambda: [*Command.objects.order_by("submitted_at").values_list("command_name", flat=True)]
    )


# Entities


async def test_the_way_from_the_version_to_a_component(caller: Caller, vehicle: Vehicle) -> None:
    for address in (f"/sovd/{vehicle.vin}/version-info", "/sovd/version-info"):
        (info,) = (await caller.get(address)).json()["sovd_info"]
        assert info["base_uri"] == f"/sovd/{vehicle.vin}/v1"
    root = (await caller.get(info["base_uri"])).json()
    assert root["id"] == vehicle.vin
    engine, *_ = (await caller.get(root["components"])).json()["items"]
    assert engine == {
        "id": "0x10",
        "name": "Engine control",
        "href": f"/sovd/{vehicle.vin}/v1/components/0x10",
    }
    component = (await caller.get(engine["href"])).json()
    for name in ("areas", "apps", "functions"):
        assert (await caller.get(root[name])).json() == {"items": []}
    for name in ("hosts", "depends-on", "belongs-to"):
        assert name not in component
        assert (await caller.get(f"{engine['href']}/{name}")).json() == {"items": []}
    assert await names_of_commands() == []


async def test_a_component_is_named_by_its_ecu(caller: Caller, vehicle: Vehicle) -> None:
    def configure() -> None:
        for address, component in (("0x10", "engine"), ("0x18", "a/b"), ("0x28", "engine")):
            Ecu.objects.create(
                vehicle=vehicle, address=address, component=component, logical_address="0x1010"
            )

    await in_thread(configure)
    listed = (await caller.get("/components")).json()["items"]
    assert [each["id"] for each in listed] == ["engine", "0x18", "0x28"]
    engine = (await caller.get("/components/engine")).json()
    assert engine["variant"] == {"logical_address": "0x1010"}
    assert (await caller.get("/components/0x10")).status_code == 404


# Faults


async def test_faults_are_the_trouble_codes_of_a_read(caller: Caller, tester: User) -> None:
    async with at_work():
        response = await caller.get(f"{ENGINE}/faults")
    assert response.status_code == 200
    faults = {fault["code"]: fault for fault in response.json()["items"]}
    catalyst = faults["P0420"]
    assert catalyst["fault_name"] == "Catalyst system efficiency below threshold, bank 1"
    mask = int(catalyst["status"]["mask"], 16)
    assert catalyst["status"]["confirmedDTC"] == str(mask >> 3 & 1)
    command = await in_thread(Command.objects.select_related("submitted_by").get)
    assert (command.command_name, command.submitted_by) == ("ReadDTC", tester)
    entry = await in_thread(AuditEntry.objects.get)
    assert (entry.action, entry.username, entry.subject) == ("submit", "tester", str(command.pk))


class FourCodes(ScriptedConnector):
    """Connector to a vehicle that reports four trouble codes."""

    async def execute(self, *_: Any) -> AsyncIterator[Response]:
        for code, status in (("P0420", 0x24), ("P0113", 0x28), ("P0300", 0x2F), ("C0035", 0x50)):
            yield Response(dtc.response("0x10", code, status))
        yield Response({"type": "summary", "ecuAddress": "0x10", "dtcCount": 4}, is_final=True)


FILTERS = {
    "": "P0420 P0113 P0300 C0035",
    "?status[confirmedDTC]=1": "P0113 P0300",
    "?status[confirmed_dtc]=TRUE": "P0113 P0300",
    "?status[confirmedDtc]=0": "P0420 C0035",
    "?status[testFailed]=1&status[pendingDTC]=true": "P0420 P0300",
    "?status[mask]=08": "P0113 P0300",
    "?status[mask]=0x01": "P0300",
    "?status[aggregatedStatus]=active": "P0300",
    "?status[aggregatedStatus]=active&status[aggregatedStatus]=passive": "P0420 P0113 P0300",
    "?status[aggregatedStatus]=passive": "P0420 P0113",
    "?status[aggregatedStatus]=cleared": "C0035",
    "?severity=3": "P0113 P0300",
    "?severity=2": "",
    "?scope=Default": "P0420 P0113 P0300 C0035",
    "?scope=Other": "",
}


async def test_faults_are_filtered(caller: Caller) -> None:
    found = {}
    async with at_work(FourCodes()):
        for query in FILTERS:
            items = (await caller.get(f"{ENGINE}/faults{query}")).json()["items"]
            found[query] = " ".join(fault["code"] for fault in items)
    assert found == FILTERS


async def test_one_fault_is_found_and_cleared(caller: Caller) -> None:
    async with at_work():
        found = (await caller.get(f"{ENGINE}/faults/p0420")).json()
        assert found["item"]["display_code"] == "P0420"
        assert (await caller.delete(f"{ENGINE}/faults/P0420")).status_code == 204
        assert (await caller.get(f"{ENGINE}/faults/P0420")).status_code == 404
        gone = await caller.delete(f"{ENGINE}/faults/P0420", headers={"Idempotency-Key": "a"})
        assert (gone.status_code, gone.json()["vendor_code"]) == (404, "not_found")
        assert (await caller.delete(f"{ENGINE}/faults")).status_code == 204
        assert (await caller.get(f"{ENGINE}/faults")).json() == {"items": []}


async def test_an_unknown_scope_clears_nothing(caller: Caller) -> None:
    assert (await caller.delete(f"{ENGINE}/faults?scope=Other")).status_code == 404
    assert await names_of_commands() == []


# Data


async def test_all_listed_data_can_be_read(caller: Caller, vehicle: Vehicle) -> None:
    listed = (await caller.get(f"{ENGINE}/data")).json()["items"]
    categories = (await caller.get(f"{ENGINE}/data-categories")).json()["items"]
    assert {item["category"] for item in listed} <= {each["item"] for each in categories}
    async with at_work():
        for item in listed:
            response = await caller.get(f"{ENGINE}/data/{item['id']}")
            assert response.status_code == 200
    vin = (await in_thread(lambda: [*Command.objects.filter(command_params__dataId="0xF190")]))[0]
    assert vin.status == Status.COMPLETED


async def test_the_list_of_data_is_filtered(caller: Caller) -> None:
    for query, count in (
        ("?category=identData", 4),
        ("?categories=currentData", 3),
        ("?groups=a", 0),
    ):
        assert len((await caller.get(f"{ENGINE}/data{query}")).json()["items"]) == count


async def test_data_are_written_and_read(caller: Caller) -> None:
    async with at_work():
        for data in ("01A4", {"raw": "01A5"}):
            assert (await caller.put(f"{ENGINE}/data/0xABcd", {"data": data})).status_code == 204
        body = (await caller.get(f"{ENGINE}/data/0xABCD")).json()
    assert (body["id"], body["data"]["raw"], body["errors"]) == ("0xABCD", "01A5", [])


# Operations


async def test_an_execution_runs_and_can_be_asked_for(caller: Caller, vehicle: Vehicle) -> None:
    async with at_work():
        started = await caller.post(f"{ROUTINE}/executions", {"parameters": {"data": "01"}})
        assert (started.status_code, started.json()["status"]) == (202, "running")
        location = started.headers["Location"]
        assert location.endswith(f"/operations/0x0203/executions/{started.json()['id']}")
        events = await caller.get(f"{location}/x-events")
        text = b"".join([chunk async for chunk in events.streaming_content]).decode()
        assert '"status":"completed"' in text
    body = (await caller.get(location)).json()
    assert (body["status"], body["parameters"]["raw"]) == ("completed", "01")
    listed = (await caller.get(f"{ROUTINE}/executions")).json()["items"]
    assert listed == [{"id": started.json()["id"]}]
    other = location.replace("0x0203", "0x0204")
    assert (await caller.get(other)).status_code == 404
    assert (await caller.delete(location)).status_code == 204
    assert (await caller.get(location)).status_code == 404
    assert (await caller.get(f"{ROUTINE}/executions")).json() == {"items": []}
    assert await in_thread(Command.objects.filter(pk=started.json()["id"]).exists)


async def test_a_pending_execution_is_stopped(caller: Caller) -> None:
    location = (await caller.post(f"{ROUTINE}/executions", {})).headers["Location"]
    assert (await caller.get(location)).json()["status"] == "running"
    assert (await caller.put(location, {"capability": "execute"})).status_code == 400
    stopped = await caller.put(location, {"capability": "stop"})
    assert (stopped.status_code, stopped.headers["Location"]) == (202, location)
    assert (await caller.get(location)).json()["status"] == "stopped"
    again = await caller.put(location, {"capability": "stop"})
    assert (again.status_code, again.json()["vendor_code"]) == (409, "already_ended")


async def test_a_failed_execution_has_its_error(caller: Caller) -> None:
    async with at_work():
        body = {"parameters": {"action": "results"}}
        location = (await caller.post(f"{ROUTINE}/executions", body)).headers["Location"]
        events = await caller.get(location, headers={"Accept": "text/event-stream"})
        async for _ in events.streaming_content:
            pass
    (problem,) = (await caller.get(location)).json()["error"]
    assert (problem["path"], problem["error"]["error_code"]) == ("/", "error-response")
    assert problem["error"]["parameters"] == {"nrc": "24", "service": "31"}


@pytest.mark.parametrize(
    ("body", "reset"),
    [
        ({}, "hard"),
        ({"parameters": {"ResetType": "hardreset"}}, "hard"),
        ({"parameters": {"resetType": "softReset"}}, "soft"),
        ({"parameters": {"resetType": "keyOffOn"}}, "keyOffOn"),
    ],
    ids=["none", "iso", "soft", "ours"],
)
async def test_a_restart_is_an_ecu_reset(caller: Caller, body: Any, reset: str) -> None:
    status = (await caller.get(f"{ENGINE}/status")).json()
    response = await caller.put(status["restart"], body)
    assert response.status_code == 202
    command = await in_thread(Command.objects.get)
    assert command.command_params == {"resetType": reset, "ecuAddress": "0x10"}
    body = (await caller.get(response.headers["Location"])).json()
    assert body["status"] == "running"


async def test_the_status_is_the_connection_of_the_vehicle(
    caller: Caller, vehicle: Vehicle
) -> None:
    assert (await caller.get(f"{ENGINE}/status")).json()["status"] == "notReady"
    async with at_work():
        assert (await caller.get(f"{ENGINE}/status")).json()["status"] == "ready"


# Locks


async def test_a_lock_is_taken_prolonged_and_released(
    caller: Caller, stranger: User, vehicle: Vehicle
) -> None:
    assert (await caller.get(f"{ENGINE}/locks")).json() == {"items": []}
    taken = await caller.post(f"{ENGINE}/locks", {"lock_expiration": 60})
    assert taken.status_code == 201
    location = taken.headers["Location"]
    other = Caller(stranger, vehicle)
    for user, owned in ((caller, True), (other, False)):
        (listed,) = (await user.get("/components/0x18/locks")).json()["items"]
        assert listed == {"id": taken.json()["id"], "owned": owned}
        lock = (await user.get(location)).json()
        assert (lock["owned"], lock["x-holder"]) == (owned, "tester")
    refused = await other.delete(f"{ENGINE}/faults")
    assert (refused.status_code, refused.json()["error_code"]) == (409, "vendor-specific")
    assert refused.json()["vendor_code"] == "lock_held"
    assert refused.json()["parameters"] == {"holder": "tester"}
    for method, body in (
        ("POST", {"lock_expiration": 9}),
        ("POST", {"lock_expiration": 9, "break_lock": True}),
    ):
        code = (await other.call(method, f"{ENGINE}/locks", body)).status_code
        assert code == (403 if "break_lock" in body else 409)
    assert (await other.put(location, {"lock_expiration": 9})).status_code == 409
    assert (await other.delete(location)).status_code == 409
    assert (await caller.put(location, {"lock_expiration": 600})).status_code == 204
    assert (await caller.get(location)).json()["lock_expiration"] > lock["lock_expiration"]
    assert (await caller.put(location, {"lock_expiration": 0})).status_code == 400
    assert (await caller.delete(location)).status_code == 204
    assert (await caller.get(location)).status_code == 404


async def test_an_execution_without_its_lock_is_broken(caller: Caller) -> None:
    lock = await caller.post(f"{ENGINE}/locks", {"lock_expiration": 60})
    started = await caller.post(f"{ROUTINE}/executions", {})
    await caller.delete(lock.headers["Location"])
    body = (await caller.get(started.headers["Location"])).json()
    assert (body["status"], body["error"][0]["error"]["error_code"]) == ("failed", "lock-broken")
