"""Old commands, and the list of commands that a user sees."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from commands import lifecycle
from commands.models import Command, Status
from conftest import api, claim_one, submit
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make_command(user: User, vehicle: Vehicle, at: datetime = NOON, **fields: Any) -> Command:
    """A row as of long ago, of which the worker knows nothing."""
    fields = {"command_name": "ReadDTC", "status": Status.COMPLETED} | fields
    command: Command = Command.objects.create(
        vehicle=vehicle, submitted_by=user, submitted_at=at, expires_at=at + HOUR, **fields
    )
    return command


def listed(user: User, query: str = "") -> list[str]:
    response = api(user).get(f"{COMMANDS}?{query}")
    assert response.status_code == 200, response.content
    return ids(response.json()["results"])


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["command_id"] for row in rows]


def complaints(response: Any) -> dict[str, list[str]]:
    """Return the messages of a 400 by field, and check its shape."""
    body = response.json()
    assert (response.status_code, body["code"]) == (400, "invalid"), body
    assert body.keys() == {"code", "detail", "fields"}
    assert all(field in body["detail"] for field in body["fields"])
    found: dict[str, list[str]] = body["fields"]
    return found


def answered(operator: User, vehicle: Vehicle) -> Command:
    """Make a command that was released after its first response, and then carried out: 8 events."""
    command = submit(operator, vehicle)
    first = claim_one()
    lifecycle.respond(first, {"attempt": 1})
    lifecycle.release(first)
    second = claim_one()
    lifecycle.respond(second, {"attempt": 2})
    lifecycle.complete(second, {"attempt": 2, "done": True})
    return command
