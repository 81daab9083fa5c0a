"""One command: its fields, its events and its responses."""

import pytest
from django.contrib.auth.models import User

from commands import lifecycle
from commands.events import iso
from commands.tests.api.listing import COMMANDS, answered, complaints
from conftest import api, claim_one, log_of, submit
from vehicles.models import Vehicle


def test_a_command_is_shown_as_in_the_list(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    client = api(operator)
    (row,) = client.get(COMMANDS).json()["results"]
    assert row.pop("result") == ""
    assert client.get(f"{COMMANDS}{command.pk}/").json() == row | {"commands_ahead": 0}


def test_a_failed_command_has_its_error(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    lifecycle.fail(claim_one(), "vehicle_refused", "No such ECU.")
    detail = api(operator).get(f"{COMMANDS}{command.pk}/").json()
    command.refresh_from_db()
    assert command.started_at
    assert command.completed_at
    assert detail["status"] == "failed"
    assert (detail["error_code"], detail["error_message"]) == ("vehicle_refused", "No such ECU.")
    assert detail["started_at"] == iso(command.started_at)
    assert detail["completed_at"] == iso(command.completed_at)


@pytest.mark.embedded
def test_the_events_of_a_command_are_its_log(operator: User, vehicle: Vehicle) -> None:
    frames = log_of(operator, answered(operator, vehicle))
    assert [frame["sequence_number"] for frame in frames] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [frame.get("status", frame.get("response")) for frame in frames] == [
        "pending",
        "in_progress",
        {"attempt": 1},
        "pending",
        "in_progress",
        {"attempt": 2},
        {"attempt": 2, "done": True},
        "completed",
    ]


@pytest.mark.parametrize(
    ("after", "numbers"), [("0", [1, 2]), ("1", [2]), ("2", []), ("999999999", [])]
)
def test_events_after_a_number_are_listed(
    operator: User, vehicle: Vehicle, after: str, numbers: list[int]
) -> None:
    command = submit(operator, vehicle)
    claim_one()
    frames = api(operator).get(f"{COMMANDS}{command.pk}/events/", {"after": after}).json()
    assert [frame["sequence_number"] for frame in frames["results"]] == numbers


@pytest.mark.parametrize("after", ["-1", "x", "", "1.0", "٣", "9999999999"])
def test_a_wrong_number_after_is_refused(operator: User, vehicle: Vehicle, after: str) -> None:
    command = submit(operator, vehicle)
    response = api(operator).get(f"{COMMANDS}{command.pk}/events/", {"after": after})
    assert complaints(response) == {"after": ["Must be a sequence number: 0 or more."]}


@pytest.mark.embedded
def test_responses_are_those_since_the_last_claim(operator: User, vehicle: Vehicle) -> None:
    command = answered(operator, vehicle)
    response = api(operator).get(f"{COMMANDS}{command.pk}/responses/")
    assert response.json() == {"next": None, "results": log_of(operator, command)[5:7]}
    assert [frame["is_final"] for frame in response.json()["results"]] == [False, True]


def test_there_are_no_responses_before_the_first_one(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    body = api(operator).get(f"{COMMANDS}{command.pk}/responses/").json()
    assert body == {"next": None, "results": []}
