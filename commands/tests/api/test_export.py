"""Export of the filtered commands as a file of any length."""

import asyncio
import csv
import gc
import json
import threading
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from commands import export, lifecycle
from commands.database.threads import in_thread
from commands.events import iso
from commands.models import AuditEntry, Batch, Command, Event, Exchange, Status
from commands.tests.api.listing import HOUR, NOON, make_command
from commands.tests.vehicle_responses import dtc, ecu, scan
from commands.tests.vehicle_responses import read as read_codes
from conftest import api, claim_one, drain, make_user, make_vehicle, row, submit
from sovd.tests.live import Live
from sovd.tests.processes import SECONDS
from vehicles.models import Vehicle

EXPORT = "/api/v1/commands/export/"


async def read(response: Any) -> str:
    return b"".join([part async for part in response]).decode()


def exported(user: User, query: str = "") -> str:
    response = api(user).get(f"{EXPORT}?{query}")
    assert response.status_code == 200, response.content
    return asyncio.run(read(response))


def as_rows(user: User, query: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(exported(user, query), newline="")))


def as_objects(user: User, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(user, f"format=jsonl&{query}").splitlines()]


def names(user: User, query: str = "") -> list[str]:
    return [each["command_name"] for each in as_objects(user, query)]


# What it holds


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


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://evil.example")', "\uff1d1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula(vehicle: Vehicle, text: str) -> None:
    user = make_user(text.strip(), "add_command")
    make_command(user, vehicle, error_message=text, command_name=text)
    (found,) = as_rows(user)
    assert found["error_message"] == found["command_name"] == f"'{text}"
    assert found["submitted_by"] == f"'{user.username}"
    (found,) = as_objects(user)
    assert (found["error_message"], found["submitted_by"]) == (text, user.username)


@pytest.mark.parametrize("text", ["\tx", "\rx"])
def test_a_cell_does_not_begin_with_a_tab(operator: User, vehicle: Vehicle, text: str) -> None:
    make_command(operator, vehicle, error_message=text)
    assert as_rows(operator)[0]["error_message"] == f"'{text}"


COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
HIDDEN = [
    "a;=1",
    "a\t+1",
    "a\n-1",
    "a\r\n@A1",
    "a; =1",
    'a;"=1"',
    'a,";" =1',
    '"a;""=1',
    "a;\uff1d1",
    ";;=1",
]
HIDDEN += ["\t=1", "\r=1", 'a;\xa0"" +1', "Refused;=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("text", [*HOSTILE, *HIDDEN])
def test_no_cell_is_a_formula_with_another_separator(
    vehicle: Vehicle, text: str, delimiter: str
) -> None:
    """Other countries use other separators, and may read our quotes as text."""
    user = make_user("operator", "add_command")
    params = {text: [text, {"a;": -1}, ";", -1]}
    make_command(user, vehicle, error_message=text, command_params=params)
    file = exported(user)
    cells = [
        cell
        for line in csv.reader(StringIO(file, newline=""), delimiter=delimiter)
        for cell in line
    ]
    assert not [cell for cell in cells if cell.strip(' \xa0"').startswith(COMPUTED)]
    if delimiter != ",":
        cells = [cell for line in file.splitlines() for cell in line.split(delimiter)]
        assert not [cell for cell in cells if cell.strip(' \xa0"').startswith(COMPUTED)]
    (found,) = csv.DictReader(StringIO(file, newline=""))
    assert found["error_message"].replace("'", "") == text.replace("'", "")
    assert json.loads(found["command_params"]) == params


@pytest.mark.parametrize(
    "text", ['a"b', "a,b", "a\nb", "a\r\nb", "é\u2028ü", "</script>", "1=1", "a;b", "a;\n"]
)
def test_texts_that_are_no_formula_are_unchanged(
    operator: User, vehicle: Vehicle, text: str
) -> None:
    make_command(operator, vehicle, error_message=text)
    assert as_rows(operator)[0]["error_message"] == text
    lines = exported(operator, "format=jsonl").split("\n")
    assert [json.loads(line)["error_message"] for line in lines if line] == [text]


def test_an_export_is_a_file_with_a_name_and_a_type(operator: User) -> None:
    for kind, content_type in (("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")):
        response = api(operator).get(f"{EXPORT}?format={kind}", headers={"Accept": "text/csv"})
        assert response.headers["Content-Type"] == content_type
        assert response.headers["Content-Disposition"].startswith('attachment; filename="commands-')
        assert response.headers["Content-Disposition"].endswith(f'.{kind}"')
        response.close()


# Which commands


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("who", "sees"), [("operator", ["A"]), ("stranger", ["B"]), ("viewer", ["B", "A"])]
)
def test_an_export_has_the_commands_that_its_user_may_see(
    operator: User, stranger: User, viewer: User, who: str, sees: list[str]
) -> None:
    vehicle = make_vehicle()
    make_command(operator, vehicle, command_name="A")
    make_command(stranger, vehicle, NOON + HOUR, command_name="B")
    assert names({"operator": operator, "stranger": stranger, "viewer": viewer}[who]) == sees
    assert api(None).get(EXPORT).status_code == 401


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("status=failed", "B"),
        ("status=failed&status=timed_out", "CB"),
        ("status=", "CBA"),
        ("search=000102", "B"),
        ("search=1hgcm", "CBA"),
        ("search=abcd0000", "A"),
        ("search=ABCD0000-0000-0000-0000-00000000000", "A"),
        ("search=abce", ""),
        ("search=%25", ""),
        ("search=", "CBA"),
        ("submitted_after=2026-03-01T12:30:00Z", "CB"),
        ("error_code=vehicle_timeout", "C"),
        ("command_name=A", "A"),
    ],
)
def test_an_export_has_the_commands_of_the_filtered_list(
    operator: User, query: str, finds: str
) -> None:
    """The filters are those of the list."""
    one, other = make_vehicle(101), make_vehicle(102)
    late = {"status": Status.TIMED_OUT, "error_code": "vehicle_timeout"}
    an_id = "abcd0000-0000-0000-0000-000000000001"
    make_command(operator, one, command_name="A", pk=an_id)
    make_command(operator, other, NOON + HOUR, command_name="B", status=Status.FAILED)
    make_command(operator, one, NOON + 2 * HOUR, command_name="C", **late)
    assert names(operator, query) == list(finds)
    page = api(operator).get(f"/api/v1/commands/?{query}").json()
    assert [each["command_name"] for each in page["results"]] == list(finds)


@pytest.mark.parametrize(
    "query", ["format=xml", "format=", "status=lost", "status=failed&status=x", "vehicle_id=1"]
)
def test_a_wrong_filter_or_format_of_an_export_is_named(operator: User, query: str) -> None:
    response = api(operator).get(f"{EXPORT}?{query}")
    assert response.status_code == 400
    assert response.json()["fields"].keys() == {query.partition("=")[0]}
    assert not AuditEntry.objects.exists()


def test_more_commands_than_the_limit_are_not_exported(
    operator: User, vehicle: Vehicle, settings: Any
) -> None:
    settings.EXPORT_ROWS = 2
    for _ in range(2):
        make_command(operator, vehicle)
    assert len(as_rows(operator)) == 2
    make_command(operator, vehicle)
    response = api(operator).get(EXPORT)
    assert response.status_code == 400
    assert "More than 2 commands" in response.json()["detail"]
    assert "Narrow the filters" in response.json()["detail"]
    assert len(as_rows(operator, "submitted_after=2030-01-01T00:00:00Z")) == 0


def test_every_command_is_exported_once_whatever_the_page_size(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some commands have the same instant, pages have three rows, one has many events."""
    monkeypatch.setattr(export, "PAGE", 3)
    monkeypatch.setattr(export, "MAX_EVENTS", 5)
    made = [
        make_command(operator, vehicle, NOON + n // 4 * HOUR, last_sequence_number=n % 7)
        for n in range(20)
    ]
    made.sort(key=lambda command: (command.submitted_at, command.pk), reverse=True)
    assert [each["command_id"] for each in as_objects(operator)] == [str(c.pk) for c in made]


async def test_commands_that_arrive_meanwhile_shift_no_row(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    made = [await in_thread(make_command, operator, vehicle, NOON + n * HOUR) for n in range(4)]
    commands = Command.objects.all()
    seen = []
    async for part in export.file_of(commands, "jsonl"):
        seen += [json.loads(line)["command_id"] for line in part.decode().splitlines()]
        if seen:
            await in_thread(make_command, operator, vehicle, NOON + 9 * HOUR)
    assert seen == [str(command.pk) for command in reversed(made)]


async def test_the_status_and_the_responses_of_a_row_are_of_one_moment(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that is stored after the command was read is left out."""
    monkeypatch.setattr(export, "MAX_EVENTS", 1)  # so that the older one waits, already read
    await in_thread(submit, operator, vehicle)
    running = await in_thread(claim_one)
    await in_thread(lifecycle.respond, running, {"n": 1})
    await in_thread(submit, operator, vehicle)
    lines = []
    async for part in export.file_of(Command.objects.all(), "jsonl"):
        lines += [json.loads(line) for line in part.decode().splitlines()]
        if len(lines) == 1:
            await in_thread(lifecycle.respond, running, {"n": 2})
    assert (lines[1]["status"], lines[1]["answers"]) == ("in_progress", [{"n": 1}])


def test_a_real_server_streams_an_export(live: Live) -> None:
    live.follow(live.submit())
    request = f"GET {EXPORT}?format=jsonl HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    answer = live.heard(f"{request}Authorization: Bearer {live.token}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding: chunked" in head.lower()
    assert b'"status":"completed"' in body
    assert (live.errors(), live.dead()) == ([], [])
    assert "Warning" not in live.logged()


# How many at once


async def test_a_third_export_at_once_is_refused(operator: User, vehicle: Vehicle) -> None:
    """Two exports are read slowly, and a third is refused until one of them has ended."""
    client = await in_thread(api, operator)
    slow: list[Any] = [await in_thread(client.get, EXPORT) for _ in range(2)]
    reading = [aiter(response) for response in slow]
    assert all([await anext(each) for each in reading])
    for path in (EXPORT, f"{EXPORT}?format=jsonl"):
        response = await in_thread(client.get, path)
        assert (response.status_code, response.json()["code"]) == (429, "throttled")
        assert response.json()["detail"] == (
            "2 exports are already running, which is the limit. Try again in 10 seconds."
        )
        assert int(response.headers["Retry-After"]) > 0
    assert await in_thread(AuditEntry.objects.count) == 2
    await in_thread(slow[0].close)
    await read(await in_thread(client.get, EXPORT))
    assert [part async for part in reading[1]] == []
    await read(await in_thread(client.get, EXPORT))


def test_a_client_that_is_gone_before_the_response_holds_no_place(
    operator: User, vehicle: Vehicle
) -> None:
    """The response to a client that is gone is neither read nor closed."""
    for _ in range(3):
        assert export.file_of(Command.objects.all(), "csv").status_code == 200
        gc.collect()


async def test_an_export_waits_for_no_thread_of_streams_and_workers(
    operator: User, vehicle: Vehicle
) -> None:
    """All other threads are busy here."""
    await in_thread(submit, operator, vehicle)
    all_of_them = settings.DATABASE_POOL_SIZE // 2
    busy = threading.Barrier(all_of_them + 1)
    held = [asyncio.ensure_future(in_thread(busy.wait, SECONDS)) for _ in range(all_of_them)]
    try:
        parts = read(export.file_of(Command.objects.all(), "jsonl"))
        assert '"status":"pending"' in await asyncio.wait_for(parts, SECONDS / 2)
    finally:
        await asyncio.to_thread(busy.wait, SECONDS)
        await asyncio.gather(*held)


# What is kept of it


def test_a_head_request_exports_nothing(operator: User, vehicle: Vehicle) -> None:
    for _ in range(3):
        response = api(operator).head(EXPORT)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert response.headers["Content-Disposition"].startswith("attachment")
    assert not AuditEntry.objects.exists()


def test_an_export_is_audited(operator: User, vehicle: Vehicle) -> None:
    make_command(operator, vehicle)
    exported(operator, "format=jsonl&status=completed&status=failed&nonsense=1")
    entry = AuditEntry.objects.get()
    assert (entry.username, entry.action, entry.subject) == ("operator", "export", "")
    assert entry.details == {
        "format": "jsonl",
        "rows": 1,
        "filters": {"status": ["completed", "failed"]},
    }


# One row for each trouble code


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
