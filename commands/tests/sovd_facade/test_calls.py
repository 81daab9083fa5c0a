"""The rules of every call of the façade: who may call, how long it waits, and its errors."""

import asyncio
import json
import re
import threading
from typing import Any

import jsonschema
import pytest
from django.contrib.auth.models import User
from django.db import transaction

from commands import lifecycle
from commands.database.threads import in_thread
from commands.models import AuditEntry, Command, ErrorCode, Status
from commands.sovd_facade import errors
from commands.tests.sovd_facade.caller import Caller, at_work, pending
from conftest import WAIT_SECONDS, claim_one, make_user, row, until, until_blocked
from vehicles.models import Vehicle

FAULTS = "/components/0x10/faults"
WRITE = "/components/0x10/data/0xABCD"


@pytest.fixture
def caller(operator: User, vehicle: Vehicle) -> Caller:
    return Caller(operator, vehicle)


# Rights


async def test_without_a_token_every_address_is_a_401(vehicle: Vehicle) -> None:
    nobody = Caller(None, vehicle)
    for address in ("", FAULTS, "/nothing", "/docs", "/sovd/version-info", "/sovd/x"):
        response = await nobody.get(address)
        assert response.status_code == 401, address
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["error_code"] == "insufficient-access-rights"


async def test_rights_are_those_of_the_api(vehicle: Vehicle, viewer: User, operator: User) -> None:
    refused = await Caller(viewer, vehicle).get(FAULTS)
    assert refused.status_code == 403
    assert "commands.add_command" in refused.json()["message"]
    refused = await Caller(operator, vehicle).put(WRITE, {"data": "01"})
    assert refused.status_code == 403
    assert "commands.send_intrusive" in refused.json()["message"]
    nobody = await in_thread(make_user, "nobody", "add_command")
    assert (await Caller(nobody, vehicle).get("/components")).status_code == 403
    assert not await in_thread(Command.objects.exists)


async def test_executions_of_others_do_not_exist(
    vehicle: Vehicle, stranger: User, viewer: User
) -> None:
    owner = Caller(
        await in_thread(make_user, "a", "add_command", "view_vehicle", "send_intrusive"), vehicle
    )
    started = await owner.post("/components/0x10/operations/0x0203/executions", {})
    location = started.headers["Location"]
    for user, status in ((stranger, 404), (viewer, 200)):
        other = Caller(user, vehicle)
        assert (await other.get(location)).status_code == status
        listed = (await other.get(location.rpartition("/")[0])).json()["items"]
        assert len(listed) == (status == 200)
    assert (await Caller(viewer, vehicle).delete(location)).status_code == 403


@pytest.mark.parametrize(
    "address",
    [
        "/nothing",
        "/components/0x99",
        "/components/0x10/nothing",
        "/components/0x10/data/speed",
        "/components/0x10/faults/x%00",
        "/components/0x10/operations/self-test",
        "/components/0x10/operations/0x0203/executions/1",
        "/areas/cabin",
        "/nothing/docs",
        "/sovd/NOVIN/version-info",
        "/sovd/1HGCM82623A%00/v1",
        "/sovd/1HGCM82623A999999/v1",
        "/sovd/x",
    ],
)
async def test_anything_else_does_not_exist(caller: Caller, address: str) -> None:
    response = await caller.get(address)
    assert (response.status_code, response.json()["vendor_code"]) == (404, "not_found")


async def test_other_methods_are_not_allowed(caller: Caller) -> None:
    for method in ("POST", "PATCH", "OPTIONS", "TRACE"):
        response = await caller.call(method, FAULTS, {})
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, DELETE, HEAD")


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("GET", "?include-schema=maybe", None),
        ("GET", f"{FAULTS}?include-schema=1", None),
        ("GET", f"{FAULTS}?timeout=0", None),
        ("GET", f"{FAULTS}?timeout=301", None),
        ("GET", f"{FAULTS}?timeout=nan", None),
        ("GET", f"{FAULTS}?timeout=soon", None),
        ("GET", f"{FAULTS}?severity=x", None),
        ("GET", f"{FAULTS}?status[colour]=1", None),
        ("GET", f"{FAULTS}?status[confirmedDTC]=yes", None),
        ("PUT", WRITE, {"data": 7}),
        ("PUT", WRITE, {"data": "xyz"}),
        ("PUT", WRITE, []),
        ("PUT", WRITE, {"data": "0" * 9_000}),
        ("POST", "/components/0x10/operations/ecureset/executions", {}),
        ("POST", "/components/0x10/operations/0x0203/executions", {"timeout": "x"}),
        ("POST", "/components/0x10/operations/0x0203/executions", {"parameters": []}),
        ("PUT", "/components/0x10/status/restart", {"parameters": {"resetType": "cold"}}),
        ("PUT", "/components/0x10/status/restart", {"parameters": "hard"}),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_wrong_input_is_an_incomplete_request(
    vehicle: Vehicle, method: str, address: str, body: Any
) -> None:
    user = await in_thread(make_user, "tester", "add_command", "view_vehicle", "send_intrusive")
    response = await Caller(user, vehicle).call(method, address, body)
    assert (response.status_code, response.json()["error_code"]) == (400, "incomplete-request")
    assert not await in_thread(Command.objects.exists)


# Waiting


async def test_when_the_wait_ends_a_pending_command_is_cancelled(
    caller: Caller, vehicle: Vehicle
) -> None:
    response = await caller.get(f"{FAULTS}?timeout=0.05")
    assert (response.status_code, response.json()["error_code"]) == (504, "not-responding")
    command = await in_thread(Command.objects.get)
    assert command.status == Status.CANCELLED
    assert response.json()["parameters"] == {"command_id": str(command.pk)}
    actions = await in_thread(lambda: [*AuditEntry.objects.values_list("action", flat=True)])
    assert actions == ["cancel", "submit"]


async def test_when_the_wait_ends_a_running_command_goes_on(caller: Caller) -> None:
    calling = asyncio.create_task(caller.delete(f"{FAULTS}?timeout=3"))
    await pending()
    command = await in_thread(claim_one)
    response = await calling
    assert (response.status_code, response.json()["vendor_code"]) == (504, "still_running")
    assert (await in_thread(row, command)).status == Status.IN_PROGRESS
    assert (await in_thread(row, command)).cancel_requested_at is None
    await in_thread(lifecycle.complete, command, {})


async def test_a_client_that_leaves_leaves_no_pending_command(caller: Caller) -> None:
    calling = asyncio.create_task(caller.get(FAULTS))
    command = await pending()
    calling.cancel()
    await asyncio.wait([calling])
    await until(lambda: in_thread(lambda: row(command).status == Status.CANCELLED))


async def test_a_client_that_leaves_during_the_submission_leaves_no_pending_command(
    caller: Caller, vehicle: Vehicle
) -> None:
    """A transaction that has locked the vehicle holds up the submission until it has left."""
    left, is_waiting = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold_up() -> None:
        with transaction.atomic():
            Vehicle.objects.select_for_update().get(pk=vehicle.pk)
            until_blocked()
            loop.call_soon_threadsafe(is_waiting.set)
            assert left.wait(WAIT_SECONDS)

    held = asyncio.create_task(in_thread(hold_up))
    calling = asyncio.create_task(caller.get(FAULTS))
    await asyncio.wait_for(is_waiting.wait(), WAIT_SECONDS)
    calling.cancel()
    left.set()
    await asyncio.wait([calling, held])
    assert calling.cancelled()
    command = await in_thread(Command.objects.get)
    assert command.status == Status.CANCELLED


async def test_only_the_responses_since_the_last_claim_count(caller: Caller) -> None:
    calling = asyncio.create_task(caller.get(FAULTS))
    await pending()

    def carry_out() -> None:
        dtc = {"type": "dtc", "dtcCode": "P0420", "status": "0x2F", "confirmed": True}
        for code in ("P0001", "P0002"):
            command = claim_one()
            lifecycle.respond(command, dtc | {"dtcCode": code, "description": ""})
            if code == "P0001":
                lifecycle.release(command)
        lifecycle.complete(command, {"type": "summary"})

    await in_thread(carry_out)
    (fault,) = (await calling).json()["items"]
    assert (fault["code"], fault["fault_name"]) == ("P0002", "P0002")


async def test_as_many_calls_may_wait_as_streams(caller: Caller, settings: Any) -> None:
    settings.STREAMS_PER_USER = 1
    first = asyncio.create_task(caller.get(FAULTS))
    command = await pending()
    second = await caller.get(FAULTS)
    assert (second.status_code, second.json()["vendor_code"]) == (429, "too_many_streams")
    await in_thread(lifecycle.cancel, command)
    assert (await first).status_code == 409
    assert await in_thread(Command.objects.count) == 1


async def test_a_repeated_call_with_a_key_sends_nothing(caller: Caller) -> None:
    key = {"Idempotency-Key": "a"}
    async with at_work():
        codes = [(await caller.delete(FAULTS, headers=key)).status_code for _ in range(2)]
    assert codes == [204, 204]
    assert await in_thread(Command.objects.count) == 1


async def test_a_throttled_call_says_when_to_come_again(caller: Caller, settings: Any) -> None:
    settings.THROTTLE_COMMANDS = "1/min"
    codes = [await caller.get(f"{FAULTS}?timeout=0.01") for _ in range(2)]
    assert [response.status_code for response in codes] == [504, 429]
    assert int(codes[1].headers["Retry-After"]) > 0
    assert codes[1].json()["vendor_code"] == "throttled"


# Outcomes

ENDS = {
    ErrorCode.VEHICLE_UNREACHABLE: (504, "not-responding"),
    ErrorCode.WORKER_LOST: (504, "not-responding"),
    ErrorCode.OUTCOME_UNKNOWN: (504, "not-responding"),
    ErrorCode.VEHICLE_REFUSED: (502, "error-response"),
    ErrorCode.MALFORMED_ANSWER: (502, "invalid-response-content"),
    ErrorCode.WRONG_VEHICLE: (502, "vendor-specific"),
}


@pytest.mark.parametrize("code", ENDS)
async def test_a_failed_command_is_an_error_of_the_standard(
    caller: Caller, code: ErrorCode
) -> None:
    calling = asyncio.create_task(caller.get(FAULTS))
    await pending()
    message = "NRC 0x22 conditionsNotCorrect: Stop the engine. It may have been carried out."
    await in_thread(lambda: lifecycle.fail(claim_one(), code, message))
    response = await calling
    body = response.json()
    assert (response.status_code, body["error_code"]) == ENDS[code]
    assert (body["message"], body["vendor_code"]) == (message, code)
    if code == ErrorCode.VEHICLE_REFUSED:
        assert body["parameters"] == {"nrc": "22", "service": "19"}


def test_every_error_of_a_command_has_a_meaning() -> None:
    assert errors.OUTCOMES.keys() == {*ErrorCode}


# Schemas


ADDRESSES = [
    "/sovd/version-info",
    "",
    "/components",
    "/areas",
    "/components/0x10",
    "/components/0x10/hosts",
    "/components/0x10/faults",
    "/components/0x10/faults/P0420",
    "/components/0x10/data-categories",
    "/components/0x10/data-groups",
    "/components/0x10/data",
    "/components/0x10/data/0xF190",
    "/components/0x10/operations",
    "/components/0x10/operations/ecureset",
    "/components/0x10/operations/0x0203/executions",
    "/components/0x10/status",
]


async def test_an_answer_fits_the_schema_that_it_includes(caller: Caller) -> None:
    async with at_work():
        for address in ADDRESSES:
            body = (await caller.get(f"{address}?include-schema=true")).json()
            assert "schema" not in (await caller.get(f"{address}?include-schema=FALSE")).json()
            assert body["schema"]["$schema"]
            jsonschema.validate(body, body["schema"])


# Events


async def test_the_events_of_an_execution_resume(vehicle: Vehicle) -> None:
    user = await in_thread(make_user, "tester", "add_command", "view_vehicle", "send_intrusive")
    caller = Caller(user, vehicle)
    async with at_work():
        started = await caller.post("/components/0x10/operations/0x0203/executions", {})
        address = f"{started.headers['Location']}/x-events"
        whole = await text_of(await caller.get(address))
    assert [line for line in whole.splitlines() if line.startswith("id:")] == [
        "id: 1",
        "id: 2",
        "id: 3",
        "id: 4",
    ]
    rest = await text_of(await caller.get(address, headers={"Last-Event-ID": "2"}))
    assert events_of(rest) == events_of(whole)[2:]
    assert (await caller.get(address, headers={"Last-Event-ID": "4"})).status_code == 204
    for wrong in ("x", "-1", "99"):
        assert (await caller.get(address, headers={"Last-Event-ID": wrong})).status_code == 400


async def test_events_end_with_the_right_to_see_them(vehicle: Vehicle, viewer: User) -> None:
    user = await in_thread(make_user, "tester", "add_command", "view_vehicle", "send_intrusive")
    started = await Caller(user, vehicle).post("/components/0x10/operations/0x0203/executions", {})
    address = f"{started.headers['Location']}/x-events"
    response = await Caller(viewer, vehicle).get(address)
    reading = asyncio.create_task(text_of(response))
    await in_thread(User.objects.filter(pk=viewer.pk).update, is_active=False)
    text = await reading
    assert text.startswith("id: 1\n")
    assert '"error_code":"unauthenticated"' in text


def events_of(text: str) -> list[tuple[str, Any]]:
    """Return the IDs and the frames: of those of the log, the order of names differs."""
    return [
        (number, json.loads(frame))
        for number, frame in re.findall(r"(?m)^id: (\d+)\ndata: (.*)$", text)
    ]


async def text_of(response: Any) -> str:
    return b"".join([chunk async for chunk in response.streaming_content]).decode()
