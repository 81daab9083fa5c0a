"""Choice of the commands of an export: those of the filtered list, each once."""

import json

import pytest
from django.contrib.auth.models import User

from commands import export, lifecycle
from commands.database.threads import in_thread
from commands.models import AuditEntry, Command, Status
from commands.tests.api.exports import EXPORT, as_objects
from commands.tests.api.listing import HOUR, NOON, make_command
from conftest import api, claim_one, make_vehicle, submit
from sovd.tests.live import Live
from vehicles.models import Vehicle


def names(user: User, query: str = "") -> list[str]:
    return [each["command_name"] for each in as_objects(user, query)]


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
