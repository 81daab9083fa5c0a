"""Earlier values of one identifier of an ECU, from the last reads of the vehicle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User

from commands.models import Command, Status, sees_all_commands
from commands.results.values import data_responses, parts_of
from vehicles.models import Vehicle

MAX_READS = 1_000  # reads of the vehicle that are looked at, whatever they have read
MAX_FOUND = 200
NUMBER = "0x[0-9A-Fa-f]{2,4}"


@dataclass(frozen=True)
class PastValue:
    command_id: UUID
    at: datetime | None
    parts: list[tuple[str, str, Any]]


def of_identifier(
    vehicle: Vehicle, user: User | AnonymousUser, ecu_address: str, data_id: str
) -> list[PastValue]:
    """Return the values of the completed reads that the user may see, the newest first.

    Whose commands they are, and what they have read, is compared here: in the query it could make
    the planner search all commands of a user.
    """
    reads = [
        (pk, at)
        for pk, at, status, owner, params in _last_reads(vehicle)
        if status == Status.COMPLETED
        and (owner == user.pk or sees_all_commands(user))
        and _has_read(params, ecu_address, data_id)
    ][:MAX_FOUND]
    rows = data_responses([pk for pk, _ in reads]).values_list("command", "short")
    found = {pk: payload["response"] for pk, payload in rows if payload}
    return [PastValue(pk, at, list(parts_of(found[pk]))) for pk, at in reads if pk in found]


def _last_reads(vehicle: Vehicle) -> Any:
    """Return the last reads of the vehicle by any user, from one index."""
    reads = Command.objects.filter(vehicle=vehicle, command_name="ReadDataByID")
    return reads.order_by("-submitted_at").values_list(
        "pk", "completed_at", "status", "submitted_by", "command_params"
    )[:MAX_READS]


def _has_read(params: Mapping[str, Any], ecu_address: str, data_id: str) -> bool:
    return _is_same(params.get("ecuAddress"), ecu_address) and _is_same(
        params.get("dataId"), data_id
    )


def _is_same(found: Any, wanted: str) -> bool:
    """Return whether it is the same number, in any spelling."""
    is_number = isinstance(found, str) and re.fullmatch(NUMBER, found)
    return bool(is_number) and int(found, 16) == int(wanted, 16)
