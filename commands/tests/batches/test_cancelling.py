"""Cancelling of batches, and of commands by their IDs."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from commands import batches, lifecycle
from commands.database.threads import in_thread
from commands.events import iso
from commands.models import Batch, Command
from commands.notifications import WORKERS, publisher
from commands.tests.batches.fleet import (
    BATCHES,
    COMMANDS,
    UNKNOWN,
    at_once,
    claim,
    complaints,
    counted,
    make_fleet,
    seen,
    submitted,
    told,
)
from conftest import (
    api,
    mark_seen,
    read_all,
    row,
    submit,
    until_blocked,
)
from vehicles.models import Vehicle

# --- Cancelling


@pytest.mark.embedded
def test_a_batch_is_cancelled(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet)
    done, running = claim(2)
    lifecycle.complete(done, {})
    response = api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert response.status_code == 200
    assert response.json() == seen(operator, batch)
    assert (response.json()["stop_reason"], response.json()["has_ended"]) == ("cancelled", False)
    assert response.json()["stopped_at"]
    assert counted(operator, batch) == {"completed": 1, "in_progress": 1, "cancelled": 2}
    assert row(running).cancel_requested_at
    for command in batch.commands.filter(status="cancelled"):
        assert told(command) == ["pending", "cancelled"]
        assert (command.last_sequence_number, command.claim_token) == (2, None)
        assert command.completed_at
    lifecycle.cancel_running(running)
    assert seen(operator, batch)["has_ended"] is True


@pytest.mark.embedded
def test_a_batch_ends_with_its_last_command(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet[:2])
    first, last = claim(2)
    lifecycle.complete(first, {})
    assert seen(operator, batch)["ended_at"] is None
    lifecycle.complete(last, {})
    ended = row(last).completed_at
    assert ended
    assert seen(operator, batch)["ended_at"] == iso(ended)
    assert api(operator).get(BATCHES).json()["results"][0]["ended_at"] == iso(ended)


def test_a_batch_that_has_ended_is_not_cancelled(operator: User, fleet: list[Vehicle]) -> None:
    batch = submitted(operator, fleet[:1])
    (command,) = claim(1)
    lifecycle.complete(command, {})
    response = api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert (response.status_code, response.json()["code"]) == (409, "already_ended")
    assert response.json()["detail"] == "The batch has ended; it can no longer be cancelled."
    assert seen(operator, batch)["stopped_at"] is None


def test_a_batch_may_be_cancelled_again_while_one_command_runs(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    claim(1)
    first, second = (api(operator).post(f"{BATCHES}{batch.pk}/cancel/").json() for _ in range(2))
    assert first == second


def test_cancelling_a_batch_leaves_other_commands_alone(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch, other = submitted(operator, fleet), submitted(operator, fleet)
    alone = submit(operator, fleet[0])
    api(operator).post(f"{BATCHES}{batch.pk}/cancel/")
    assert counted(operator, other) == {"pending": 4}
    assert row(alone).status == "pending"


async def test_a_stream_sends_the_cancellation_of_its_batch(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = await in_thread(submitted, operator, fleet)
    command = await in_thread(batch.commands.latest, "submitted_at")
    reading = asyncio.create_task(read_all(command, operator))
    await in_thread(batches.cancel, batch)
    frames, code = await reading
    assert [frame["status"] for frame in frames] == ["pending", "cancelled"]
    assert code == 1000


class PublishedMessages:
    """Recorder of published messages, in place of the members of the channel layer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups: list[str] = []
        self.messages: list[str] = []
        monkeypatch.setattr(publisher, "publish", self._publish)

    def _publish(self, group: str, message: Mapping[str, Any]) -> None:
        self.groups.append(group)
        self.messages.append(message["type"])


def test_the_workers_are_notified_once(
    operator: User, fleet: list[Vehicle], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PublishedMessages(monkeypatch)
    batch = submitted(operator, fleet)
    assert (published.groups, published.messages) == ([WORKERS], ["command.pending"])
    claim(2)
    published.groups.clear()
    published.messages.clear()
    batches.cancel(batch)
    assert published.messages.count("command.cancel") == published.groups.count(WORKERS) == 1
    cancelled = batch.commands.filter(status="cancelled")
    assert set(published.groups) - {WORKERS} == {f"response_{command.pk}" for command in cancelled}


def test_two_cancellations_and_a_claim_at_once_end_every_command_once(operator: User) -> None:
    """Every command ends once, and there is no deadlock."""
    fleet = make_fleet(60)
    batch = submitted(operator, fleet)
    mark_seen()
    at_once(*[partial(cancel_all, batch)] * 2, partial(lifecycle.claim, 32))
    counts = counted(operator, batch)
    assert counts.get("cancelled", 0) + counts.get("in_progress", 0) == 60
    for command in batch.commands.all():
        if command.status == "in_progress":
            assert command.cancel_requested_at
            assert told(command) == ["pending", "in_progress"]
        else:
            assert told(command) == ["pending", "cancelled"]


def cancel_all(batch: Batch) -> None:
    lifecycle.cancel_many(Command.objects.filter(batch=batch))


def test_a_command_claimed_during_the_cancellation_is_asked_to_stop(
    operator: User, fleet: list[Vehicle]
) -> None:
    batch = submitted(operator, fleet)
    mark_seen()

    def cancel() -> None:
        try:
            batches.cancel(batch)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            (claimed,) = lifecycle.claim(1)
            cancelling = thread.submit(cancel)
            until_blocked()
        cancelling.result()
    assert row(claimed).cancel_requested_at
    assert counted(operator, batch) == {"in_progress": 1, "cancelled": 3}


# --- Cancelling commands by their ids


def cancel_ids(user: User | None, *command_ids: object) -> Any:
    body = {"command_ids": [str(pk) for pk in command_ids]}
    return api(user).post(f"{COMMANDS}cancel/", body)


@pytest.mark.embedded
def test_many_commands_are_cancelled_by_their_ids(operator: User, fleet: list[Vehicle]) -> None:
    commands = [submit(operator, vehicle) for vehicle in fleet]
    ended, running = claim(2)
    lifecycle.complete(ended, {})
    response = cancel_ids(operator, *(command.pk for command in commands), running.pk)
    assert response.status_code == 200
    assert response.json() == {"cancelled": 2, "asked_to_stop": 1, "already_ended": 1}
    assert row(running).cancel_requested_at
    assert told(ended) == ["pending", "in_progress", "response", "completed"]
    assert sorted(command.status for command in Command.objects.all()) == [
        *("cancelled", "cancelled", "completed", "in_progress")
    ]


@pytest.mark.embedded
def test_ids_of_hidden_commands_are_answered_like_unknown_ones(
    operator: User, viewer: User, stranger: User, fleet: list[Vehicle]
) -> None:
    own, foreign = submit(stranger, fleet[0]), submit(operator, fleet[1])
    says = complaints(cancel_ids(stranger, own.pk, foreign.pk))["command_ids"]
    assert says == [f"There is no command {foreign.pk}."]
    assert says == [
        text.replace(UNKNOWN, str(foreign.pk))
        for text in complaints(cancel_ids(stranger, own.pk, UNKNOWN))["command_ids"]
    ]
    assert row(own).status == row(foreign).status == "pending"
    assert cancel_ids(viewer, own.pk).status_code == 403
    assert cancel_ids(None, own.pk).status_code == 401


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], "command_ids"),
        (None, "command_ids"),
        ("all", "command_ids"),
        (["x"], "command_ids.0"),
        ([UNKNOWN] * 1_001, "command_ids"),
    ],
)
def test_wrong_ids_are_refused(operator: User, value: object, field: str) -> None:
    response = api(operator).post(f"{COMMANDS}cancel/", {"command_ids": value})
    assert complaints(response).keys() == {field}
