"""The timeline of a vehicle's trouble codes, from what it answered."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from commands import events, lifecycle, trouble_codes
from commands.models import Command, Event, Status
from commands.threads import in_thread
from commands.trouble_codes import MOST_ANSWERS, Clear, Origin, Read, TroubleCode, history_of
from conftest import ClearDTC, ReadDTC, api, claim_one, drain, make_vehicle, submit
from vehicles.models import Vehicle

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


# The history, against a model: of one trouble code of one ECU at a time

ECUS = ["0x10", "0x1A"]
CODES = ["P0420", "P0113", "U0100"]
READS = st.builds(
    lambda ecu, codes, is_whole: (ecu, codes, is_whole),
    st.sampled_from(ECUS),
    st.dictionaries(st.sampled_from(CODES), st.sampled_from(["0x2F", "0x28", ""])),
    st.booleans(),
)
CLEARS = st.tuples(st.sampled_from(ECUS), st.sampled_from([None, *CODES]))
DEEDS = st.lists(READS | CLEARS, max_size=12)


def deed_of(number: int, drawn: Any) -> Read | Clear:
    origin = Origin(UUID(int=number), "operator", NOON + number * MINUTE)
    if len(drawn) == 2:
        return Clear(origin, *drawn)
    ecu, codes, is_whole = drawn
    return Read(origin, ecu, {c: TroubleCode(c, status=s) for c, s in codes.items()}, is_whole)


def life_of(ecu: str, code: str, deeds: list[Read | Clear]) -> list[tuple[Any, ...]]:
    """(when, change, status, status before) of one trouble code."""
    life: list[tuple[Any, ...]] = []
    status: str | None = None
    for deed in deeds:
        before, change = status, ""
        if deed.ecu_address != ecu:
            continue
        if isinstance(deed, Clear):
            if status is not None and deed.dtc_code in (None, code):
                status, change = None, "cleared"
        elif code in deed.codes:
            status = deed.codes[code].status
            change = "appeared" if before is None else "status_changed"
        elif status is not None and deed.is_whole:
            status, change = None, "gone"
        if before != status:
            life.append((deed.origin.at, change, status, before))
    return life


@given(DEEDS)
def test_each_code_has_the_life_of_the_model(drawn: list[Any]) -> None:
    deeds = [deed_of(number, each) for number, each in enumerate(drawn)]
    history = history_of(deeds)
    for ecu in ECUS:
        for code in CODES:
            life = life_of(ecu, code, deeds)
            assert life == [
                (change.origin.at, change.change, change.status, change.previous_status)
                for change in history.timeline
                if (change.ecu_address, change.code.dtc_code) == (ecu, code)
            ]
            stored = [
                (each.code.status, each.first_seen_at)
                for each in history.stored
                if (each.ecu_address, each.code.dtc_code) == (ecu, code)
            ]
            is_stored = bool(life) and life[-1][2] is not None
            appeared = [at for at, change, *_ in life if change == "appeared"]
            assert stored == ([(life[-1][2], appeared[-1])] if is_stored else [])


@given(DEEDS)
def test_the_order_and_the_last_reads(drawn: list[Any]) -> None:
    deeds = [deed_of(number, each) for number, each in enumerate(drawn)]
    history = history_of(deeds)
    assert [(c.origin.at, c.change) for c in history.newest_first] == sorted(
        [(c.origin.at, c.change) for c in history.timeline], key=lambda c: c[0], reverse=True
    )
    keys = [(each.ecu_address, each.code.dtc_code) for each in history.stored]
    assert keys == sorted(set(keys))
    reads = {deed.ecu_address: deed.origin for deed in deeds if isinstance(deed, Read)}
    assert {unit.ecu_address: unit.command_id for unit in history.control_units} == {
        ecu: read.command_id for ecu, read in reads.items()
    }
    for each in history.stored:
        assert each.read.at <= reads[each.ecu_address].at


# Through the API


def shown(user: User, vehicle: Vehicle) -> dict[str, Any]:
    response = api(user).get(f"/api/v1/vehicles/{vehicle.pk}/trouble-codes/")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def dtc(code: Any, status: Any = "0x2F", **more: Any) -> dict[str, Any]:
    answer = {"type": "dtc", "ecuAddress": "0x10", "dtcCode": code, "status": status}
    return answer | {"description": f"what {code} means"} | more


def read(user: User, vehicle: Vehicle, *answers: dict[str, Any], ecu: str = "0x10") -> Command:
    submit(user, vehicle, ReadDTC | {"command_params": {"ecuAddress": ecu}})
    return carry_out(*answers)


def clear(user: User, vehicle: Vehicle, **params: str) -> Command:
    submit(user, vehicle, ClearDTC | {"command_params": {"ecuAddress": "0x10"} | params})
    return carry_out()


def carry_out(*answers: dict[str, Any]) -> Command:
    command = claim_one()
    for answer in answers:
        lifecycle.respond(command, answer)
    lifecycle.complete(command, {"type": "summary"})
    command.refresh_from_db()
    return command


def end_of(command: Command) -> str:
    assert command.completed_at
    return events.iso(command.completed_at)


def changes(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["change"], each["dtc_code"]) for each in body["timeline"]]


def codes(body: dict[str, Any]) -> list[str]:
    return [each["dtc_code"] for each in body["stored"]]


@pytest.mark.embedded
def test_shown_whole(operator: User, vehicle: Vehicle) -> None:
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
                "status": "0x28",
                "status_bits": ["testFailed", "confirmedDTC"],
                "confirmed": True,
                "first_seen_at": end_of(first),
                "read_at": end_of(last),
                "command_id": str(last.pk),
            }
        ],
        "timeline": body["timeline"],
        "is_complete": True,
    }
    assert body["timeline"][1] == {
        "at": end_of(last),
        "change": "status_changed",
        "ecu_address": "0x10",
        "dtc_code": "P0420",
        "description": "what P0420 means",
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


def test_nothing_was_read_yet(operator: User, vehicle: Vehicle) -> None:
    submit(operator, vehicle)
    assert shown(operator, vehicle) == {
        "vehicle_id": str(vehicle.pk),
        "control_units": [],
        "stored": [],
        "timeline": [],
        "is_complete": True,
    }


@pytest.mark.parametrize(
    ("params", "left", "told"),
    [
        ({}, [], ["P0113", "P0420"]),
        ({"dtcCode": "P0420"}, ["P0113"], ["P0420"]),
        ({"dtcCode": "P0300"}, ["P0113", "P0420"], []),
        ({"ecuAddress": "0x18"}, ["P0113", "P0420"], []),
    ],
)
@pytest.mark.embedded
def test_a_clear(
    operator: User, vehicle: Vehicle, params: dict[str, str], left: list[str], told: list[str]
) -> None:
    read(operator, vehicle, dtc("P0420"), dtc("P0113"))
    cleared = clear(operator, vehicle, **params)
    body = shown(operator, vehicle)
    assert codes(body) == left
    assert changes(body)[: len(told)] == [("cleared", code) for code in told]
    assert {each["command_id"] for each in body["timeline"][: len(told)]} <= {str(cleared.pk)}
    assert len(body["timeline"]) == len(told) + 2


def test_what_comes_back_is_seen_for_the_first_time_again(operator: User, vehicle: Vehicle) -> None:
    for _ in range(2):
        back = read(operator, vehicle, dtc("P0420"))
        clear(operator, vehicle)
    back = read(operator, vehicle, dtc("P0420"))
    (stored,) = shown(operator, vehicle)["stored"]
    assert stored["first_seen_at"] == end_of(back)


def test_one_ecu_in_two_spellings(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420", ecuAddress="0x1A"), ecu="0x1a")
    read(operator, vehicle, dtc("P0420", ecuAddress="0x1a"), ecu="0x1A")
    body = shown(operator, vehicle)
    assert [unit["ecu_address"] for unit in body["control_units"]] == ["0x1A"]
    assert changes(body) == [("appeared", "P0420")]


def test_only_the_answers_that_count(operator: User, vehicle: Vehicle) -> None:
    submit(operator, vehicle)
    first = claim_one()
    lifecycle.respond(first, dtc("P0420"))
    lifecycle.release(first)
    carry_out(dtc("P0113"))
    assert codes(shown(operator, vehicle)) == ["P0113"]


def test_only_what_was_completed(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420"))
    submit(operator, vehicle, ClearDTC)
    lifecycle.fail(claim_one(), "vehicle_refused", "No.")
    submit(operator, vehicle)
    lifecycle.respond(claim_one(), dtc("P0113"))
    assert changes(shown(operator, vehicle)) == [("appeared", "P0420")]


@pytest.mark.embedded
async def test_what_the_mocked_vehicle_answers(operator: User, vehicle: Vehicle) -> None:
    for body in (ReadDTC, ClearDTC, ReadDTC):
        await in_thread(submit, operator, vehicle, body)
    await drain()
    told = await in_thread(shown, operator, vehicle)
    appeared = {each["dtc_code"] for each in told["timeline"] if each["change"] == "appeared"}
    cleared = {each["dtc_code"] for each in told["timeline"] if each["change"] == "cleared"}
    assert "P0420" in appeared == cleared
    assert (told["stored"], told["is_complete"]) == ([], True)
    assert all(each["description"] for each in told["timeline"])


# Who sees what


@pytest.mark.embedded
def test_each_sees_what_their_commands_tell(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    read(operator, vehicle, dtc("P0420"))
    clear(stranger, vehicle)
    read(operator, vehicle)
    assert changes(shown(viewer, vehicle)) == [("cleared", "P0420"), ("appeared", "P0420")]
    assert changes(shown(operator, vehicle)) == [("gone", "P0420"), ("appeared", "P0420")]
    assert changes(shown(stranger, vehicle)) == []
    assert shown(stranger, vehicle)["control_units"] == []
    anonymous = api(None).get(f"/api/v1/vehicles/{vehicle.pk}/trouble-codes/")
    assert anonymous.status_code == 401


def test_another_vehicle_is_not_told_of(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420"))
    assert changes(shown(operator, make_vehicle(2))) == []


# What a vehicle may answer

ANY = [None, True, 40, 1.5, "", "x" * 9_000, "<b>P0420</b>", [], ["P0420"], {}, {"a": {"b": 1}}]


@pytest.mark.embedded
@pytest.mark.parametrize(
    "name", ["type", "ecuAddress", "dtcCode", "description", "status", "statusBits", "confirmed"]
)
def test_any_json(operator: User, name: str) -> None:
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
def test_what_is_no_text_is_no_fact(operator: User, vehicle: Vehicle, value: Any) -> None:
    names = ("description", "status", "statusBits", "confirmed", "ecuAddress")
    read(operator, vehicle, dtc("P0420") | dict.fromkeys(names, value))
    (stored,) = shown(operator, vehicle)["stored"]
    facts = [stored[name] for name in ("description", "status", "status_bits", "confirmed")]
    assert facts == ["", "", [], None]
    assert stored["ecu_address"] == "0x10"


def test_without_anything_but_a_code(operator: User, vehicle: Vehicle) -> None:
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
    """As if it had answered so often, without the time that writing them one by one takes."""
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
        (MOST_ANSWERS, MOST_ANSWERS, True),
        (MOST_ANSWERS + 1, MOST_ANSWERS, False),
        (10_000, MOST_ANSWERS, False),
    ],
)
def test_many_answers_to_one_read(
    operator: User, vehicle: Vehicle, count: int, taken: int, is_complete: bool
) -> None:
    answer(read(operator, vehicle), count)
    body = shown(operator, vehicle)
    assert (len(body["stored"]), body["is_complete"]) == (taken, is_complete)


@pytest.mark.parametrize("params", [{}, {"ecuAddress": None}, {"ecuAddress": "0x10\n"}])
def test_parameters_of_another_time(operator: User, vehicle: Vehicle, params: Any) -> None:
    """What was submitted when the catalogue was another."""
    command = read(operator, vehicle, dtc("P0420"))
    Command.objects.filter(pk=command.pk).update(command_params=params)
    assert shown(operator, vehicle)["stored"] == []


# What it costs


def make_history(user: User, vehicle: Vehicle, count: int, at: datetime = NOON) -> None:
    """Reads of which every second one has a trouble code."""
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


def test_the_last_200_commands(operator: User, vehicle: Vehicle) -> None:
    make_history(operator, vehicle, 200)
    body = shown(operator, vehicle)
    assert (len(body["timeline"]), body["is_complete"]) == (200, True)
    make_history(operator, vehicle, 1, NOON + 200 * MINUTE)
    body = shown(operator, vehicle)
    assert (len(body["timeline"]), body["is_complete"]) == (199, False)
    assert body["timeline"][-1]["at"] == events.iso(NOON + 2 * MINUTE)


def test_a_long_timeline_is_cut(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble_codes, "MOST_CHANGES", 3)
    make_history(operator, vehicle, 4)
    body = shown(operator, vehicle)
    assert [each["change"] for each in body["timeline"]] == ["gone", "appeared", "gone"]
    assert not body["is_complete"]


def test_queries_do_not_grow(operator: User, vehicle: Vehicle) -> None:
    for count in (1, 30):
        make_history(operator, vehicle, count)
        client = api(operator)
        with CaptureQueriesContext(connection) as captured:
            client.get(f"/api/v1/vehicles/{vehicle.pk}/trouble-codes/")
        assert len(captured) == 6  # user, two for the permissions, vehicle, commands, answers


def test_it_reads_by_indexes(operator: User, viewer: User) -> None:
    vehicles = [make_vehicle(n) for n in range(10)]
    for vehicle in vehicles:
        make_history(operator, vehicle, 400)
    with connection.cursor() as cursor:
        cursor.execute(MORE_ANSWERS)
    add_old_commands(4, "ReadDataByID")
    for user in (operator, viewer):
        with CaptureQueriesContext(connection) as asked:
            trouble_codes.of_vehicle(vehicles[0], user)
        commands, answers = [plan_of(query["sql"]) for query in asked.captured_queries[-2:]]
        assert "command_trouble_codes" in commands
        assert "event_sequence_number_is_unique" in answers
        assert "Seq Scan on commands" not in commands + answers


MORE_ANSWERS = """
    INSERT INTO commands_event (command_id, sequence_number, kind, payload, created_at)
    SELECT command_id, number, 'response', '{}', now()
    FROM commands_command, generate_series(5, 30) AS number
"""


def add_old_commands(times: int, name: str = "ReadDTC") -> None:
    """For each that there is, so many that were completed, one every twelve minutes before it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, command_name,
                status, command_params, error_code, error_message, submitted_at, completed_at,
                expires_at, last_sequence_number)
            SELECT gen_random_uuid(), vehicle_id, submitted_by_id, %s, 'completed', '{}', '', '',
                submitted_at - number * interval '12 minutes', submitted_at, expires_at, 4
            FROM commands_command, generate_series(1, %s) AS number
            """,
            [name, times],
        )
        cursor.execute("VACUUM ANALYZE commands_command, commands_event")


def plan_of(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query}")
        return "\n".join(line for (line,) in cursor.fetchall())
