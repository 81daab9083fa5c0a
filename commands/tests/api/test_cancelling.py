"""Commands are cancelled by the API."""

from typing import Any

from django.contrib.auth.models import User

from commands import lifecycle
from commands.models import Command
from commands.tests.api.listing import COMMANDS
from conftest import ClearDTC, api, claim_one, log_of, submit
from vehicles.models import Vehicle


def cancel(user: User, command: Command) -> Any:
    return api(user).post(f"{COMMANDS}{command.pk}/cancel/")


def test_a_pending_command_is_cancelled(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle, ClearDTC)
    response = cancel(operator, command)
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "cancelled")
    assert body | {"commands_ahead": 0} == api(operator).get(f"{COMMANDS}{command.pk}/").json()
    assert [frame["status"] for frame in log_of(operator, command)] == ["pending", "cancelled"]


def test_a_running_command_is_asked_to_stop(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    claim_one()
    for _ in range(2):
        response = cancel(operator, command)
        assert (response.status_code, response.json()["status"]) == (202, "in_progress")
    command.refresh_from_db()
    assert command.cancel_requested_at
    assert len(log_of(operator, command)) == 2


def test_a_command_that_has_ended_is_not_cancelled(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    log = log_of(operator, command)
    response = cancel(operator, command)
    assert response.status_code == 409
    assert response.json() == {
        "code": "already_ended",
        "detail": "The command is completed; it can no longer be cancelled.",
    }
    assert log_of(operator, command) == log
