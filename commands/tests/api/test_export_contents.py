"""Contents of an export: each command, its responses and its trouble codes."""

import asyncio
import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from commands import export
from commands.events import iso
from commands.models import Batch, Event, Exchange, Status
from commands.tests.api.exports import EXPORT, as_objects, as_rows
from commands.tests.api.listing import NOON, make_command
from commands.tests.vehicle_responses import dtc, ecu, scan
from commands.tests.vehicle_responses import read as read_codes
from conftest import api, drain, row, submit
from vehicles.models import Vehicle

# --- What it holds


@pytest.mark.embedded
def test_a_command_is_exported_in_each_format(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    asyncio.run(drain())
    command = row(command)
    assert command.started_at
    assert command.completed_at
    (found,) = as_objects(operator)
    answers = found.pop("answers")
    assert (found.pop("exchanges"), found.pop("exchanges_left_off")) == ([], 0)
    assert found == {
        "command_id": str(command.pk),
        "batch_id": None,
        "vin": vehicle.vin,
        "command_name": "ReadDTC",
        "command_params": {"ecuAddress": "0x10"},
        "status": "completed",
        "error_code": "",
        "error_message": "",
        "submitted_by": "operator",
        "submitted_at": iso(command.submitted_at),
        "started_at": iso(command.started_at),
        "completed_at": iso(command.completed_at),
        "seconds": (command.completed_at - command.submitted_at).total_seconds(),
    }
    assert answers == [each.payload["response"] for each in command.events.filter(kind="response")]
    assert answers[-1]["type"] == "summary"
    (same,) = as_rows(operator)
    assert list(same) == export.COLUMNS == [*found, "answers"]
    for column in ("command_params", "answers"):
        assert json.loads(same[column]) == {**found, "answers": answers}[column]
    texts = {column: str(value or "") for column, value in found.items()}
    assert same | {"command_params": "", "answers": ""} == texts | {
        "command_params": "",
        "answers": "",
    }


def test_json_lines_hold_the_exchanges_with_the_vehicle(operator: User, vehicle: Vehicle) -> None:
    small, large = submit(operator, vehicle), submit(operator, vehicle)
    about: dict[str, Any] = {"ecu_address": "0x10", "service": "ReadDTCInformation"}
    about |= {"pending_count": 0, "started_at": NOON, "duration_ms": 12.25}
    for command, size in ((small, 100), (large, 200_000)):
        Exchange.objects.bulk_create(
            Exchange(command=command, request=request, response="F" * size, **about)
            for request in ("1902FF", "221234")
        )
    found = {row["command_id"]: row for row in as_objects(operator)}
    shown = api(operator).get(f"/api/v1/commands/{small.pk}/exchanges/").json()["results"]
    assert found[str(small.pk)]["exchanges"] == shown
    assert found[str(small.pk)]["exchanges_left_off"] == 0
    requests = [exchange["request"] for exchange in found[str(large.pk)]["exchanges"]]
    assert (requests, found[str(large.pk)]["exchanges_left_off"]) == (["1902FF"], 1)


@pytest.mark.embedded
def test_only_responses_since_the_last_claim_are_exported(operator: User, vehicle: Vehicle) -> None:
    command = make_command(operator, vehicle, last_sequence_number=5, claim_sequence_number=4)
    for number, (kind, payload) in enumerate(
        [
            ("status", {"status": "in_progress"}),
            ("response", {"response": {"n": 1}, "is_final": False}),
            ("status", {"status": "pending"}),
            ("status", {"status": "in_progress"}),
            ("response", {"response": {"n": 2}, "is_final": True}),
        ],
        1,
    ):
        Event.objects.create(command=command, sequence_number=number, kind=kind, payload=payload)
    assert [each["answers"] for each in as_objects(operator)] == [[{"n": 2}]]


def test_a_command_that_was_not_started_has_empty_cells(operator: User, vehicle: Vehicle) -> None:
    batch = Batch.objects.create(command_name="ReadDTC", submitted_by=operator, vehicle_count=1)
    make_command(operator, vehicle, status=Status.PENDING, batch=batch)
    (found,) = as_objects(operator)
    assert (found["batch_id"], found["seconds"], found["answers"]) == (str(batch.pk), None, [])
    (same,) = as_rows(operator)
    assert (same["batch_id"], same["seconds"], same["answers"]) == (str(batch.pk), "", "[]")


def test_an_export_is_a_file_with_a_name_and_a_type(operator: User) -> None:
    for kind, content_type in (("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")):
        response = api(operator).get(f"{EXPORT}?format={kind}", headers={"Accept": "text/csv"})
        assert response.headers["Content-Type"] == content_type
        assert response.headers["Content-Disposition"].startswith('attachment; filename="commands-')
        assert response.headers["Content-Disposition"].endswith(f'.{kind}"')
        response.close()


# --- One row for each trouble code


@pytest.mark.embedded
def test_each_code_of_a_read_and_of_a_scan_has_a_row(operator: User, vehicle: Vehicle) -> None:
    formula = dtc("P0420", confirmed=True) | {"description": "=1+1"}
    reading = read_codes(operator, vehicle, formula, dtc(["no code"]))
    scan(operator, vehicle, ecu("0x20", {"dtcCode": "U0100"}, "x"), ecu("0x30", dtcs=None))
    submit(operator, vehicle)
    first, *rest = as_rows(operator, "format=codes")
    assert (first["ecu_address"], first["dtc_code"]) == ("0x20", "U0100")
    assert [each["dtc_code"] for each in rest] == ["P0420", '["no code"]']
    assert rest[0] == {
        "vin": vehicle.vin,
        "ecu_address": "0x10",
        "dtc_code": "P0420",
        "description": "'=1+1",
        "status": "0x2F",
        "confirmed": "True",
        "read_at": iso(reading.completed_at or NOON),
        "command_id": str(reading.pk),
        "batch_id": "",
        "submitted_by": "operator",
    }
