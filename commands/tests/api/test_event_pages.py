"""Long event logs come in pages, so that no body grows without bound."""

from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from commands import lifecycle
from commands.api.commands.events import PAGE_EVENTS
from commands.models import Command
from conftest import api, claim_one, submit
from vehicles.models import Vehicle

RESPONSES = 2 * PAGE_EVENTS + 1


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    """A claimed command with many responses."""
    submit(operator, vehicle)
    command = claim_one()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_event (command_id, sequence_number, kind, payload)
            SELECT %s, number, 'response', '{"response": {}, "is_final": false}'
            FROM generate_series(3, %s) AS number
            """,
            [command.pk, RESPONSES + 2],
        )
    Command.objects.filter(pk=command.pk).update(last_sequence_number=RESPONSES + 2)
    command.refresh_from_db()
    return command


def pages(user: User, address: str) -> list[list[int]]:
    """Return the sequence numbers of each page, from the first to the last."""
    found: list[list[int]] = []
    following: Any = address
    while following:
        body = api(user).get(following).json()
        found.append([frame["sequence_number"] for frame in body["results"]])
        following = body["next"]
    return found


@pytest.mark.parametrize(("what", "first"), [("events", 1), ("responses", 3)])
def test_the_pages_together_are_the_log(
    operator: User, command: Command, what: str, first: int
) -> None:
    found = pages(operator, f"/api/v1/commands/{command.pk}/{what}/")
    assert [len(page) for page in found[:-1]] == [PAGE_EVENTS, PAGE_EVENTS]
    assert [*chain(*found)] == [*range(first, RESPONSES + 3)]


@pytest.mark.parametrize("what", ["events", "responses"])
def test_a_page_begins_after_the_number_that_was_asked_for(
    operator: User, command: Command, what: str
) -> None:
    address = f"/api/v1/commands/{command.pk}/{what}/?after={RESPONSES}"
    assert pages(operator, address) == [[RESPONSES + 1, RESPONSES + 2]]


@pytest.mark.parametrize("what", ["events", "responses"])
def test_a_wrong_number_is_refused_by_both(operator: User, command: Command, what: str) -> None:
    response = api(operator).get(f"/api/v1/commands/{command.pk}/{what}/?after=x")
    assert (response.status_code, [*response.json()["fields"]]) == (400, ["after"])


def test_the_last_page_may_be_full(operator: User, command: Command) -> None:
    lifecycle.complete(command, {})
    after = RESPONSES + 4 - PAGE_EVENTS
    address = f"/api/v1/commands/{command.pk}/events/?after={after}"
    assert [len(page) for page in pages(operator, address)] == [PAGE_EVENTS]
