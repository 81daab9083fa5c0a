"""Commands read and written without Django REST framework's serializers.

These take milliseconds for one command. They still describe the API, read every submission that is
not plain, and explain what is wrong with it.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import Count, Value
from rest_framework.exceptions import ValidationError

from commands import results
from commands.api import bodies
from commands.api.commands.serializers import CommandSerializer, check_command
from commands.catalogue import COMMAND_TYPES
from commands.database.compiled import Compiled
from commands.database.keyset import Listing
from commands.models import Command, Status, sees_all_commands
from vehicles.models import Vehicle

# --- Reading

_vehicles = Compiled(
    lambda pk: (
        Vehicle.objects.filter(pk=pk).order_by().values_list("vin", "connector", "retired_at")
    ),
    UUID,
)


def read(data: Any, user: Any) -> dict[str, Any] | None:
    """Return what CommandSerializer would make of a plain submission, or None if it is not plain.

    Raise PermissionDenied.
    """
    match data:
        case {
            "vehicle_id": str(vehicle_id),
            "command_name": str(name),
            "command_params": dict(params),
        }:
            is_plain = len(data) == 3 and name in COMMAND_TYPES
            vehicle = _vehicle(vehicle_id) if is_plain else None
        case _:
            return None
    attrs = {"vehicle_id": vehicle, "command_name": name, "command_params": params}
    try:
        params = check_command(attrs, [vehicle], user) if vehicle else {}
    except ValidationError:
        return None
    return attrs | {"command_params": params} if vehicle else None


def _vehicle(vehicle_id: str) -> Vehicle | None:
    try:
        pk = UUID(vehicle_id)
    except ValueError:
        return None
    for vin, connector, retired_at in _vehicles.rows(pk):
        return Vehicle(pk=pk, vin=vin, connector=connector, retired_at=retired_at)
    return None


# --- Writing


@cache
def columns() -> list[str]:
    return [path.replace(".", "__") for path in bodies.paths(CommandSerializer).values()]


def body_of_row(row: Iterable[Any]) -> dict[str, Any]:
    """Return the body of a response from the values of `columns()`."""
    return dict(zip(bodies.paths(CommandSerializer), row, strict=True))


def with_results(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the bodies of a list, each with its `result`, by one statement for all."""
    completed = [row["command_id"] for row in rows if row["status"] == Status.COMPLETED]
    lines = results.lines_of(completed) if completed else {}
    return [row | {"result": lines.get(row["command_id"], "")} for row in rows]


# --- Many commands


def listing(user: Any) -> Any:
    """Return the bodies of all commands that the user may see, without their results."""
    names = [*bodies.paths(CommandSerializer)]
    if sees_all_commands(user):
        return Listing(Command, names, _all)
    return Listing(Command, names, _own, (user.pk,))


def _all() -> Any:
    return Command.objects.values_list(*columns())


def _own(user_id: int) -> Any:
    return Command.objects.of(user_id).values_list(*columns())


# --- One command

_by_id = Compiled(lambda pk: _all().filter(pk=pk).order_by(), UUID)
_own_by_id = Compiled(lambda pk, user_id: _own(user_id).filter(pk=pk).order_by(), UUID, int)


def find(command_id: str, user: Any) -> dict[str, Any] | None:
    """Return the fields of a command that the user may see."""
    try:
        pk = UUID(command_id)
    except ValueError:
        return None
    rows = _by_id.rows(pk) if sees_all_commands(user) else _own_by_id.rows(pk, user.pk)
    return body_of_row(rows[0]) if rows else None


def _ahead(pk: UUID, vehicle_id: UUID, submitted_at: datetime) -> Any:
    command = Command(pk=pk, vehicle_id=vehicle_id, submitted_at=submitted_at)
    ahead = Command.objects.ahead_of(command).order_by().annotate(one=Value(1))
    return ahead.values("one").annotate(count=Count("*")).values_list("count", flat=True)


_commands_ahead = Compiled(_ahead, UUID, UUID, datetime)


def commands_ahead(body: dict[str, Any]) -> int:
    """Return the number of commands that the vehicle carries out before a pending one."""
    if body["status"] != Status.PENDING:
        return 0
    rows = _commands_ahead.rows(body["command_id"], body["vehicle_id"], body["submitted_at"])
    return rows[0][0] if rows else 0
