"""Batches: many ordinary commands, submitted, taken back and stopped together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from commands import batches, lifecycle
from commands.doorbell import WORKERS, bell
from commands.events import iso
from commands.models import Batch, Command, Event, IdempotencyKey, Status
from commands.tests.test_failpoints import worker
from commands.tests.test_worker import working
from commands.threads import in_thread
from commands.worker import Worker
from conftest import (
    ClearDTC,
    ReadDTC,
    api,
    drain,
    in_order,
    log_of,
    meanwhile,
    read_all,
    row,
    submit,
    until,
)
from vehicles.connector import Answer, TargetVehicle, VehicleError
from vehicles.models import Vehicle

BATCHES = "/api/v1/batches/"
COMMANDS = "/api/v1/commands/"
KEY = "9f1c3a5e-batch"


@pytest.fixture
def fleet(transactional_db: None) -> list[Vehicle]:
    return make_fleet(4)


def make_fleet(count: int, **fields: Any) -> list[Vehicle]:
    vehicles = [
        Vehicle(vin=f"1HGCM82623A{n:06}", make="Honda", connection_status="connected", **fields)
        for n in range(count)
    ]
    return Vehicle.objects.bulk_create(vehicles)


def ids(vehicles: list[Vehicle]) -> list[str]:
    return [str(vehicle.pk) for vehicle in vehicles]


def post(user: User, body: dict[str, Any], key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return api(user).post(BATCHES, ReadDTC | body, headers=headers)


def submitted(user: User, vehicles: list[Vehicle], **more: Any) -> Batch:
    response = post(user, {"vehicle_ids": ids(vehicles), **more})
    assert response.status_code == 201, response.content
    batch: Batch = Batch.objects.get(pk=response.json()["batch_id"])
    return batch


def seen(user: User, batch: Batch) -> dict[str, Any]:
    response = api(user).get(f"{BATCHES}{batch.pk}/")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def counted(user: User, batch: Batch) -> dict[str, int]:
    return {status: count for status, count in seen(user, batch)["counts"].items() if count}


def results(user: User, batch: Batch, query: str = "") -> list[dict[str, Any]]:
    response = api(user).get(f"{BATCHES}{batch.pk}/results/?{query}")
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = response.json()["results"]
    return rows


def complaints(response: Any) -> dict[str, list[str]]:
    assert (response.status_code, response.json()["code"]) == (400, "invalid"), response.content
    fields: dict[str, list[str]] = response.json()["fields"]
    return fields


def claim(count: int) -> list[Command]:
    Vehicle.objects.seen()
    claimed = lifecycle.claim(count)
    assert len(claimed) == count
    return claimed


def fail(command: Command) -> None:
    lifecycle.fail(command, "vehicle_refused", "No.")


def told(command: Command) -> list[str]:
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status") or event.kind for event in log]


def allow_unsafe(user: User) -> User:
    user.user_permissions.add(Permission.objects.get(codename="send_unsafe_to_many"))
    return user


# --- Submitting


@pytest.mark.embedded
def test_a_vehicle_that_is_deleted_meanwhile(operator: User, fleet: list[Vehicle]) -> None:
    gone = str(fleet[2].pk)
    with meanwhile('FROM "vehicles_vehicle"', fleet[2].delete):
        response = post(operator, {"vehicle_ids": ids(fleet)})
    assert gone in complaints(response)["vehicle_ids"][0]
    assert not Batch.objects.exists()
    assert not Command.objects.exists()


@pytest.mark.embedded
@pytest.mark.parametrize("count", [{}, {"vehicle_count": 4}], ids=["any", "four"])
def test_a_vehicle_of_a_filter_that_is_deleted_meanwhile(
    operator: User, fleet: list[Vehicle], count: dict[str, int]
) -> None:
    """It is no longer found, and whoever meant so many is told."""
    with meanwhile('FROM "vehicles_vehicle"', fleet[2].delete):
        response = post(operator, {"vehicle_filter": {}, **count})
    if count:
        assert "3 vehicles now, not 4" in complaints(response)["vehicle_count"][0]
    else:
        assert (response.status_code, response.json()["vehicle_count"]) == (201, 3)
    assert Command.objects.count() == (0 if count else 3)


@pytest.mark.embedded
def test_a_batch_is_shown_whole(operator: User, fleet: list[Vehicle]) -> None:
    body = {"vehicle_ids": ids(fleet), "stop_above_failed_percent": 25, "vehicle_count": 4}
    response = post(operator, body)
    batch = Batch.objects.get()
    assert response.status_code == 201
    assert response.json() == seen(operator, batch)
    assert response.json() == {
        "batch_id": str(batch.pk),
        **ReadDTC,
        "submitted_by": "operator",
        "submitted_at": iso(batch.submitted_at),
        "vehicle_count": 4,
        "stop_above_failed_percent": 25,
        "stopped_at": None,
        "stop_reason": "",
        "counts": dict.fromkeys(Status.values, 0) | {"pending": 4},
        "has_ended": False,
        "ended_at": None,
    }


@pytest.mark.embedded
def test_its_commands_are_ordinary_ones(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet)
    commands = list(Command.objects.all())
    assert {command.vehicle_id for command in commands} == {vehicle.pk for vehicle in fleet}
    for command in commands:
        shown = api(operator).get(f"{COMMANDS}{command.pk}/").json()
        assert (shown["batch_id"], shown["status"]) == (str(batch.pk), "pending")
        assert shown.items() >= ReadDTC.items()
        assert command.expires_at - command.submitted_at == timedelta(seconds=300)
        (frame,) = log_of(operator, command)
        assert (frame["sequence_number"], frame["status"]) == (1, "pending")


@pytest.mark.embedded
async def test_a_batch_runs_to_its_end(operator: User, fleet: list[Vehicle]) -> None:
    batch = await in_thread(submitted, operator, fleet)
    await drain()
    assert await in_thread(counted, operator, batch) == {"completed": 4}
    assert (await in_thread(seen, operator, batch))["has_ended"] is True
    for command in await in_thread(lambda: list(batch.commands.all())):
        frames, code = await read_all(command, operator)
        assert (in_order(frames), code) == ([*range(1, len(frames) + 1)], 1000)
        assert [frames[0]["status"], frames[-1]["status"]] == ["pending", "completed"]


CHOICES = [
    ({}, [0, 1, 2, 3, 4]),
    ({"search": "tesla"}, [4]),
    ({"search": "honda 000002"}, [2]),
    ({"connection_status": "connected"}, [0, 1, 2]),
    ({"connection_status": "disconnected", "search": "honda"}, [3]),
    ({"connection_status": "", "search": ""}, [0, 1, 2, 3, 4]),
]


@pytest.mark.parametrize(("choice", "found"), CHOICES)
def test_vehicles_by_filter(
    operator: User, fleet: list[Vehicle], choice: dict[str, str], found: list[int]
) -> None:
    Vehicle.objects.filter(pk=fleet[3].pk).update(connection_status="disconnected")
    other = Vehicle.objects.create(vin="5YJ3E1EA7KF000316", make="Tesla", model="Model 3")
    Vehicle.objects.filter(pk=other.pk).update(connection_status="error")
    Vehicle.objects.seen()
    response = post(operator, {"vehicle_filter": choice, "vehicle_count": len(found)})
    assert response.status_code == 201, response.content
    chosen = {command.vehicle_id for command in Command.objects.all()}
    assert chosen == {[*fleet, other][n].pk for n in found}


UNKNOWN = str(uuid4())
WRONG = [
    ({"vehicle_ids": []}, "vehicle_ids", "may not be empty"),
    ({"vehicle_ids": "all"}, "vehicle_ids", "list"),
    ({"vehicle_ids": None}, "vehicle_ids", "may not be null"),
    ({"vehicle_ids": ["car"]}, "vehicle_ids.0", "valid UUID"),
    ({"vehicle_ids": [UNKNOWN]}, "vehicle_ids", f"There is no vehicle {UNKNOWN}."),
    ({"vehicle_ids": [str(uuid4()) for _ in range(30)]}, "vehicle_ids", "and 20 more."),
    ({"vehicle_ids": [str(uuid4()) for _ in range(1001)]}, "vehicle_ids", "no more than 1000"),
    ({}, "vehicle_ids", "either `vehicle_ids` or `vehicle_filter`"),
    ({"vehicle_ids": ["FIRST"], "vehicle_filter": {}}, "vehicle_ids", "either `vehicle_ids` or"),
    ({"vehicle_ids": ["FIRST", "FIRST"]}, "vehicle_ids", "named once"),
    ({"vehicle_filter": []}, "vehicle_filter", "dictionary"),
    ({"vehicle_filter": None}, "vehicle_filter", "may not be null"),
    ({"vehicle_filter": {"vin": "x"}}, "vehicle_filter.vin", "Known: connection_status, search"),
    ({"vehicle_filter": {"search": 7}}, "vehicle_filter.search", "valid string"),
    ({"vehicle_filter": {"search": "x" * 101}}, "vehicle_filter.search", "at most 100"),
    ({"vehicle_filter": {"connection_status": "lost"}}, "vehicle_filter.connection_status", "lost"),
    ({"vehicle_filter": {"search": "unheard of"}}, "vehicle_filter", "No vehicle is found"),
    ({"vehicle_filter": {}, "vehicle_count": 3}, "vehicle_count", "has 4 vehicles now, not 3"),
    ({"vehicle_filter": {}, "vehicle_count": 0}, "vehicle_count", "greater than or equal to 1"),
    ({"vehicle_filter": {}, "vehicle_count": "4"}, "vehicle_count", "valid integer"),
    ({"vehicle_filter": {}, "vehicle_count": None}, "vehicle_count", "may not be null"),
    ({"vehicle_filter": {}, "vehicle_count": True}, "vehicle_count", "valid integer"),
    ({"vehicle_filter": {}, "stop_above_failed_percent": 101}, "stop_above_failed_percent", "100"),
    ({"vehicle_filter": {}, "stop_above_failed_percent": -1}, "stop_above_failed_percent", "0"),
    ({"vehicle_filter": {}, "stop_above_failed_percent": 2.5}, "stop_above_failed_percent", "int"),
    ({"vehicle_filter": {}, "command_name": "Reboot"}, "command_name", "Known: ReadDTC"),
    ({"vehicle_filter": {}, "command_params": {}}, "command_params.ecuAddress", "Required"),
    ({"vehicle_filter": {}, "stop_reason": "failures"}, "stop_reason", "Unknown field"),
    ({"vehicle_filter": {}, "counts": {"pending": 1}}, "counts", "Unknown field"),
]


@pytest.mark.parametrize(("body", "field", "says"), WRONG)
def test_a_wrong_batch_is_refused_by_field(
    operator: User, fleet: list[Vehicle], body: dict[str, Any], field: str, says: str
) -> None:
    if "FIRST" in (body.get("vehicle_ids") or []):
        body = body | {"vehicle_ids": [str(fleet[0].pk)] * len(body["vehicle_ids"])}
    fields = complaints(post(operator, body))
    assert says in " ".join(fields[field])
    assert not Batch.objects.exists()
    assert not Command.objects.exists()


def test_a_filter_that_finds_too_many(operator: User) -> None:
    make_fleet(1_001)
    fields = complaints(post(operator, {"vehicle_filter": {}}))
    assert "More than 1000 vehicles" in fields["vehicle_filter"][0]
    assert not Command.objects.exists()


def test_all_of_its_commands_or_none(operator: User, fleet: list[Vehicle]) -> None:
    vehicles = [*fleet, Vehicle(vin="1HGCM82623A999999")]  # the last is not there
    batch = Batch(submitted_by=operator, **ReadDTC)
    with pytest.raises(Exception, match="foreign key"):
        batches.submit(batch, vehicles)
    assert (Batch.objects.count(), Command.objects.count(), Event.objects.count()) == (0, 0, 0)


# --- What must not run twice


def clear(user: User, vehicles: list[Vehicle], **more: Any) -> Any:
    return post(user, ClearDTC | {"vehicle_ids": ids(vehicles), **more})


@pytest.mark.embedded
def test_unsafe_needs_a_permission_of_its_own(operator: User, fleet: list[Vehicle]) -> None:
    refused = clear(operator, fleet, vehicle_count=4)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert "commands.send_unsafe_to_many" in refused.json()["detail"]
    assert not Batch.objects.exists()
    assert clear(allow_unsafe(operator), fleet, vehicle_count=4).status_code == 201


def test_unsafe_must_say_for_how_many(operator: User, fleet: list[Vehicle]) -> None:
    allow_unsafe(operator)
    assert "Required for ClearDTC" in complaints(clear(operator, fleet))["vehicle_count"][0]
    says = complaints(clear(operator, fleet, vehicle_count=5))["vehicle_count"]
    assert says == ["The choice has 4 vehicles now, not 5: look again."]
    assert not Batch.objects.exists()


def test_the_permission_alone_does_not_submit(viewer: User, fleet: list[Vehicle]) -> None:
    assert clear(allow_unsafe(viewer), fleet, vehicle_count=4).status_code == 403


# --- Who sees what


def statuses(user: User | None, batch: Batch) -> list[int]:
    client = api(user)
    address = f"{BATCHES}{batch.pk}/"
    return [client.get(address).status_code, client.get(f"{address}results/").status_code]


@pytest.mark.embedded
def test_who_may_look(operator: User, viewer: User, stranger: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet)
    codes = [statuses(user, batch) for user in (operator, viewer, stranger, None)]
    assert codes == [[200, 200], [200, 200], [404, 404], [401, 401]]
    lists = [api(user).get(BATCHES).json()["results"] for user in (operator, viewer, stranger)]
    assert [len(rows) for rows in lists] == [1, 1, 0]
    query = f"{COMMANDS}?batch_id={batch.pk}"
    found = [api(user).get(query).json()["results"] for user in (operator, viewer, stranger)]
    assert [len(rows) for rows in found] == [4, 4, 0]


@pytest.mark.embedded
def test_who_may_cancel(operator: User, viewer: User, stranger: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet)
    people = [None, viewer, stranger, operator]
    codes = [api(user).post(f"{BATCHES}{batch.pk}/cancel/").status_code for user in people]
    assert codes == [401, 403, 404, 200]


def test_another_ones_batch_answers_like_none(
    operator: User, stranger: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    for part in ("", "results/"):
        theirs = api(stranger).get(f"{BATCHES}{batch.pk}/{part}")
        none = api(stranger).get(f"{BATCHES}{uuid4()}/{part}")
        assert (theirs.status_code, theirs.content) == (none.status_code, none.content)


def test_lists(operator: User, stranger: User, viewer: User, fleet: list[Vehicle]) -> None:
    first = submitted(operator, fleet)
    other = submitted(
        stranger, fleet[:1], command_name="ReadDataByID",
        command_params={"ecuAddress": "0x10", "dataId": "0xF190"},
    )  # fmt: skip

    def found(query: str) -> list[str]:
        return [row["batch_id"] for row in api(viewer).get(f"{BATCHES}?{query}").json()["results"]]

    assert found("") == [str(other.pk), str(first.pk)]
    assert found("ordering=submitted_at") == [str(first.pk), str(other.pk)]
    assert found("command_name=ReadDTC") == [str(first.pk)]
    assert found("submitted_by=stranger") == [str(other.pk)]
    assert found("page_size=1") == [str(other.pk)]
    assert complaints(api(viewer).get(f"{BATCHES}?page_size=101")).keys() == {"page_size"}


# --- Idempotency-Key


@pytest.mark.embedded
def test_a_repeat_is_answered_as_the_first_time(operator: User, fleet: list[Vehicle]) -> None:
    first = post(operator, {"vehicle_ids": ids(fleet)}, KEY)
    batches.cancel(Batch.objects.get())
    second = post(operator, {"vehicle_ids": ids(fleet)}, KEY)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert (Batch.objects.count(), Command.objects.count()) == (1, 4)


def test_another_payload_is_refused(operator: User, fleet: list[Vehicle]) -> None:
    post(operator, {"vehicle_ids": ids(fleet)}, KEY)
    response = post(operator, {"vehicle_ids": ids(fleet[:3])}, KEY)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Batch.objects.count() == 1


def test_a_key_belongs_to_one_address(operator: User, fleet: list[Vehicle]) -> None:
    for_one = {"vehicle_id": str(fleet[0].pk), **ReadDTC}
    for_many = {"vehicle_ids": ids(fleet), **ReadDTC}
    client = api(operator)
    for number, (address, body, other) in enumerate(
        [(COMMANDS, for_one, BATCHES), (BATCHES, for_many, COMMANDS)]
    ):
        headers = {"Idempotency-Key": f"{KEY}{number}"}
        assert client.post(address, body, headers=headers).status_code == 201
        response = client.post(other, body, headers=headers)
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


def at_once(*works: Callable[[], Any]) -> list[Any]:
    ready = Barrier(len(works))

    def one(work: Callable[[], Any]) -> Any:
        ready.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return [*threads.map(one, works)]


def test_many_at_once_end_in_one_batch(operator: User, fleet: list[Vehicle]) -> None:
    responses = at_once(*[partial(post, operator, {"vehicle_ids": ids(fleet)}, KEY)] * 5)
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert (Batch.objects.count(), Command.objects.count(), Event.objects.count()) == (1, 4, 4)
    assert IdempotencyKey.objects.get().command.batch == Batch.objects.get()


# --- Cancelling


@pytest.mark.embedded
def test_cancel(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet)
    done, running = claim(2)
    lifecycle.complete(done, {})
    response = api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert response.status_code == 200
    assert response.json() == seen(operator, batch)
    assert (response.json()["stop_reason"], response.json()["has_ended"]) == ("cancelled", False)
    assert response.json()["stopped_at"]
    assert counted(operator, batch) == {"completed": 1, "in_progress": 1, "cancelled": 2}
    assert row(running).cancel_requested_at
    for command in batch.commands.filter(status="cancelled"):
        assert told(command) == ["pending", "cancelled"]
        assert (command.last_sequence_number, command.claim_token) == (2, None)
        assert command.completed_at
    lifecycle.cancel_running(running)
    assert seen(operator, batch)["has_ended"] is True


@pytest.mark.embedded
def test_when_it_ended(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet[:2])
    first, last = claim(2)
    lifecycle.complete(first, {})
    assert seen(operator, batch)["ended_at"] is None
    lifecycle.complete(last, {})
    ended = row(last).completed_at
    assert ended
    assert seen(operator, batch)["ended_at"] == iso(ended)
    assert api(operator).get(BATCHES).json()["results"][0]["ended_at"] == iso(ended)


def test_cancel_what_has_ended(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    lifecycle.complete(command, {})
    response = api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert (response.status_code, response.json()["code"]) == (409, "already_ended")
    assert response.json()["detail"] == "The batch has ended; it can no longer be cancelled."
    assert seen(operator, batch)["stopped_at"] is None


def test_cancel_again_while_one_still_runs(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet)
    claim(1)
    first, second = (api(operator).post(f"{BATCHES}{batch.pk}/cancel/").json() for _ in range(2))
    assert first == second


def test_others_are_left_alone(operator: User, fleet: list[Vehicle]) -> None:
    batch, other = submitted(operator, fleet), submitted(operator, fleet)
    alone = submit(operator, fleet[0])
    api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert counted(operator, other) == {"pending": 4}
    assert row(alone).status == "pending"


async def test_a_stream_hears_of_it(operator: User, fleet: list[Vehicle]) -> None:
    batch = await in_thread(submitted, operator, fleet)
    command = await in_thread(batch.commands.latest, "submitted_at")
    reading = asyncio.create_task(read_all(command, operator))
    await in_thread(batches.cancel, batch)
    frames, code = await reading
    assert [frame["status"] for frame in frames] == ["pending", "cancelled"]
    assert code == 1000


class Rung:
    """What was rung, in place of the channel layer's members."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups: list[str] = []
        self.messages: list[str] = []
        monkeypatch.setattr(bell, "ring", self._ring)

    def _ring(self, group: str, message: Mapping[str, Any]) -> None:
        self.groups.append(group)
        self.messages.append(message["type"])


def test_the_workers_are_rung_once(
    operator: User, fleet: list[Vehicle], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = Rung(monkeypatch)
    batch = submitted(operator, fleet)
    assert (rung.groups, rung.messages) == ([WORKERS], ["command.pending"])
    claim(2)
    rung.groups.clear()
    rung.messages.clear()
    batches.cancel(batch)
    assert rung.messages.count("command.cancel") == rung.groups.count(WORKERS) == 1
    cancelled = batch.commands.filter(status="cancelled")
    assert set(rung.groups) - {WORKERS} == {f"response_{command.pk}" for command in cancelled}


def test_two_who_cancel_and_one_who_claims_at_once(operator: User) -> None:
    """Every command ends once, and nobody waits in a circle."""
    fleet = make_fleet(60)
    batch = submitted(operator, fleet)
    Vehicle.objects.seen()
    at_once(*[partial(cancel_all, batch)] * 2, partial(lifecycle.claim, 32))
    counts = counted(operator, batch)
    assert counts.get("cancelled", 0) + counts.get("in_progress", 0) == 60
    for command in batch.commands.all():
        if command.status == "in_progress":
            assert command.cancel_requested_at
            assert told(command) == ["pending", "in_progress"]
        else:
            assert told(command) == ["pending", "cancelled"]


def cancel_all(batch: Batch) -> None:
    lifecycle.cancel_many(Command.objects.filter(batch=batch))


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


def test_what_is_claimed_while_it_is_cancelled_is_asked_to_stop(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    Vehicle.objects.seen()

    def cancel() -> None:
        try:
            batches.cancel(batch)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            (claimed,) = lifecycle.claim(1)
            cancelling = thread.submit(cancel)
            while not is_waiting_for_a_lock():
                assert not cancelling.done()
        cancelling.result()
    assert row(claimed).cancel_requested_at
    assert counted(operator, batch) == {"in_progress": 1, "cancelled": 3}


# --- Cancelling commands by their ids


def cancel_ids(user: User | None, *command_ids: object) -> Any:
    body = {"command_ids": [str(pk) for pk in command_ids]}
    return api(user).post(f"{COMMANDS}cancel/", body)


@pytest.mark.embedded
def test_cancel_by_ids(operator: User, fleet: list[Vehicle]) -> None:
    commands = [submit(operator, vehicle) for vehicle in fleet]
    ended, running = claim(2)
    lifecycle.complete(ended, {})
    response = cancel_ids(operator, *(command.pk for command in commands), running.pk)
    assert response.status_code == 200
    assert response.json() == {"cancelled": 2, "asked_to_stop": 1, "already_ended": 1}
    assert row(running).cancel_requested_at
    assert told(ended) == ["pending", "in_progress", "response", "completed"]
    assert sorted(command.status for command in Command.objects.all()) == [
        *("cancelled", "cancelled", "completed", "in_progress")
    ]


@pytest.mark.embedded
def test_ids_that_one_may_not_see(
    operator: User, viewer: User, stranger: User, fleet: list[Vehicle]
) -> None:
    own, foreign = submit(stranger, fleet[0]), submit(operator, fleet[1])
    says = complaints(cancel_ids(stranger, own.pk, foreign.pk))["command_ids"]
    assert says == [f"There is no command {foreign.pk}."]
    assert says == [
        text.replace(UNKNOWN, str(foreign.pk))
        for text in complaints(cancel_ids(stranger, own.pk, UNKNOWN))["command_ids"]
    ]
    assert row(own).status == row(foreign).status == "pending"
    assert cancel_ids(viewer, own.pk).status_code == 403
    assert cancel_ids(None, own.pk).status_code == 401


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], "command_ids"),
        (None, "command_ids"),
        ("all", "command_ids"),
        (["x"], "command_ids.0"),
        ([UNKNOWN] * 1_001, "command_ids"),
    ],
)
def test_wrong_ids(operator: User, value: object, field: str) -> None:
    response = api(operator).post(f"{COMMANDS}cancel/", {"command_ids": value})
    assert complaints(response).keys() == {field}


# --- Stopping by itself


class Fleet:
    """Vehicles of which the first `failing` refuse; each waits until it is told to go on."""

    def __init__(self, failing: int) -> None:
        self.failing = failing
        self.asked = 0

    async def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        self.asked += 1
        if self.asked <= self.failing:
            raise VehicleError("vehicle_refused", "No.")
        yield Answer({}, is_final=True)


@pytest.fixture
def one_by_one(settings: Any) -> None:
    settings.WORKER_CONCURRENCY = 1


@pytest.mark.parametrize(
    ("percent", "failing", "stops"),
    [(0, 1, True), (25, 1, False), (24, 1, True), (25, 2, True), (100, 4, False), (None, 4, False)],
)
@pytest.mark.usefixtures("one_by_one")
@pytest.mark.embedded
async def test_it_stops_above_its_share(
    operator: User, fleet: list[Vehicle], percent: int | None, failing: int, stops: bool
) -> None:
    batch = await in_thread(submitted, operator, fleet, stop_above_failed_percent=percent)
    vehicles = Fleet(failing)
    await drain(vehicles)
    shown = await in_thread(seen, operator, batch)
    ran = failing if stops else 4
    assert vehicles.asked == ran
    assert shown["counts"]["failed"] == failing
    assert shown["counts"]["cancelled"] == 4 - ran
    assert (shown["stop_reason"], shown["has_ended"]) == ("failures" if stops else "", True)
    assert bool(shown["stopped_at"]) is stops


@pytest.mark.embedded
def test_the_worker_sweeps_what_a_killed_one_left(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    failed, running = claim(2)
    fail(failed)  # and its worker dies
    batches.sweep()
    assert counted(operator, batch) == {"failed": 1, "in_progress": 1, "cancelled": 2}
    assert row(running).cancel_requested_at
    assert seen(operator, batch)["stop_reason"] == "failures"


@pytest.mark.parametrize(
    "failpoint", ["after_commit=kill@2", "after_commit=cut@2", "after_commit=cut@3"]
)
def test_a_worker_that_dies_between_the_failure_and_the_stop(
    operator: User, fleet: list[Vehicle], failpoint: str
) -> None:
    """Or loses its connection in the middle of it."""
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    environment = {"WORKER_CONCURRENCY": 1, "MOCK_VEHICLE_UNREACHABLE_RATE": 1}
    worker(FAILPOINTS=failpoint, **environment)
    worker(**environment)
    assert counted(operator, batch) == {"failed": 1, "cancelled": 3}
    for command in batch.commands.filter(status="cancelled"):
        assert told(command) == ["pending", "cancelled"]


async def test_a_lost_worker_may_be_one_failure_too_many(
    operator: User, fleet: list[Vehicle]
) -> None:
    """It is swept as failed, and the same round of the sweep stops the batch."""

    def lose_one() -> Batch:
        response = clear(
            allow_unsafe(operator), fleet, vehicle_count=4, stop_above_failed_percent=0
        )
        (lost,) = claim(1)
        lifecycle.mark_sent(lost)
        Command.objects.filter(pk=lost.pk).update(lease_expires_at=lost.submitted_at)
        return Batch.objects.get(pk=response.json()["batch_id"])

    batch = await in_thread(lose_one)
    await drain()
    assert await in_thread(counted, operator, batch) == {"failed": 1, "cancelled": 3}


def test_timed_out_counts_and_expired_does_not(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    Command.objects.filter(vehicle=fleet[0]).update(expires_at=F("submitted_at"))
    lifecycle.sweep()
    batches.sweep()
    assert counted(operator, batch) == {"expired": 1, "pending": 3}
    (command,) = claim(1)
    lifecycle.time_out(command, "Silence.")
    batches.sweep()
    assert counted(operator, batch) == {"expired": 1, "timed_out": 1, "cancelled": 2}


def test_a_batch_that_was_cancelled_does_not_fail(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    (command,) = claim(1)
    batches.cancel(batch)
    before = seen(operator, batch)["stopped_at"]
    fail(command)
    batches.sweep()
    batches.stop_if_failing(batch.pk)
    after = seen(operator, batch)
    assert (after["stop_reason"], after["stopped_at"]) == ("cancelled", before)


@pytest.mark.parametrize("round_", range(3))
def test_of_many_who_find_it_one_stops_it(
    operator: User, monkeypatch: pytest.MonkeyPatch, round_: int
) -> None:
    batch = submitted(operator, make_fleet(40), stop_above_failed_percent=0)
    failed, *running = claim(5)
    fail(failed)
    stops = []
    cancel_many = lifecycle.cancel_many

    def counting(commands: Any) -> tuple[int, int]:
        stops.append(1)
        return cancel_many(commands)

    monkeypatch.setattr(lifecycle, "cancel_many", counting)
    at_once(*[partial(batches.stop_if_failing, batch.pk)] * 6)
    assert len(stops) == 1
    assert counted(operator, batch) == {"failed": 1, "in_progress": 4, "cancelled": 35}
    assert all(row(command).cancel_requested_at for command in running)
    for command in batch.commands.filter(status="cancelled"):
        assert told(command) == ["pending", "cancelled"]


async def test_what_runs_is_stopped_too(operator: User, fleet: list[Vehicle]) -> None:
    """The one that fails is not alone: the others wait for their vehicles, and are ended."""
    batch = await in_thread(submitted, operator, fleet, stop_above_failed_percent=0)

    class OneRefuses:
        async def execute(
            self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
        ) -> AsyncIterator[Answer]:
            if vehicle.vin == fleet[0].vin:
                raise VehicleError("vehicle_refused", "No.")
            await asyncio.Event().wait()
            yield Answer({}, is_final=True)

    async with working(Worker(OneRefuses())):
        await until(lambda: in_thread(lambda: seen(operator, batch)["has_ended"]))
    assert await in_thread(counted, operator, batch) == {"failed": 1, "cancelled": 3}


# --- Results


def respond(command: Command, count: int) -> None:
    for n in range(count):
        lifecycle.respond(command, {"n": n})


@pytest.mark.embedded
def test_results_by_vin(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, list(reversed(fleet)))
    (command,) = claim(1)
    respond(command, 1)
    lifecycle.complete(command, {"last": True})
    rows = results(operator, batch)
    assert [row["vehicle"]["vin"] for row in rows] == sorted(vehicle.vin for vehicle in fleet)
    (ended,) = (row for row in rows if row["status"] == "completed")
    alone = api(operator).get(f"{COMMANDS}{command.pk}/").json()
    vehicle = api(operator).get(f"/api/v1/vehicles/{command.vehicle_id}/").json()
    names = ["vehicle_id", "vin", "make", "model", "year", "connection_status"]
    assert ended == alone | {
        "vehicle": {name: vehicle[name] for name in names},
        "answers": [{"n": 0}, {"last": True}],
        "answers_left_off": 0,
    }
    assert [row["answers"] for row in rows if row["status"] == "pending"] == [[]] * 3


@pytest.mark.embedded
def test_results_by_status_and_page(operator: User, fleet: list[Vehicle]) -> None:
    other = submitted(operator, fleet)
    api(operator).post(f"{BATCHES}{other.pk}/cancel/")  # which must not be found in the next one
    batch = submitted(operator, fleet)
    (failed,) = claim(1)
    fail(failed)
    assert [row["command_id"] for row in results(operator, batch, "status=failed")] == [
        str(failed.pk)
    ]
    assert len(results(operator, batch, "status=pending")) == 3
    assert results(operator, batch, "status=cancelled") == []
    address, vins = f"{BATCHES}{batch.pk}/results/?page_size=3", []
    while address:
        page = api(operator).get(address).json()
        vins += [row["vehicle"]["vin"] for row in page["results"]]
        address = page["next"]
    assert vins == [vehicle.vin for vehicle in fleet]
    for query, field in [("page_size=101", "page_size"), ("status=lost", "status")]:
        response = api(operator).get(f"{BATCHES}{batch.pk}/results/?{query}")
        assert complaints(response).keys() == {field}


@pytest.mark.parametrize("count", [19, 20, 21, 22, 23, 50])
@pytest.mark.parametrize("end", ["running", "completed", "failed", "given back", "expired"])
def test_the_last_answers_that_count(
    operator: User, fleet: list[Vehicle], count: int, end: str
) -> None:
    """As `responses/` has them: those since the last claim."""
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    respond(command, 5)  # by a worker that gives it back: these do not count
    lifecycle.release(command)
    (command,) = claim(1)
    respond(command, count)
    END[end](command)
    response = api(operator).get(f"{COMMANDS}{command.pk}/responses/")
    counting = [frame["response"] for frame in response.json()["results"]]
    (shown,) = results(operator, batch)
    assert shown["answers"] == counting[-20:]
    assert shown["answers_left_off"] == len(counting) - len(shown["answers"])


def expire(command: Command) -> None:
    lifecycle.release(command)
    lifecycle.expire(row(command))


END: dict[str, Any] = {
    "running": lambda command: None,
    "completed": lambda command: lifecycle.complete(command, {"last": True}),
    "failed": fail,
    "given back": lifecycle.release,
    "expired": expire,
}


def test_answers_of_the_first_claim_are_gone_when_it_starts_again(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    respond(command, 2)
    lifecycle.release(command)
    claim(1)
    (shown,) = results(operator, batch)
    assert (shown["answers"], shown["answers_left_off"]) == ([], 0)


NESTED: dict[str, Any] = {}
for _ in range(30):
    NESTED = {"a": NESTED}


@pytest.mark.embedded
def test_vehicles_may_answer_any_json(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    answers: list[dict[str, Any]] = [
        {},
        {"": None, "type": ["dtc"], "status": "in_progress", "response": 1.5e300},
        {"status": "in_progress"},
        {"text": "<script>\u2028\U0001f600", "list": [[], {}, True, 2**63 - 1]},
        NESTED,
    ]
    for answer in answers:
        lifecycle.respond(command, answer)
    (shown,) = results(operator, batch)
    assert (shown["answers"], shown["answers_left_off"]) == (answers, 0)


@pytest.mark.embedded
def test_long_answers_are_left_off(operator: User, fleet: list[Vehicle]) -> None:
    """A page of them would be half a gigabyte."""
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    lifecycle.respond(command, {"n": 1})
    lifecycle.respond(command, {"long": "x" * batches.MOST_TEXT})
    lifecycle.respond(command, {"n": 3})
    (shown,) = results(operator, batch)
    assert (shown["answers"], shown["answers_left_off"]) == ([{"n": 1}, {"n": 3}], 1)


@pytest.mark.embedded
def test_the_last_answers_that_fit_together(operator: User, fleet: list[Vehicle]) -> None:
    """Of each command: a page of a hundred is asked for every two seconds."""
    batch = submitted(operator, fleet[:2])
    for command in claim(2):
        for number in range(10):
            lifecycle.respond(command, {"n": number, "x": "x" * (batches.MOST_TEXT // 4)})
        lifecycle.respond(command, {"n": 10})
    for shown in results(operator, batch):
        assert [answer["n"] for answer in shown["answers"]] == [7, 8, 9, 10]
        assert shown["answers_left_off"] == 7


# --- What it costs


def statements(work: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"].split()[0] for query in captured.captured_queries]


def test_a_thousand_cost_as_many_queries_as_one(operator: User) -> None:
    fleet = make_fleet(1_000)
    client = api(operator)
    for vehicles in (fleet[:1], fleet):
        body = {"vehicle_ids": ids(vehicles), **ReadDTC}
        assert statements(lambda body=body: client.post(BATCHES, body)) == [
            *("SELECT", "SELECT", "SELECT", "SELECT"),  # the user, their permissions, the vehicles
            *("BEGIN", "INSERT", "INSERT", "INSERT", "INSERT", "COMMIT"),  # the last: the audit
        ]
        batch = Batch.objects.latest("submitted_at")
        assert Event.objects.filter(command__batch=batch).count() == len(vehicles)
        Vehicle.objects.filter(pk=vehicles[0].pk).update(connection_status="connected")
        assert statements(lambda batch=batch: batches.cancel(batch)) == [
            *("BEGIN", "UPDATE", "SAVEPOINT", "SELECT", "UPDATE", "INSERT", "RELEASE", "COMMIT")
        ]
        assert counted(operator, batch) == {"cancelled": len(vehicles)}


def test_pages_cost_the_same_for_many(operator: User) -> None:
    fleet = make_fleet(60)
    client = api(operator)
    few, many = submitted(operator, fleet[:2]), submitted(operator, fleet)
    for command in claim(30):
        respond(command, 2)
    for batch in (few, many):
        assert len(statements(lambda batch=batch: client.get(f"{BATCHES}{batch.pk}/"))) == 4
        address = f"{BATCHES}{batch.pk}/results/?page_size=100"
        assert len(statements(lambda address=address: client.get(address))) == 7
    assert len(statements(lambda: client.get(BATCHES))) == 4


def test_the_sweep_is_one_query_while_nothing_fails(operator: User, fleet: list[Vehicle]) -> None:
    for _ in range(3):
        submitted(operator, fleet, stop_above_failed_percent=10)
    assert statements(batches.sweep) == ["SELECT"]


def test_hot_queries_use_their_indexes(operator: User) -> None:
    """Among 20,000 commands none of them reads the table."""
    fleet = make_fleet(200)
    rows = [
        Batch(submitted_by=operator, vehicle_count=200, stop_above_failed_percent=10, **ReadDTC)
        for _ in range(100)
    ]
    Batch.objects.bulk_create(rows)
    Batch.objects.update(submitted_at=F("submitted_at") - timedelta(days=1))
    for batch in rows:
        lifecycle.submit_many(
            [
                Command(vehicle=vehicle, submitted_by=operator, batch=batch, **ReadDTC)
                for vehicle in fleet
            ]
        )
    Command.objects.filter(vehicle__in=fleet[:50]).update(status="failed")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    one = Batch.objects.filter(pk=rows[0].pk)
    counts = str(batches.with_counts(one).explain())
    assert counts.count("Index Only Scan using command_of_batch") == counts.count(
        "command_of_batch"
    )
    assert counts.count("command_of_batch") == 3
    open_ones = Command.objects.filter(batch=rows[0], status__in=["pending", "in_progress"])
    failing = str(batches._failing().filter(pk=rows[0].pk).explain())
    for plan in (counts, failing, str(open_ones.order_by("pk").explain())):
        assert "command_of_batch" in plan
        assert "Seq Scan on commands_command" not in plan
