"""The REST API of commands: submit, list, look, cancel."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from commands import lifecycle
from commands.events import iso
from commands.models import AuditEntry, Command, Event, Status
from commands.tests.api.listing import COMMANDS, HOUR, NOON, ids, listed, make_command
from conftest import ClearDTC, ReadDTC, api, claim_one, log_of, make_vehicle, meanwhile, submit
from vehicles.models import Vehicle


def complaints(response: Any) -> dict[str, list[str]]:
    """Return the messages of a 400 by field, and check its shape."""
    body = response.json()
    assert (response.status_code, body["code"]) == (400, "invalid"), body
    assert body.keys() == {"code", "detail", "fields"}
    assert all(field in body["detail"] for field in body["fields"])
    found: dict[str, list[str]] = body["fields"]
    return found


BATCHES = "/api/v1/batches/"

# Submitting


@pytest.mark.embedded
def test_a_submitted_command_is_shown_whole(operator: User, vehicle: Vehicle) -> None:
    response = api(operator).post(COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC})
    command = Command.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "command_id": str(command.pk),
        "vehicle_id": str(vehicle.pk),
        "vin": vehicle.vin,
        "command_name": "ReadDTC",
        "command_params": {"ecuAddress": "0x10"},
        "not_before": None,
        "priority": "interactive",
        "batch_id": None,
        "campaign_id": None,
        "status": "pending",
        "error_code": "",
        "error_message": "",
        "submitted_by": "operator",
        "submitted_at": iso(command.submitted_at),
        "started_at": None,
        "completed_at": None,
        "expires_at": iso(command.expires_at),
        "last_sequence_number": 1,
    }


def test_a_submitted_command_expires_in_time(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    lifetime = (command.expires_at - command.submitted_at).total_seconds()
    assert lifetime == pytest.approx(settings.COMMAND_EXPIRES_SECONDS, abs=5)


@pytest.mark.embedded
@pytest.mark.parametrize("address", [COMMANDS, BATCHES])
def test_a_lifetime_counts_from_the_time_that_a_command_waits_for(
    operator: User, vehicle: Vehicle, address: str
) -> None:
    at = (timezone.now() + 24 * HOUR).replace(microsecond=0)
    timing = {"expires_in_seconds": 2_592_000, "not_before": at, "priority": "background"}
    choice = {"vehicle_ids": [str(vehicle.pk)]} if address == BATCHES else vehicle_of(vehicle)
    response = api(operator).post(address, choice | ReadDTC | timing)
    assert response.status_code == 201, response.content
    shown = {name: response.json()[name] for name in ("not_before", "expires_at", "priority")}
    assert shown == {
        "not_before": iso(at),
        "expires_at": iso(at + timedelta(days=30)),
        "priority": "background",
    }
    command = Command.objects.get()
    assert (command.not_before, command.expires_at) == (at, at + timedelta(days=30))


def vehicle_of(vehicle: Vehicle) -> dict[str, str]:
    return {"vehicle_id": str(vehicle.pk)}


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires_in_seconds", 0),
        ("expires_in_seconds", 2_592_001),
        ("expires_in_seconds", "60"),
        ("expires_in_seconds", None),
        ("not_before", "tomorrow"),
        ("not_before", "0001-01-01T00:00:00+14:00"),
        ("not_before", "2200-01-01T00:00:00Z"),
        ("priority", "urgent"),
        ("priority", None),
    ],
)
@pytest.mark.parametrize("address", [COMMANDS, BATCHES])
def test_a_wrong_lifetime_or_priority_is_refused_by_its_field(
    operator: User, vehicle: Vehicle, address: str, field: str, value: object
) -> None:
    choice = {"vehicle_ids": [str(vehicle.pk)]} if address == BATCHES else vehicle_of(vehicle)
    response = api(operator).post(address, choice | ReadDTC | {field: value})
    assert list(complaints(response)) == [field]
    assert Command.objects.count() == 0


def test_submitting_is_the_first_event(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    assert log_of(operator, command) == [
        {
            "event": "status",
            "command_id": str(command.pk),
            "sequence_number": 1,
            "timestamp": iso(command.events.get().created_at),
            "status": "pending",
        }
    ]


ECU = "command_params.ecuAddress"
ADDRESS = "one or two bytes in hexadecimal, such as 0x10"


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"vehicle_id": str(uuid4())}, "vehicle_id", "GET /api/v1/vehicles/ lists them"),
        ({"vehicle_id": "car"}, "vehicle_id", "valid UUID"),
        ({"vehicle_id": None}, "vehicle_id", "may not be null"),
        ({"command_name": "Reboot"}, "command_name", "ReadDTC, ReadDTCSnapshot, ClearDTC, "),
        ({"command_name": "readdtc"}, "command_name", "ReadDTC, ReadDTCSnapshot, ClearDTC, "),
        ({"command_name": ["ReadDTC"]}, "command_name", "valid string"),
        ({"command_params": {}}, ECU, f"Required: {ADDRESS}"),
        ({"command_params": {"ecuAddress": "16"}}, ECU, ADDRESS),
        ({"command_params": {"ecuAddress": 16}}, ECU, ADDRESS),
        ({"command_params": {"ecuAddress": "0x10\n"}}, ECU, ADDRESS),
        ({"command_params": {"ecuAddress": "0x10 "}}, ECU, ADDRESS),
        ({"command_params": {"ecuAddress": ["0x10"]}}, ECU, ADDRESS),
        (
            {"command_params": {"ecuAddress": "0x10", "force": True}},
            "command_params.force",
            "Known: ecuAddress",
        ),
        ({"command_params": "0x10"}, "command_params", "dictionary"),
        ({"command_params": ["0x10"]}, "command_params", "dictionary"),
        ({"command_params": None}, "command_params", "may not be null"),
        ({"status": "completed"}, "status", "Known: command_name, command_params, confirmation"),
        ({"submitted_by": "admin"}, "submitted_by", "Known: command_name"),
        ({"command_id": str(uuid4())}, "command_id", "Known: command_name"),
    ],
)
def test_a_wrong_command_is_refused_by_field(
    operator: User, vehicle: Vehicle, changes: dict[str, Any], field: str, says: str
) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC} | changes
    fields = complaints(api(operator).post(COMMANDS, body))
    assert fields.keys() == {field}
    assert says in fields[field][0]
    assert len(fields[field]) == 1
    assert not Command.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="once", marks=pytest.mark.embedded),
        pytest.param({"Idempotency-Key": "a"}, id="with a key"),  # SQLite has one writer at a time
    ],
)
def test_a_vehicle_that_is_deleted_during_the_submission_is_named(
    operator: User, vehicle: Vehicle, headers: dict[str, str]
) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    with meanwhile('FROM "vehicles_vehicle"', Vehicle.objects.filter(pk=vehicle.pk).delete):
        response = api(operator).post(COMMANDS, body, headers=headers)
    assert complaints(response).keys() == {"vehicle_id"}
    assert not Command.objects.exists()
    assert not AuditEntry.objects.exists()


def test_all_missing_fields_are_named_at_once(operator: User) -> None:
    assert complaints(api(operator).post(COMMANDS, {})).keys() == {"vehicle_id", "command_name"}


# Lists


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("vehicle_id={late_vehicle}", "late"),
        ("vehicle_id=00000000-0000-0000-0000-000000000000", ""),
        ("status=failed", "late"),
        ("status=expired", ""),
        ("error_code=vehicle_refused", "late"),
        ("error_code=expired", ""),
        ("error_code=", "late early"),
        ("command_name=ClearDTC", "late"),
        ("command_name=Clear", ""),
        ("submitted_by=stranger", "late"),
        ("submitted_by=nobody", ""),
        ("submitted_after=2026-03-01T12:00:00Z", "late"),
        ("submitted_after=2026-03-01T11:59:59.999999Z", "late early"),
        ("submitted_after=2026-03-01T13:59:59%2B02:00", "late early"),
        ("submitted_before=2026-03-01T13:00:00Z", "early"),
        ("submitted_before=2026-03-01T13:00:00.000001Z", "late early"),
        ("submitted_before=", "late early"),
    ],
)
def test_each_filter_finds_its_commands(
    operator: User, stranger: User, viewer: User, query: str, finds: str
) -> None:
    vehicle = make_vehicle(2)
    fields = {
        "command_name": "ClearDTC",
        "status": Status.FAILED,
        "error_code": "vehicle_refused",
    }
    rows = {
        "early": make_command(operator, make_vehicle(1)),
        "late": make_command(stranger, vehicle, NOON + HOUR, **fields),
    }
    found = listed(viewer, query.format(late_vehicle=vehicle.pk))
    assert found == [str(rows[row].pk) for row in finds.split()]


def test_filters_are_joined(operator: User, viewer: User, vehicle: Vehicle) -> None:
    make_command(operator, vehicle, status=Status.FAILED)
    make_command(operator, vehicle, command_name="ClearDTC")
    both = make_command(operator, vehicle, command_name="ClearDTC", status=Status.FAILED)
    assert listed(viewer, "status=failed&command_name=ClearDTC") == [str(both.pk)]


def test_the_newest_command_is_first_unless_asked_otherwise(
    operator: User, vehicle: Vehicle
) -> None:
    by_age = [str(make_command(operator, vehicle, NOON - n * HOUR).pk) for n in range(3)]
    assert listed(operator) == by_age
    assert listed(operator, "ordering=-submitted_at") == by_age
    assert listed(operator, "ordering=submitted_at") == by_age[::-1]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("vehicle_id", "car", "valid UUID"),
        ("status", "done", "not one of the available choices"),
        ("error_code", "lost", "not one of the available choices"),
        ("command_name", "x" * 65, "at most 64"),
        ("submitted_by", "x" * 151, "at most 150"),
        ("submitted_after", "yesterday", "valid date"),
        ("submitted_before", "2026-02-30T12:00:00Z", "valid date"),
        ("submitted_after", "1969-12-31T23:59:59Z", "between the years 1970 and 9000"),
        ("submitted_before", "9999-12-31T23:59:59Z", "between the years 1970 and 9000"),
        ("ordering", "status", "-submitted_at, submitted_at"),
        ("ordering", "", "-submitted_at, submitted_at"),
        ("page_size", "0", "between 1 and 500"),
        ("page_size", "501", "between 1 and 500"),
        ("page_size", "-1", "between 1 and 500"),
        ("page_size", "many", "between 1 and 500"),
        ("page_size", "", "between 1 and 500"),
        ("cursor", "page-two", "Use the addresses in `next` and `previous`"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    operator: User, name: str, value: str, says: str
) -> None:
    fields = complaints(api(operator).get(COMMANDS, {name: value}))
    assert fields.keys() == {name}
    assert says in fields[name][0]


@pytest.mark.parametrize(
    ("query", "count"), [("page_size=1", 1), ("page_size=50", 50), ("page_size=500", 60), ("", 50)]
)
def test_the_page_size_is_limited(operator: User, vehicle: Vehicle, query: str, count: int) -> None:
    for _ in range(60):
        make_command(operator, vehicle)
    assert len(listed(operator, query)) == count


def follow_links(client: APIClient, address: str, link: str = "next") -> list[dict[str, Any]]:
    pages = []
    while address:
        response = client.get(address)
        assert response.status_code == 200, response.content
        pages.append(response.json())
        assert len(pages) < 100, "the pages go round in a circle"
        address = pages[-1][link]
    return pages


def rows_of(pages: list[dict[str, Any]]) -> list[str]:
    return [command_id for page in pages for command_id in ids(page["results"])]


SPACINGS = {
    "all apart": [NOON + n * HOUR for n in range(11)],
    "all at once": [NOON] * 11,
    "in clusters": [NOON + (n // 4) * HOUR for n in range(11)],
}


@pytest.mark.embedded
@pytest.mark.parametrize("ordering", ["-submitted_at", "submitted_at"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_row_comes_once_forwards_and_backwards(
    operator: User, vehicle: Vehicle, spacing: str, ordering: str
) -> None:
    for at in SPACINGS[spacing]:
        make_command(operator, vehicle, at)
    order = [ordering, ordering.replace("submitted_at", "command_id")]
    expected = [str(pk) for pk in Command.objects.order_by(*order).values_list("pk", flat=True)]

    client = api(operator)
    pages = follow_links(client, f"{COMMANDS}?page_size=3&ordering={ordering}")
    assert rows_of(pages) == expected
    back = follow_links(client, pages[-1]["previous"], "previous")
    assert [ids(page["results"]) for page in back] == [ids(p["results"]) for p in pages[-2::-1]]
    assert [page["next"] for page in back] == [page["next"] for page in pages[-2::-1]]


@pytest.mark.embedded
@pytest.mark.parametrize("ordering", ["-submitted_at", "submitted_at"])
def test_a_cursor_has_the_exact_instants_of_the_database(
    operator: User, vehicle: Vehicle, ordering: str
) -> None:
    """Instants are from the database's clock or from Python, and may be whole seconds."""
    by_clock = [submit(operator, vehicle) for _ in range(3)]
    for at in (*(command.submitted_at for command in by_clock), NOON, NOON):
        make_command(operator, vehicle, at)
    pages = follow_links(api(operator), f"{COMMANDS}?page_size=1&ordering={ordering}")
    order = [ordering, ordering.replace("submitted_at", "command_id")]
    expected = Command.objects.order_by(*order).values_list("pk", flat=True)
    assert rows_of(pages) == [str(pk) for pk in expected]
    assert len(set(rows_of(pages))) == 8


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["submitted_after", "submitted_before"])
def test_a_row_is_neither_after_nor_before_itself(
    operator: User, vehicle: Vehicle, name: str
) -> None:
    for command in (submit(operator, vehicle), make_command(operator, vehicle)):
        found = listed(operator, f"{name}={iso(command.submitted_at)}")
        assert str(command.pk) not in found


@pytest.mark.parametrize("spacing", SPACINGS)
def test_rows_that_arrive_between_pages_push_no_other_row(
    operator: User, vehicle: Vehicle, spacing: str
) -> None:
    expected = {str(make_command(operator, vehicle, at).pk) for at in SPACINGS[spacing]}
    client, address, seen = api(operator), f"{COMMANDS}?page_size=2", []
    while address:
        page = client.get(address).json()
        seen += ids(page["results"])
        make_command(operator, vehicle, NOON + 24 * HOUR)
        make_command(operator, vehicle, NOON)
        address = page["next"]
    assert len(seen) == len(set(seen))
    assert expected <= set(seen)


def test_pages_keep_the_filter(operator: User, vehicle: Vehicle) -> None:
    for status in [Status.FAILED, Status.COMPLETED] * 3:
        make_command(operator, vehicle, status=status)
    pages = follow_links(api(operator), f"{COMMANDS}?page_size=1&status=failed")
    statuses = [row["status"] for page in pages for row in page["results"]]
    assert statuses == ["failed"] * 3


# One command


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


def answered(operator: User, vehicle: Vehicle) -> Command:
    """Make a command that was released after its first response, and then carried out: 8 events."""
    command = submit(operator, vehicle)
    first = claim_one()
    lifecycle.respond(first, {"attempt": 1})
    lifecycle.release(first)
    second = claim_one()
    lifecycle.respond(second, {"attempt": 2})
    lifecycle.complete(second, {"attempt": 2, "done": True})
    return command


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


# Cancelling


def cancel(user: User, command: Command) -> Any:
    return api(user).post(f"{COMMANDS}{command.pk}/cancel/")


def test_a_pending_command_is_cancelled(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle, ClearDTC)
    response = cancel(operator, command)
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "cancelled")
    assert body | {"commands_ahead": 0} == api(operator).get(f"{COMMANDS}{command.pk}/").json()
    assert [frame["status"] for frame in log_of(operator, command)] == ["pending", "cancelled"]


def test_a_running_command_is_asked_to_stop(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    claim_one()
    for _ in range(2):
        response = cancel(operator, command)
        assert (response.status_code, response.json()["status"]) == (202, "in_progress")
    command.refresh_from_db()
    assert command.cancel_requested_at
    assert len(log_of(operator, command)) == 2


def test_a_command_that_has_ended_is_not_cancelled(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    log = log_of(operator, command)
    response = cancel(operator, command)
    assert response.status_code == 409
    assert response.json() == {
        "code": "already_ended",
        "detail": "The command is completed; it can no longer be cancelled.",
    }
    assert log_of(operator, command) == log


# What it costs. In each number: one query for the user, two for the permissions.


@pytest.fixture
def queries(known: Any) -> Callable[..., int]:
    """Return the number of statements of a request of a user who is known."""

    def count(user: User, address: str, body: dict[str, Any] | None = None) -> int:
        client = known(user)
        with CaptureQueriesContext(connection) as captured:
            response = client.post(address, body) if body else client.get(address)
        assert response.status_code in {200, 201}
        return len(captured)

    return count


def test_the_queries_of_a_submission_are_counted(
    operator: User, vehicle: Vehicle, queries: Any
) -> None:
    """The vehicle, the pending commands, and one for command, event and audit entry."""
    assert queries(operator, COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC}) == 3


def test_the_number_of_queries_of_a_list_does_not_grow(
    operator: User, vehicle: Vehicle, queries: Any
) -> None:
    for rows in (1, 40):
        for _ in range(rows):
            make_command(operator, vehicle)
        assert queries(operator, COMMANDS) == 2


@pytest.mark.parametrize(("part", "count"), [("", 1), ("events/", 2), ("responses/", 2)])
def test_the_queries_of_one_command_are_counted(
    operator: User, vehicle: Vehicle, part: str, count: int, queries: Any
) -> None:
    command = answered(operator, vehicle)
    assert queries(operator, f"{COMMANDS}{command.pk}/{part}") == count
