"""Results of a batch, as lists and counts."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from commands import batches, lifecycle
from commands.models import Command
from commands.tests.batches.fleet import (
    BATCHES,
    COMMANDS,
    claim,
    complaints,
    fail,
    respond,
    results,
    submitted,
)
from conftest import (
    api,
)
from vehicles.models import Vehicle

# --- Results


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
