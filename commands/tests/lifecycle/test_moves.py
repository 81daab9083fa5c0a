"""Moves of a command: each is guarded, and has one event."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from commands import lifecycle
from commands.lifecycle import AlreadyEnded
from commands.metrics.scrape import registry
from commands.models import TERMINAL, Command
from commands.tests.lifecycle.rows import HOUR, every_write, put, told
from conftest import claim_one, mark_seen, row
from vehicles.models import Vehicle

# --- Every move


@pytest.mark.embedded
def test_a_submitted_command_is_pending_with_its_first_event(command: Command) -> None:
    assert told(command) == ["pending"]
    assert (command.status, command.last_sequence_number) == ("pending", 1)
    assert command.expires_at - command.submitted_at == timedelta(seconds=300)


@pytest.mark.embedded
def test_the_expiry_in_the_response_is_the_stored_one(operator: User, vehicle: Vehicle) -> None:
    submitted = lifecycle.submit(operator, vehicle, "ReadDTC", {"ecuAddress": "0x10"})
    assert submitted.expires_at == row(submitted).expires_at


@pytest.mark.embedded
def test_a_command_is_claimed_responded_to_and_completed(claimed: Command) -> None:
    lifecycle.respond(claimed, {"n": 1})
    lifecycle.complete(claimed, {"n": 2})
    row = Command.objects.get()
    assert row.started_at
    assert row.completed_at
    assert told(row) == ["pending", "in_progress", {"n": 1}, {"n": 2}, "completed"]
    assert (row.status, row.last_sequence_number, row.claim_token) == ("completed", 5, None)
    assert row.submitted_at <= row.started_at <= row.completed_at
    assert [e.payload["is_final"] for e in row.events.filter(kind="response")] == [False, True]


ENDS: list[tuple[Callable[[Command], None], str, str]] = [
    (lambda c: lifecycle.complete(c, {}), "completed", ""),
    (lambda c: lifecycle.fail(c, "vehicle_refused", "No."), "failed", "vehicle_refused"),
    (lambda c: lifecycle.time_out(c, "Silence."), "timed_out", "vehicle_timeout"),
    (lifecycle.cancel_running, "cancelled", ""),
]


@pytest.mark.parametrize(("move", "status", "error_code"), ENDS, ids=[end[1] for end in ENDS])
def test_each_end_is_stored_with_its_event(
    claimed: Command, move: Any, status: str, error_code: str
) -> None:
    before = executed(status)
    move(claimed)
    row = Command.objects.get()
    assert (row.status, row.error_code, told(row)[-1]) == (status, error_code, status)
    assert sum(event.payload.get("status") in TERMINAL for event in row.events.all()) == 1
    assert executed(status) == before + 1


def executed(status: str) -> float:
    labels = {"status": status}
    return registry().get_sample_value("commands_executed_total", labels) or 0.0


def test_a_command_that_has_ended_makes_no_move(claimed: Command) -> None:
    lifecycle.complete(claimed, {})
    for move in every_write():
        with pytest.raises(AlreadyEnded):
            move(claimed)
    assert told(claimed)[2:] == [{}, "completed"]


def test_a_move_that_the_diagram_does_not_have_is_an_error(command: Command) -> None:
    with pytest.raises(ValueError, match="cannot go from pending to completed"):
        lifecycle.complete(command, {})


# --- Cancelling


@pytest.mark.embedded
def test_a_pending_command_is_cancelled_at_once(command: Command) -> None:
    assert lifecycle.cancel(command) is True
    assert told(command) == ["pending", "cancelled"]
    mark_seen()
    assert lifecycle.claim(10) == []


def test_a_command_that_runs_by_now_is_asked_to_stop(command: Command) -> None:
    """The copy in hand is pending, and the row is not."""
    claimed = claim_one()
    assert lifecycle.cancel(command) is False
    assert Command.objects.get().cancel_requested_at is not None
    lifecycle.complete(claimed, {})
    with pytest.raises(AlreadyEnded):
        lifecycle.cancel(Command.objects.get(pk=command.pk))


def test_a_command_asked_to_stop_is_cancelled_when_its_worker_is_lost(claimed: Command) -> None:
    """No other worker starts it again."""
    lifecycle.cancel(Command.objects.get())
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    assert told(claimed) == ["pending", "in_progress", "cancelled"]


def test_a_command_asked_to_stop_is_cancelled_by_an_unaware_release(claimed: Command) -> None:
    """The worker's copy is older than the request to stop; the row has it."""
    lifecycle.cancel(Command.objects.get())
    lifecycle.release(claimed)
    assert told(claimed) == ["pending", "in_progress", "cancelled"]
