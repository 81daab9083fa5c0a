"""Submissions of batches: which vehicles, who may, what is not safe, and repeats."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from commands import batches
from commands.database.threads import in_thread
from commands.events import iso
from commands.models import Batch, Command, Event, IdempotencyKey, Status
from commands.tests.batches.fleet import (
    BATCHES,
    COMMANDS,
    KEY,
    UNKNOWN,
    allow_unsafe,
    at_once,
    clear,
    complaints,
    counted,
    ids,
    make_fleet,
    post,
    seen,
    submitted,
)
from conftest import (
    ReadDTC,
    api,
    drain,
    in_order,
    log_of,
    mark_seen,
    meanwhile,
    read_all,
)
from vehicles.models import Vehicle

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


def test_many_repeats_at_once_make_one_batch(operator: User, fleet: list[Vehicle]) -> None:
    responses = at_once(*[partial(post, operator, {"vehicle_ids": ids(fleet)}, KEY)] * 5)
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert (Batch.objects.count(), Command.objects.count(), Event.objects.count()) == (1, 4, 4)
    assert IdempotencyKey.objects.get().command.batch == Batch.objects.get()
