"""Results in few words: of each command in a list, and of a whole batch."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.models import AuditEntry, Batch, Command
from commands.tests.vehicle_responses import dtc, ecu
from conftest import api, mark_seen, submit
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded

BATCHES = "/api/v1/batches/"
RPM = {"type": "data", "name": "Engine speed", "dataId": "0x010C", "unit": "rpm"}
ReadDataByID = {
    "command_name": "ReadDataByID",
    "command_params": {"ecuAddress": "0x10", "dataId": "0x010C"},
}
ReadDTC = {"command_name": "ReadDTC", "command_params": {"ecuAddress": "0x10"}}
ScanVehicle = {"command_name": "ScanVehicle", "command_params": {}}


@pytest.fixture
def fleet(transactional_db: None) -> list[Vehicle]:
    return [
        Vehicle.objects.create(vin=f"1HGCM82623A{n:06}", connection_status="connected")
        for n in range(5)
    ]


def batch_of(user: User, fleet: list[Vehicle], body: dict[str, Any]) -> Batch:
    ids = [str(vehicle.pk) for vehicle in fleet]
    response = api(user).post(BATCHES, {"vehicle_ids": ids, **body})
    assert response.status_code == 201, response.content
    found: Batch = Batch.objects.get(pk=response.json()["batch_id"])
    return found


def claimed(count: int) -> list[Command]:
    """Return the commands by VIN."""
    mark_seen()
    commands = lifecycle.claim(count)
    assert len(commands) == count
    return sorted(commands, key=lambda command: command.vehicle.vin)


def answer(command: Command, *responses: dict[str, Any]) -> None:
    for response in responses[:-1]:
        lifecycle.respond(command, response)
    lifecycle.complete(command, responses[-1])


def summary(user: User, batch: Batch) -> dict[str, Any]:
    response = api(user).get(f"{BATCHES}{batch.pk}/summary/")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def found(user: User, batch: Batch, query: str) -> list[str]:
    response = api(user).get(f"{BATCHES}{batch.pk}/results/?{query}")
    assert response.status_code == 200, response.content
    return [row["vin"][-1] for row in response.json()["results"]]


def counts(body: dict[str, Any]) -> list[tuple[str, int, int]]:
    rows = body["trouble_codes"]
    return [(row["dtc_code"], row["vehicles"], row["confirmed"]) for row in rows]


# --- A batch


def test_trouble_codes_are_counted_over_the_vehicles(operator: User, fleet: list[Vehicle]) -> None:
    batch = batch_of(operator, fleet, ReadDTC)
    first, second, third, fourth, _ = claimed(5)
    confirmed = dtc("P0420", confirmed=True)
    answer(first, confirmed, dtc("P0113"), {"type": "summary", "dtcCount": 2})
    answer(second, dtc("P0420", "0x04", confirmed=False), {"type": "summary", "dtcCount": 1})
    answer(third, dtc("P0300", "0x50"), dtc(["P0420"]), {"type": "summary", "dtcCount": 2})
    lifecycle.fail(fourth, "vehicle_refused", "No.")
    body = summary(operator, batch)
    assert body["vehicles"] == 3
    assert counts(body) == [("P0420", 2, 1), ("P0113", 1, 0)]
    assert body["trouble_codes"][0]["description"] == "what P0420 means"
    assert body["failures"] == [
        {"error_code": "vehicle_refused", "error_message": "No.", "vehicles": 1}
    ]
    assert body["is_complete"]
    assert found(operator, batch, "dtc_code=P0420") == ["0", "1"]
    assert found(operator, batch, "error_code=vehicle_refused") == ["3"]


def test_codes_of_scans_count_once_for_a_vehicle(operator: User, fleet: list[Vehicle]) -> None:
    batch = batch_of(operator, fleet[:2], ScanVehicle)
    first, second = claimed(2)
    code = dtc("P0420", confirmed=True)
    answer(first, ecu("0x10", code), ecu("0x20", code, {"dtcCode": 1}), {"type": "scan"})
    answer(second, ecu("0x10", dtc("U0100"), "x"), {"type": "scan"})
    assert counts(summary(operator, batch)) == [("P0420", 1, 1), ("U0100", 1, 0)]
    assert found(operator, batch, "dtc_code=P0420") == ["0"]


def test_values_have_extremes_a_median_and_a_histogram(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = batch_of(operator, fleet, ReadDataByID)
    commands = claimed(5)
    for command, value in zip(commands, [800, 900.5, 1800, "no number", True], strict=True):
        answer(command, {"type": "reading"}, RPM | {"value": value})
    (value,) = summary(operator, batch)["values"]
    assert (value["name"], value["unit"], value["vehicles"]) == ("Engine speed", "rpm", 5)
    assert value["median"] == 900.5
    ends = [(value[end]["value"], value[end]["vin"][-1]) for end in ("minimum", "maximum")]
    assert ends == [(800, "0"), (1800, "2")]
    assert value["maximum"]["command_id"] == str(commands[2].pk)
    assert [each["vehicles"] for each in value["histogram"]] == [1, 1, *[0] * 7, 1]
    texts = {each["text"]: each["vehicles"] for each in value["texts"]}
    assert texts == {"no number": 1, "True": 1}


def test_several_values_in_one_response_are_told_apart(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = batch_of(operator, fleet[:1], ReadDataByID)
    value = {"speed": 10, "temp": 1e308, "deep": {"x": [1]}}
    answer(claimed(1)[0], RPM | {"value": value, "unit": "", "units": {"speed": "km/h"}})
    values = {each["name"]: each for each in summary(operator, batch)["values"]}
    assert values["Engine speed speed"]["unit"] == "km/h"
    assert values["Engine speed temp"]["median"] is None
    assert set(values) == {f"Engine speed {name}" for name in value}


def test_the_answer_is_shown_to_those_who_may_see_the_batch(
    operator: User, viewer: User, stranger: User, fleet: list[Vehicle]
) -> None:
    batch = batch_of(operator, fleet, ReadDTC)
    address = f"{BATCHES}{batch.pk}/summary/"
    answers = [api(who).get(address).status_code for who in (operator, viewer, stranger, None)]
    assert answers == [200, 200, 404, 401]


def test_the_name_and_the_reason_of_a_batch_are_kept_in_the_audit(
    operator: User, fleet: list[Vehicle]
) -> None:
    about = {"name": "Recall 7", "reason": "Ask for P0420 before the recall."}
    batch = batch_of(operator, fleet, ReadDTC | about)
    body = api(operator).get(f"{BATCHES}{batch.pk}/").json()
    assert body | about == body
    assert AuditEntry.objects.get(subject=batch.pk).details.items() >= about.items()
    response = api(operator).post(
        BATCHES, ReadDTC | {"vehicle_ids": [str(fleet[0].pk)], "name": "x" * 101, "reason": 1}
    )
    assert sorted(response.json()["fields"]) == ["name", "reason"]


def test_an_unknown_code_or_reason_is_refused(operator: User, fleet: list[Vehicle]) -> None:
    batch = batch_of(operator, fleet, ReadDTC)
    for name, text in (("dtc_code", '"'), ("dtc_code", "P04"), ("error_code", "x")):
        response = api(operator).get(f"{BATCHES}{batch.pk}/results/", {name: text})
        assert response.status_code == 400
        assert list(response.json()["fields"]) == [name]


def test_the_answer_needs_as_many_statements_for_many_as_for_one(
    operator: User, known: Any, fleet: list[Vehicle]
) -> None:
    for body in (ReadDTC, ReadDataByID, ScanVehicle):
        for vehicles in (fleet[:1], fleet):
            batch = batch_of(operator, vehicles, body)
            for command in claimed(len(vehicles)):
                answer(command, dtc("P0420"), RPM | {"value": 1})
            client = known(operator)
            with CaptureQueriesContext(connection) as captured:
                client.get(f"{BATCHES}{batch.pk}/summary/")
            scans = body is ScanVehicle  # its commands, then their responses
            assert len(captured) == 4 + scans


# --- A list


@pytest.mark.parametrize(
    ("body", "responses", "line"),
    [
        (ReadDTC, [{"type": "summary", "dtcCount": 0}], "No trouble codes"),
        (
            ReadDTC,
            [dtc("P0113"), dtc("P0420"), {"type": "summary", "dtcCount": 2}],
            "2 codes: P0113, P0420",
        ),
        (
            ReadDTC,
            [*[dtc(f"P000{n}") for n in range(5)], {"type": "summary", "dtcCount": 5}],
            "5 codes: P0002, P0003, P0004 …",
        ),
        (ReadDataByID, [RPM | {"value": 1400}], "1,400 rpm"),
        (ReadDataByID, [RPM | {"value": -1234.5}], "-1,234.5 rpm"),
        (ReadDataByID, [RPM | {"value": "12345678", "unit": ""}], "12345678"),
        (ReadDataByID, [RPM | {"value": "--1"}], "--1 rpm"),
        (
            ScanVehicle,
            [{"type": "scan", "ecuCount": 4, "reachableCount": 3, "dtcCount": 1}],
            "3 of 4 ECUs, 1 code",
        ),
        (ReadDTC, [{"type": {"x": 1}}], ""),
        (ReadDTC, [{}], ""),
    ],
)
def test_a_list_has_the_result_of_each_command(
    operator: User, vehicle: Vehicle, body: Any, responses: list[Any], line: str
) -> None:
    submit(operator, vehicle, body)
    answer(claimed(1)[0], *responses)
    (row,) = api(operator).get("/api/v1/commands/").json()["results"]
    assert row["result"] == line


def test_the_results_of_a_list_need_one_statement(
    operator: User, known: Any, fleet: list[Vehicle]
) -> None:
    for vehicle in fleet:
        submit(operator, vehicle)
    client = known(operator)
    for command in claimed(5):
        answer(command, dtc("P0420"), {"type": "summary", "dtcCount": 1})
        with CaptureQueriesContext(connection) as captured:
            response = client.get("/api/v1/commands/")
        assert len(captured) == 2
    assert {row["result"] for row in response.json()["results"]} == {"1 code: P0420"}
