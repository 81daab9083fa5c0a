"""Old commands, and the list of commands that a user sees."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from commands.models import Command, Status
from conftest import api
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
