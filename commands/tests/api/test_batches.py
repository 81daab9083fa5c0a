"""Batches: many ordinary commands, submitted, cancelled and stopped together."""

import asyncio
import signal
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
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from commands import batches, lifecycle
from commands.database.threads import in_thread
from commands.events import iso
from commands.models import Batch, Command, Event, IdempotencyKey, Status
from commands.notifications import WORKERS, publisher
from commands.tests.draining import drain_here
from commands.tests.worker.background import working
from conftest import (
    ClearDTC,
    ReadDTC,
    ScriptedConnector,
    announce,
    api,
    drain,
    in_order,
    log_of,
    mark_seen,
    meanwhile,
    read_all,
    row,
    submit,
    until,
    worker_of,
)
from sovd.tests.processes import drain_worker
from vehicles.connectors.base import Attempt, Response, TargetVehicle, VehicleError
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
    mark_seen()
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


def test_a_vehicle_that_is_deleted_during_the_submission_is_named(
    operator: User, fleet: list[Vehicle]
) -> None:
    gone = str(fleet[2].pk)
    with meanwhile('FROM "vehicles_vehicle"', fleet[2].delete):
        response = post(operator, {"vehicle_ids": ids(fleet)})
    assert gone in complaints(response)["vehicle_ids"][0]
    assert not Batch.objects.exists()
    assert not Command.objects.exists()


@pytest.mark.parametrize("count", [{}, {"vehicle_count": 4}], ids=["any", "four"])
def test_a_filter_no_longer_finds_a_vehicle_that_is_deleted_during_the_submission(
    operator: User, fleet: list[Vehicle], count: dict[str, int]
) -> None:
    """A client that sent the earlier number of vehicles gets an error."""
    with meanwhile('FROM "vehicles_vehicle"', fleet[2].delete):
        response = post(operator, {"vehicle_filter": {}, **count})
    if count:
        assert "3 vehicles are chosen, not 4" in complaints(response)["vehicle_count"][0]
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
        "name": "",
        "reason": "",
        "submitted_by": "operator",
        "submitted_at": iso(batch.submitted_at),
        "not_before": None,
        "expires_at": iso(batch.submitted_at + timedelta(seconds=300)),
        "priority": "interactive",
        "vehicle_count": 4,
        "stop_above_failed_percent": 25,
        "stopped_at": None,
        "stop_reason": "",
        "counts": dict.fromkeys(Status.values, 0) | {"pending": 4},
        "has_ended": False,
        "ended_at": None,
    }


@pytest.mark.embedded
def test_the_commands_of_a_batch_are_ordinary_ones(operator: User, fleet: list[Vehicle]) -> None:
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
def test_a_filter_chooses_the_vehicles(
    operator: User, fleet: list[Vehicle], choice: dict[str, str], found: list[int]
) -> None:
    Vehicle.objects.filter(pk=fleet[3].pk).update(connection_status="disconnected")
    other = Vehicle.objects.create(vin="5YJ3E1EA7KF000316", make="Tesla", model="Model 3")
    Vehicle.objects.filter(pk=other.pk).update(connection_status="error")
    mark_seen()
    response = post(operator, {"vehicle_filter": choice, "vehicle_count": len(found)})
    assert response.status_code == 201, response.content
    chosen = {command.vehicle_id for command in Command.objects.all()}
    assert chosen == {[*fleet, other][n].pk for n in found}


UNKNOWN = "00000000-0000-4000-8000-000000000000"  # the same in each process of tests
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
    ({"vehicle_filter": {"vin": "x"}}, "vehicle_filter.vin", "connection_status, retired, search"),
    ({"vehicle_filter": {"search": 7}}, "vehicle_filter.search", "valid string"),
    ({"vehicle_filter": {"search": "x" * 101}}, "vehicle_filter.search", "at most 100"),
    ({"vehicle_filter": {"connection_status": "lost"}}, "vehicle_filter.connection_status", "lost"),
    (
        {"vehicle_filter": {"search": "unheard of"}},
        "vehicle_filter",
        "The filter matches no vehicle",
    ),
    ({"vehicle_filter": {}, "vehicle_count": 3}, "vehicle_count", "4 vehicles are chosen, not 3"),
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


def test_a_filter_that_matches_too_many_vehicles_is_refused(operator: User) -> None:
    make_fleet(1_001)
    fields = complaints(post(operator, {"vehicle_filter": {}}))
    assert "more than 1000 vehicles" in fields["vehicle_filter"][0]
    assert not Command.objects.exists()


def test_a_batch_is_stored_with_all_of_its_commands_or_not_at_all(
    operator: User, fleet: list[Vehicle]
) -> None:
    vehicles = [*fleet, Vehicle(vin="1HGCM82623A999999")]  # the last is not there
    batch = Batch(submitted_by=operator, **ReadDTC)
    with pytest.raises(Exception, match="foreign key"):
        batches.submit(batch, vehicles)
    assert (Batch.objects.count(), Command.objects.count(), Event.objects.count()) == (0, 0, 0)


# --- Commands that are not safe to repeat


def clear(user: User, vehicles: list[Vehicle], **more: Any) -> Any:
    return post(user, ClearDTC | {"vehicle_ids": ids(vehicles), **more})


@pytest.mark.embedded
def test_an_unsafe_batch_needs_a_permission_of_its_own(
    operator: User, fleet: list[Vehicle]
) -> None:
    refused = clear(operator, fleet, vehicle_count=4)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert "commands.send_unsafe_to_many" in refused.json()["detail"]
    assert not Batch.objects.exists()
    assert clear(allow_unsafe(operator), fleet, vehicle_count=4).status_code == 201


def test_an_unsafe_batch_must_have_the_number_of_vehicles(
    operator: User, fleet: list[Vehicle]
) -> None:
    allow_unsafe(operator)
    assert "Required for ClearDTC" in complaints(clear(operator, fleet))["vehicle_count"][0]
    says = complaints(clear(operator, fleet, vehicle_count=5))["vehicle_count"]
    assert says == ["4 vehicles are chosen, not 5. Check the choice, and send again."]
    assert not Batch.objects.exists()


def test_the_permission_for_unsafe_batches_alone_does_not_submit(
    viewer: User, fleet: list[Vehicle]
) -> None:
    assert clear(allow_unsafe(viewer), fleet, vehicle_count=4).status_code == 403


# --- Who sees what


def statuses(user: User | None, batch: Batch) -> list[int]:
    client = api(user)
    address = f"{BATCHES}{batch.pk}/"
    return [client.get(address).status_code, client.get(f"{address}results/").status_code]


@pytest.mark.embedded
def test_a_batch_is_shown_to_those_who_may_see_it(
    operator: User, viewer: User, stranger: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    codes = [statuses(user, batch) for user in (operator, viewer, stranger, None)]
    assert codes == [[200, 200], [200, 200], [404, 404], [401, 401]]
    lists = [api(user).get(BATCHES).json()["results"] for user in (operator, viewer, stranger)]
    assert [len(rows) for rows in lists] == [1, 1, 0]
    query = f"{COMMANDS}?batch_id={batch.pk}"
    found = [api(user).get(query).json()["results"] for user in (operator, viewer, stranger)]
    assert [len(rows) for rows in found] == [4, 4, 0]


@pytest.mark.embedded
def test_a_batch_is_cancelled_by_those_who_may(
    operator: User, viewer: User, stranger: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    people = [None, viewer, stranger, operator]
    codes = [api(user).post(f"{BATCHES}{batch.pk}/cancel/").status_code for user in people]
    assert codes == [401, 403, 404, 200]


def test_another_users_batch_is_answered_like_an_unknown_one(
    operator: User, stranger: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    for part in ("", "results/"):
        theirs = api(stranger).get(f"{BATCHES}{batch.pk}/{part}")
        none = api(stranger).get(f"{BATCHES}{uuid4()}/{part}")
        assert (theirs.status_code, theirs.content) == (none.status_code, none.content)


def test_batches_are_listed_and_filtered(
    operator: User, stranger: User, viewer: User, fleet: list[Vehicle]
) -> None:
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
def test_a_repeat_gets_the_first_response(operator: User, fleet: list[Vehicle]) -> None:
    first = post(operator, {"vehicle_ids": ids(fleet)}, KEY)
    batches.cancel(Batch.objects.get())
    second = post(operator, {"vehicle_ids": ids(fleet)}, KEY)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert (Batch.objects.count(), Command.objects.count()) == (1, 4)


def test_another_payload_with_the_same_key_is_refused(operator: User, fleet: list[Vehicle]) -> None:
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


def test_many_repeats_at_once_make_one_batch(operator: User, fleet: list[Vehicle]) -> None:
    responses = at_once(*[partial(post, operator, {"vehicle_ids": ids(fleet)}, KEY)] * 5)
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert (Batch.objects.count(), Command.objects.count(), Event.objects.count()) == (1, 4, 4)
    assert IdempotencyKey.objects.get().command.batch == Batch.objects.get()


# --- Cancelling


@pytest.mark.embedded
def test_a_batch_is_cancelled(operator: User, fleet: list[Vehicle]) -> None:
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
def test_a_batch_ends_with_its_last_command(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet[:2])
    first, last = claim(2)
    lifecycle.complete(first, {})
    assert seen(operator, batch)["ended_at"] is None
    lifecycle.complete(last, {})
    ended = row(last).completed_at
    assert ended
    assert seen(operator, batch)["ended_at"] == iso(ended)
    assert api(operator).get(BATCHES).json()["results"][0]["ended_at"] == iso(ended)


def test_a_batch_that_has_ended_is_not_cancelled(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    lifecycle.complete(command, {})
    response = api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert (response.status_code, response.json()["code"]) == (409, "already_ended")
    assert response.json()["detail"] == "The batch has ended; it can no longer be cancelled."
    assert seen(operator, batch)["stopped_at"] is None


def test_a_batch_may_be_cancelled_again_while_one_command_runs(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    claim(1)
    first, second = (api(operator).post(f"{BATCHES}{batch.pk}/cancel/").json() for _ in range(2))
    assert first == second


def test_cancelling_a_batch_leaves_other_commands_alone(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch, other = submitted(operator, fleet), submitted(operator, fleet)
    alone = submit(operator, fleet[0])
    api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert counted(operator, other) == {"pending": 4}
    assert row(alone).status == "pending"


async def test_a_stream_sends_the_cancellation_of_its_batch(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = await in_thread(submitted, operator, fleet)
    command = await in_thread(batch.commands.latest, "submitted_at")
    reading = asyncio.create_task(read_all(command, operator))
    await in_thread(batches.cancel, batch)
    frames, code = await reading
    assert [frame["status"] for frame in frames] == ["pending", "cancelled"]
    assert code == 1000


class PublishedMessages:
    """Recorder of published messages, in place of the members of the channel layer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups: list[str] = []
        self.messages: list[str] = []
        monkeypatch.setattr(publisher, "publish", self._publish)

    def _publish(self, group: str, message: Mapping[str, Any]) -> None:
        self.groups.append(group)
        self.messages.append(message["type"])


def test_the_workers_are_notified_once(
    operator: User, fleet: list[Vehicle], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PublishedMessages(monkeypatch)
    batch = submitted(operator, fleet)
    assert (published.groups, published.messages) == ([WORKERS], ["command.pending"])
    claim(2)
    published.groups.clear()
    published.messages.clear()
    batches.cancel(batch)
    assert published.messages.count("command.cancel") == published.groups.count(WORKERS) == 1
    cancelled = batch.commands.filter(status="cancelled")
    assert set(published.groups) - {WORKERS} == {f"response_{command.pk}" for command in cancelled}


def test_two_cancellations_and_a_claim_at_once_end_every_command_once(operator: User) -> None:
    """Every command ends once, and there is no deadlock."""
    fleet = make_fleet(60)
    batch = submitted(operator, fleet)
    mark_seen()
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


def test_a_command_claimed_during_the_cancellation_is_asked_to_stop(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    mark_seen()

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
def test_many_commands_are_cancelled_by_their_ids(operator: User, fleet: list[Vehicle]) -> None:
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
def test_ids_of_hidden_commands_are_answered_like_unknown_ones(
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
def test_wrong_ids_are_refused(operator: User, value: object, field: str) -> None:
    response = api(operator).post(f"{COMMANDS}cancel/", {"command_ids": value})
    assert complaints(response).keys() == {field}


# --- Stopping by itself


class Fleet(ScriptedConnector):
    """Vehicles of which the first `failing` refuse; each waits for the test's permission."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self.failing = failing
        self.asked = 0

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        self.asked += 1
        if self.asked <= self.failing:
            raise VehicleError("vehicle_refused", "No.")
        yield Response({}, is_final=True)


@pytest.fixture
def one_by_one(settings: Any) -> None:
    settings.WORKER_CONCURRENCY = 1


@pytest.mark.parametrize(
    ("percent", "failing", "stops"),
    [(0, 1, True), (25, 1, False), (24, 1, True), (25, 2, True), (100, 4, False), (None, 4, False)],
)
@pytest.mark.usefixtures("one_by_one")
@pytest.mark.embedded
async def test_a_batch_stops_above_its_share_of_failures(
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
def test_a_sweep_stops_a_batch_that_a_killed_worker_left(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    failed, running = claim(2)
    fail(failed)  # and its worker dies
    batches.sweep()
    assert counted(operator, batch) == {"failed": 1, "in_progress": 1, "cancelled": 2}
    assert row(running).cancel_requested_at
    assert seen(operator, batch)["stop_reason"] == "failures"


@pytest.fixture
def all_are_unreachable(one_by_one: None, settings: Any) -> None:
    settings.MOCK_VEHICLE_UNREACHABLE_RATE = 1


@pytest.mark.usefixtures("all_are_unreachable")
def test_a_batch_stops_although_its_worker_is_killed_after_the_failure(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    given: dict[str, Any] = {"WORKER_CONCURRENCY": 1, "MOCK_VEHICLE_UNREACHABLE_RATE": 1}
    assert drain_worker("after_commit=kill@2", **given) == -signal.SIGKILL
    assert counted(operator, batch) == {"failed": 1, "pending": 3}
    drain_here()
    check_stopped(operator, batch)


@pytest.mark.parametrize("failpoint", ["after_commit=cut@2", "after_commit=cut@3"])
@pytest.mark.usefixtures("all_are_unreachable")
def test_a_batch_stops_although_its_worker_loses_the_database_after_the_failure(
    operator: User, fleet: list[Vehicle], failpoint: str
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    drain_here(failpoint)
    drain_here()
    check_stopped(operator, batch)


def check_stopped(operator: User, batch: Batch) -> None:
    assert counted(operator, batch) == {"failed": 1, "cancelled": 3}
    for command in batch.commands.filter(status="cancelled"):
        assert told(command) == ["pending", "cancelled"]


async def test_a_lost_worker_may_be_one_failure_too_many(
    operator: User, fleet: list[Vehicle]
) -> None:
    """The sweep that ends the command also stops its batch."""

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


def test_timed_out_commands_are_failures_and_expired_ones_are_not(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet, stop_above_failed_percent=0)
    Command.objects.filter(vehicle=fleet[0]).update(expires_at=F("submitted_at"))
    lifecycle.sweep()
    batches.sweep()
    assert counted(operator, batch) == {"expired": 1, "pending": 3}
    (command,) = claim(1)
    lifecycle.time_out(command, "Silence.")
    batches.sweep()
    assert counted(operator, batch) == {"expired": 1, "timed_out": 1, "cancelled": 2}


def test_a_cancelled_batch_does_not_stop_for_failures(operator: User, fleet: list[Vehicle]) -> None:
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
def test_one_of_many_workers_stops_a_failing_batch(
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


async def test_running_commands_of_a_stopped_batch_are_asked_to_stop(
    operator: User, fleet: list[Vehicle]
) -> None:
    """Other commands run when one fails: each waits for its vehicle, and is then ended."""
    batch = await in_thread(submitted, operator, fleet, stop_above_failed_percent=0)

    class OneRefuses(ScriptedConnector):
        async def execute(
            self,
            vehicle: TargetVehicle,
            command_name: str,
            command_params: Mapping[str, Any],
            attempt: Attempt,
        ) -> AsyncIterator[Response]:
            await announce(attempt, command_name)
            if vehicle.vin == fleet[0].vin:
                raise VehicleError("vehicle_refused", "No.")
            await asyncio.Event().wait()
            yield Response({}, is_final=True)

    async with working(worker_of(OneRefuses())):
        await until(lambda: in_thread(lambda: seen(operator, batch)["has_ended"]))
    assert await in_thread(counted, operator, batch) == {"failed": 1, "cancelled": 3}


# --- Results


def respond(command: Command, count: int) -> None:
    for n in range(count):
        lifecycle.respond(command, {"n": n})


@pytest.mark.embedded
def test_results_are_ordered_by_vin(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, list(reversed(fleet)))
    (command,) = claim(1)
    respond(command, 1)
    lifecycle.complete(command, {"last": True})
    rows = results(operator, batch)
    assert [row["vehicle"]["vin"] for row in rows] == sorted(vehicle.vin for vehicle in fleet)
    (ended,) = (row for row in rows if row["status"] == "completed")
    alone = api(operator).get(f"{COMMANDS}{command.pk}/").json()
    del alone["commands_ahead"]
    vehicle = api(operator).get(f"/api/v1/vehicles/{command.vehicle_id}/").json()
    names = ["vehicle_id", "vin", "make", "model", "year", "connection_status"]
    assert ended == alone | {
        "vehicle": {name: vehicle[name] for name in names},
        "answers": [{"n": 0}, {"last": True}],
        "answers_left_off": 0,
    }
    assert [row["answers"] for row in rows if row["status"] == "pending"] == [[]] * 3


@pytest.mark.embedded
def test_results_are_filtered_by_status_and_paged(operator: User, fleet: list[Vehicle]) -> None:
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
def test_results_have_the_last_responses_since_the_last_claim(
    operator: User, fleet: list[Vehicle], count: int, end: str
) -> None:
    """Results have the same responses as `responses/`."""
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
    Command.objects.filter(pk=command.pk).update(expires_at=Now())
    lifecycle.expire_overdue()


END: dict[str, Any] = {
    "running": lambda command: None,
    "completed": lambda command: lifecycle.complete(command, {"last": True}),
    "failed": fail,
    "given back": lifecycle.release,
    "expired": expire,
}


def test_responses_of_an_earlier_claim_are_not_in_the_results(
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
def test_results_may_be_any_json(operator: User, fleet: list[Vehicle]) -> None:
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
def test_long_responses_are_left_off(operator: User, fleet: list[Vehicle]) -> None:
    """A page of long responses would be half a gigabyte."""
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    lifecycle.respond(command, {"n": 1})
    lifecycle.respond(command, {"long": "x" * batches.MAX_TEXT})
    lifecycle.respond(command, {"n": 3})
    (shown,) = results(operator, batch)
    assert (shown["answers"], shown["answers_left_off"]) == ([{"n": 1}, {"n": 3}], 1)


@pytest.mark.embedded
def test_the_last_responses_that_fit_together_are_shown(
    operator: User, fleet: list[Vehicle]
) -> None:
    """The limit holds for each command: the console asks for a page every two seconds."""
    batch = submitted(operator, fleet[:2])
    for command in claim(2):
        for number in range(10):
            lifecycle.respond(command, {"n": number, "x": "x" * (batches.MAX_TEXT // 4)})
        lifecycle.respond(command, {"n": 10})
    for shown in results(operator, batch):
        assert [answer["n"] for answer in shown["answers"]] == [7, 8, 9, 10]
        assert shown["answers_left_off"] == 7


# --- What it costs


def statements(work: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"].split()[0] for query in captured.captured_queries]


def test_a_thousand_vehicles_need_as_many_queries_as_one(operator: User, known: Any) -> None:
    fleet = make_fleet(1_000)
    client = known(operator)
    for vehicles in (fleet[:2], fleet):
        body = {"vehicle_ids": ids(vehicles), **ReadDTC}
        assert statements(lambda body=body: client.post(BATCHES, body)) == [
            *("BEGIN", "SELECT"),  # the vehicles
            *("INSERT", "SELECT"),  # the batch, how many of the user's wait
            "SELECT",  # whether one was retired meanwhile
            *("INSERT", "INSERT", "INSERT", "COMMIT"),  # the last: the audit
        ]
        batch = Batch.objects.latest("submitted_at")
        assert Event.objects.filter(command__batch=batch).count() == len(vehicles)
        Vehicle.objects.filter(pk=vehicles[0].pk).update(connection_status="connected")
        assert statements(lambda batch=batch: batches.cancel(batch)) == [
            *("BEGIN", "UPDATE", "SAVEPOINT", "SELECT", "UPDATE", "INSERT"),
            *("SELECT", "RELEASE", "COMMIT"),  # whether a webhook asks
            "SELECT",  # the commands that may run now
        ]
        assert counted(operator, batch) == {"cancelled": len(vehicles)}


def test_pages_of_batches_need_as_many_queries_for_many_as_for_one(
    operator: User, known: Any
) -> None:
    fleet = make_fleet(60)
    client = known(operator)
    few, many = submitted(operator, fleet[:2]), submitted(operator, fleet)
    for command in claim(30):
        respond(command, 2)
    for batch in (few, many):
        assert len(statements(lambda batch=batch: client.get(f"{BATCHES}{batch.pk}/"))) == 1
        address = f"{BATCHES}{batch.pk}/results/?page_size=100"
        assert len(statements(lambda address=address: client.get(address))) == 4
    assert len(statements(lambda: client.get(BATCHES))) == 1


def test_a_sweep_of_batches_is_one_query_while_nothing_fails(
    operator: User, fleet: list[Vehicle]
) -> None:
    for _ in range(3):
        submitted(operator, fleet, stop_above_failed_percent=10)
    assert statements(batches.sweep) == ["SELECT"]


def test_the_hot_queries_of_batches_read_by_indexes(operator: User) -> None:
    """None of the queries reads the whole table of 20,000 commands."""
    fleet = make_fleet(200)
    rows = [
        Batch(submitted_by=operator, vehicle_count=200, stop_above_failed_percent=10, **ReadDTC)
        for _ in range(100)
    ]
    Batch.objects.bulk_create(rows)
    Batch.objects.update(submitted_at=F("submitted_at") - timedelta(days=1))
    lifecycle.submit_many(
        [
            Command(vehicle=vehicle, submitted_by=operator, batch=rows[0], **ReadDTC)
            for vehicle in fleet
        ]
    )
    copy_to_all_batches()
    Command.objects.filter(vehicle__in=fleet[:50]).update(status="failed")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE commands_command, commands_batch")
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


def copy_to_all_batches() -> None:
    """Give each batch without commands the same as the one that has some."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_command (command_id, batch_id, vehicle_id, submitted_by_id,
                command_name, status, command_params, error_code, error_message, submitted_at,
                expires_at, last_sequence_number)
            SELECT gen_random_uuid(), other.batch_id, vehicle_id, command.submitted_by_id,
                command.command_name, status, command.command_params, error_code, error_message,
                command.submitted_at, command.expires_at, last_sequence_number
            FROM commands_command AS command, commands_batch AS other
            WHERE other.batch_id <> command.batch_id
            """
        )
