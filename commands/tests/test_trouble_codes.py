"""The timeline of a vehicle's trouble codes, from the responses of the vehicle."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands import events, lifecycle, trouble_codes
from commands.database.threads import in_thread
from commands.models import Command, Event, Status
from commands.tests.query_plans import add_old_commands, plan_of
from commands.tests.vehicle_responses import (
    carry_out,
    changes,
    clear,
    codes,
    dtc,
    read,
    shown,
)
from commands.trouble_codes.log import MAX_CHANGES, MAX_RESPONSES
from conftest import ClearDTC, ReadDTC, api, claim_one, drain, make_vehicle, submit
from vehicles.models import Vehicle

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


# Through the API


def end_of(command: Command) -> str:
    assert command.completed_at
    return events.iso(command.completed_at)


@pytest.mark.embedded
def test_codes_and_their_history_are_shown_whole(operator: User, vehicle: Vehicle) -> None:
    bits = {"statusBits": ["testFailed", "confirmedDTC"], "confirmed": True}
    first = read(operator, vehicle, dtc("P0420", "0x2F", **bits), dtc("P0113"))
    last = read(operator, vehicle, dtc("P0420", "0x28", **bits))
    body = shown(operator, vehicle)
    by_last = {"command_id": str(last.pk), "submitted_by": "operator"}
    assert body == {
        "vehicle_id": str(vehicle.pk),
        "control_units": [{"ecu_address": "0x10", "read_at": end_of(last), **by_last}],
        "stored": [
            {
                "ecu_address": "0x10",
                "dtc_code": "P0420",
                "description": "what P0420 means",
                "failure_type": "",
                "status": "0x28",
                "status_bits": ["testFailed", "confirmedDTC"],
                "confirmed": True,
                "first_seen_at": end_of(first),
                "read_at": end_of(last),
                "command_id": str(last.pk),
            }
        ],
        "timeline": body["timeline"],
        "scans": [],
        "is_complete": True,
    }
    assert body["timeline"][1] == {
        "at": end_of(last),
        "change": "status_changed",
        "ecu_address": "0x10",
        "dtc_code": "P0420",
        "description": "what P0420 means",
        "failure_type": "",
        "status": "0x28",
        "previous_status": "0x2F",
        **by_last,
    }
    assert [
        (each["change"], each["dtc_code"], each["status"], each["previous_status"])
        for each in body["timeline"]
    ] == [
        ("gone", "P0113", None, "0x2F"),
        ("status_changed", "P0420", "0x28", "0x2F"),
        ("appeared", "P0113", "0x2F", None),
        ("appeared", "P0420", "0x2F", None),
    ]


def test_a_vehicle_that_was_not_read_has_no_codes(operator: User, vehicle: Vehicle) -> None:
    submit(operator, vehicle)
    assert shown(operator, vehicle) == {
        "vehicle_id": str(vehicle.pk),
        "control_units": [],
        "stored": [],
        "timeline": [],
        "scans": [],
        "is_complete": True,
    }


@pytest.mark.parametrize(
    ("params", "left", "told"),
    [
        ({}, [], ["P0113", "P0420"]),
        ({"dtcCode": "P0420"}, ["P0113"], ["P0420"]),
        ({"dtcCode": "P0300"}, ["P0113", "P0420"], []),
        ({"dtcCode": "P0420-00"}, ["P0113", "P0420"], []),
        ({"ecuAddress": "0x18"}, ["P0113", "P0420"], []),
    ],
)
@pytest.mark.embedded
def test_a_clear_erases_the_codes_that_it_names(
    operator: User, vehicle: Vehicle, params: dict[str, str], left: list[str], told: list[str]
) -> None:
    read(operator, vehicle, dtc("P0420"), dtc("P0113"))
    cleared = clear(operator, vehicle, **params)
    body = shown(operator, vehicle)
    assert codes(body) == left
    assert changes(body)[: len(told)] == [("cleared", code) for code in told]
    assert {each["command_id"] for each in body["timeline"][: len(told)]} <= {str(cleared.pk)}
    assert len(body["timeline"]) == len(told) + 2


def test_a_code_that_comes_back_is_first_seen_again(operator: User, vehicle: Vehicle) -> None:
    for _ in range(2):
        back = read(operator, vehicle, dtc("P0420"))
        clear(operator, vehicle)
    back = read(operator, vehicle, dtc("P0420"))
    (stored,) = shown(operator, vehicle)["stored"]
    assert stored["first_seen_at"] == end_of(back)


def test_an_ecu_in_two_spellings_is_one_ecu(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420", ecuAddress="0x1A"), ecu="0x1a")
    read(operator, vehicle, dtc("P0420", ecuAddress="0x1a"), ecu="0x1A")
    body = shown(operator, vehicle)
    assert [unit["ecu_address"] for unit in body["control_units"]] == ["0x1A"]
    assert changes(body) == [("appeared", "P0420")]


def test_responses_before_the_last_claim_do_not_count(operator: User, vehicle: Vehicle) -> None:
    submit(operator, vehicle)
    first = claim_one()
    lifecycle.respond(first, dtc("P0420"))
    lifecycle.release(first)
    carry_out(dtc("P0113"))
    assert codes(shown(operator, vehicle)) == ["P0113"]


def test_commands_that_were_not_completed_do_not_count(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420"))
    submit(operator, vehicle, ClearDTC)
    lifecycle.fail(claim_one(), "vehicle_refused", "No.")
    submit(operator, vehicle)
    lifecycle.respond(claim_one(), dtc("P0113"))
    assert changes(shown(operator, vehicle)) == [("appeared", "P0420")]


@pytest.mark.embedded
@pytest.mark.parametrize(
    "first", [ReadDTC, {"command_name": "ScanVehicle", "command_params": {}}], ids=["read", "scan"]
)
async def test_the_responses_of_a_mocked_vehicle_are_understood(
    operator: User, vehicle: Vehicle, first: dict[str, Any]
) -> None:
    for body in (first, ClearDTC, ReadDTC):
        await in_thread(submit, operator, vehicle, body)
    await drain()
    told = await in_thread(shown, operator, vehicle)
    engine = [each for each in told["timeline"] if each["ecu_address"] == "0x10"]
    appeared = {each["dtc_code"] for each in engine if each["change"] == "appeared"}
    cleared = {each["dtc_code"] for each in engine if each["change"] == "cleared"}
    assert "P0420" in appeared == cleared
    stored = [each for each in told["stored"] if each["ecu_address"] == "0x10"]
    assert (stored, told["is_complete"]) == ([], True)
    assert all(each["description"] for each in told["timeline"])


# Who sees what


@pytest.mark.embedded
def test_all_users_see_all_codes_and_only_their_own_commands(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    first = read(operator, vehicle, dtc("P0420"))
    second = clear(stranger, vehicle)
    for user, visible in ((operator, {first}), (stranger, {second}), (viewer, {first, second})):
        body = shown(user, vehicle)
        assert changes(body) == [("cleared", "P0420"), ("appeared", "P0420")]
        assert body["stored"] == []
        for each, command in zip(body["timeline"], (second, first), strict=True):
            is_visible = command in visible
            assert each["command_id"] == (str(command.pk) if is_visible else None)
            assert each["submitted_by"] == (command.submitted_by.username if is_visible else None)
        (unit,) = body["control_units"]
        assert unit["command_id"] == (str(first.pk) if first in visible else None)
    anonymous = api(None).get(f"/api/v1/vehicles/{vehicle.pk}/trouble-codes/")
    assert anonymous.status_code == 401


def test_a_vehicle_has_no_codes_of_another_vehicle(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420"))
    assert changes(shown(operator, make_vehicle(2))) == []


# What a vehicle may answer

ANY = [None, True, 40, 1.5, "", "x" * 9_000, "<b>P0420</b>", [], ["P0420"], {}, {"a": {"b": 1}}]


@pytest.mark.embedded
@pytest.mark.parametrize(
    "name", ["type", "ecuAddress", "dtcCode", "description", "status", "statusBits", "confirmed"]
)
def test_a_response_may_be_any_json(operator: User, name: str) -> None:
    is_left_out = name in ("type", "dtcCode")
    for number, value in enumerate(ANY):
        vehicle = make_vehicle(number)
        read(operator, vehicle, dtc("P0420"), dtc("P0113", **{name: value}))
        body = shown(operator, vehicle)
        assert codes(body) == (["P0420"] if is_left_out else ["P0113", "P0420"]), value
        assert body["is_complete"] == (name != "dtcCode")
        assert len(str(body)) < 3_000


@pytest.mark.embedded
@pytest.mark.parametrize("value", [None, {}])
def test_a_field_that_is_no_text_is_left_empty(
    operator: User, vehicle: Vehicle, value: Any
) -> None:
    names = ("description", "status", "statusBits", "confirmed", "ecuAddress")
    read(operator, vehicle, dtc("P0420") | dict.fromkeys(names, value))
    (stored,) = shown(operator, vehicle)["stored"]
    facts = [stored[name] for name in ("description", "status", "status_bits", "confirmed")]
    assert facts == ["", "", [], None]
    assert stored["ecu_address"] == "0x10"


def test_a_response_may_have_nothing_but_a_code(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, {"type": "dtc", "dtcCode": "P0420"}, {}, {"type": "dtc"})
    body = shown(operator, vehicle)
    (stored,) = body["stored"]
    assert (stored["ecu_address"], stored["dtc_code"]) == ("0x10", "P0420")
    assert (stored["description"], stored["status"], stored["confirmed"]) == ("", "", None)
    assert not body["is_complete"]


def test_a_read_that_was_not_understood_lets_nothing_disappear(
    operator: User, vehicle: Vehicle
) -> None:
    read(operator, vehicle, dtc("P0420"))
    for odd in (dtc({"code": "P0420"}), dtc("P0300", ecuAddress="0x18")):
        read(operator, vehicle, odd)
        assert codes(shown(operator, vehicle)) == ["P0420"]
    read(operator, vehicle)
    assert codes(shown(operator, vehicle)) == []


def answer(command: Command, count: int) -> None:
    """Store so many responses of a read at once: one by one would take long."""
    answers = [events.response(dtc(f"P{n % 4_096:04X}"), is_final=False) for n in range(count)]
    log = [*answers, events.status(Status.COMPLETED)]
    command.events.filter(sequence_number__gt=2).delete()
    Event.objects.bulk_create(
        Event(command=command, sequence_number=number, kind=kind, payload=payload)
        for number, (kind, payload) in enumerate(log, 3)
    )
    Command.objects.filter(pk=command.pk).update(last_sequence_number=len(log) + 2)


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("count", "taken", "is_complete"),
    [
        (MAX_RESPONSES, MAX_RESPONSES, True),
        (MAX_RESPONSES + 1, MAX_RESPONSES, False),
        (4 * MAX_RESPONSES, MAX_RESPONSES, False),
    ],
)
def test_the_last_responses_to_a_read_are_looked_at(
    operator: User, vehicle: Vehicle, count: int, taken: int, is_complete: bool
) -> None:
    answer(read(operator, vehicle), count)
    body = shown(operator, vehicle)
    assert (len(body["stored"]), body["is_complete"]) == (taken, is_complete)


@pytest.mark.parametrize("params", [{}, {"ecuAddress": None}, {"ecuAddress": "0x10\n"}])
def test_parameters_of_an_older_catalogue_are_skipped(
    operator: User, vehicle: Vehicle, params: Any
) -> None:
    """A command may have been submitted when the catalogue was another."""
    command = read(operator, vehicle, dtc("P0420"))
    Command.objects.filter(pk=command.pk).update(command_params=params)
    assert shown(operator, vehicle)["stored"] == []


# What it costs


def make_history(user: User, vehicle: Vehicle, count: int, at: datetime = NOON) -> None:
    """Make reads of which every second one has a trouble code."""
    commands = Command.objects.bulk_create(
        Command(
            vehicle=vehicle,
            submitted_by=user,
            command_name="ReadDTC",
            command_params={"ecuAddress": "0x10"},
            status=Status.COMPLETED,
            submitted_at=at + n * MINUTE,
            completed_at=at + n * MINUTE,
            expires_at=at + n * MINUTE,
            last_sequence_number=4,
        )
        for n in range(count)
    )
    answers = [events.response(dtc("P0420"), False), events.response({"type": "summary"}, True)]
    Event.objects.bulk_create(
        Event(command=command, sequence_number=number, kind=kind, payload=payload)
        for n, command in enumerate(commands)
        for number, (kind, payload) in enumerate(
            [
                events.status(Status.PENDING),
                events.status(Status.IN_PROGRESS),
                answers[n % 2],
                events.status(Status.COMPLETED),
            ],
            1,
        )
    )


def test_the_last_200_commands_are_looked_at(operator: User, vehicle: Vehicle) -> None:
    make_history(operator, vehicle, 200)
    body = shown(operator, vehicle)
    assert (len(body["timeline"]), body["is_complete"]) == (200, True)
    make_history(operator, vehicle, 1, NOON + 200 * MINUTE)
    body = shown(operator, vehicle)
    assert (len(body["timeline"]), body["is_complete"]) == (199, False)
    assert body["timeline"][-1]["at"] == events.iso(NOON + 2 * MINUTE)


def test_a_long_timeline_is_cut(operator: User, vehicle: Vehicle) -> None:
    for _ in range(3):
        answer(read(operator, vehicle), MAX_RESPONSES)
        read(operator, vehicle)
    body = shown(operator, vehicle)
    assert len(body["timeline"]) == MAX_CHANGES
    assert [body["timeline"][place]["change"] for place in (0, -1)] == ["gone", "appeared"]
    assert not body["is_complete"]


def test_the_number_of_queries_does_not_grow(operator: User, vehicle: Vehicle, known: Any) -> None:
    for count in (1, 30):
        make_history(operator, vehicle, count)
        client = known(operator)
        with CaptureQueriesContext(connection) as captured:
            client.get(f"/api/v1/vehicles/{vehicle.pk}/trouble-codes/")
        # The vehicle, its ECUs, commands, responses.
        assert len(captured) == 4
        joins = sum(query["sql"].count('JOIN "commands_event"') for query in captured)
        assert joins == 1  # with a second one each response would come once for each other


def test_the_history_is_read_by_indexes(operator: User, viewer: User) -> None:
    vehicles = [make_vehicle(n) for n in range(10)]
    for vehicle in vehicles:
        make_history(operator, vehicle, 2_000 if vehicle is vehicles[0] else 200)
    with connection.cursor() as cursor:
        cursor.execute(MORE_ANSWERS)
    add_old_commands(4, "ReadDataByID")
    Command.objects.filter(vehicle=vehicles[0], submitted_at__minute=59).update(
        command_name="ScanVehicle"
    )
    for user in (operator, viewer):
        with CaptureQueriesContext(connection) as asked:
            trouble_codes.of_vehicle(vehicles[0], user)
        commands, answers, long = [
            plan_of(query["sql"])
            for query in asked.captured_queries
            if 'FROM "commands_command"' in query["sql"]
        ]
        assert "command_trouble_codes" in commands
        assert "event_sequence_number_is_unique" in answers
        assert "event_sequence_number_is_unique" in long
        assert "Seq Scan on commands" not in commands + answers + long


MORE_ANSWERS = """
    INSERT INTO commands_event (command_id, sequence_number, kind, payload, created_at)
    SELECT command_id, number, 'response', '{}', now()
    FROM commands_command, generate_series(5, 30) AS number
"""
