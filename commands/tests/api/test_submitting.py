"""Commands are submitted: what is stored, and what is refused by its field."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from commands.events import iso
from commands.models import AuditEntry, Command, Event
from commands.tests.api.listing import COMMANDS, HOUR, complaints
from conftest import ReadDTC, api, log_of, meanwhile, submit
from vehicles.models import Vehicle

BATCHES = "/api/v1/batches/"


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
