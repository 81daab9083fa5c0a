"""The page of one command in the admin."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands.models import Command, Event
from commands.tests.admin.pages import (
    COMMANDS,
    EVENTS,
    text_of,
)

# One command


def test_times_are_shown_with_seconds(viewer: User, command: Command) -> None:
    instant = f"{command.submitted_at:%Y-%m-%d %H:%M:%S}"
    for address in (COMMANDS, f"{COMMANDS}{command.pk}/change/", EVENTS):
        assert instant in text_of(viewer, address)


def test_a_command_links_to_its_live_page(viewer: User, command: Command) -> None:
    for address in (COMMANDS, f"{COMMANDS}{command.pk}/change/"):
        page = text_of(viewer, address)
        assert f'href="/commands/{command.pk}/"' in page
        assert "SOVD command console" in page
        assert re.search('<a href="/">View site</a>', page)


@pytest.mark.embedded
@pytest.mark.parametrize(("events", "told"), [(200, "All 200"), (201, "The last 200 of 201")])
def test_a_long_log_shows_its_last_events_and_links_to_all(
    viewer: User, command: Command, events: int, told: str
) -> None:
    Event.objects.bulk_create(
        Event(command=command, sequence_number=n, kind="response", payload={"n": f"answer {n}."})
        for n in range(2, events + 1)
    )
    Command.objects.update(last_sequence_number=events)
    page = text_of(viewer, f"{COMMANDS}{command.pk}/change/")
    shown = [int(number) for number in re.findall(r"answer (\d+)\.", page)]
    assert shown == list(range(max(2, events - 199), events + 1))
    assert told in page


def test_a_hostile_payload_is_shown_as_text(viewer: User, command: Command) -> None:
    payload = {"response": {"a": "<script>alert(1)</script>", "b": "x" * 20_000}}
    Event.objects.create(command=command, sequence_number=2, kind="response", payload=payload)
    for address in (f"{COMMANDS}{command.pk}/change/", EVENTS):
        page = text_of(viewer, address)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "x" * 10_001 not in page


@pytest.mark.embedded
def test_only_the_beginning_of_a_large_payload_is_read(viewer: User, command: Command) -> None:
    """The page shows the beginning of it."""
    payload = {"response": {"a": "first", "b": "x" * 256 * 1024, "c": "the end"}, "is_final": False}
    event = Event.objects.create(
        command=command, sequence_number=2, kind="response", payload=payload
    )
    for address, shown in ((f"{COMMANDS}{command.pk}/change/", 9_000), (EVENTS, 40)):
        with CaptureQueriesContext(connection) as queries:
            page = text_of(viewer, address)
        assert "first" in page
        assert "x" * shown in page
        assert "the end" not in page
        assert longest_text(queries) < 20_000
    assert "the end" not in text_of(viewer, f"{EVENTS}{event.pk}/change/")


def longest_text(queries: Any) -> int:
    """Return the length of the longest text that these queries read of the events."""
    lengths = [0]
    with connection.cursor() as cursor:
        for query in queries:
            if 'FROM "commands_event"' in query["sql"]:
                cursor.execute(query["sql"].replace("%", "%%"))
                lengths += [len(str(cell)) for row in cursor.fetchall() for cell in row]
    return max(lengths)
