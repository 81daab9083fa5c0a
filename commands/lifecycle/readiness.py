"""Readiness: which pending commands the claim looks at, however many wait.

`Command.is_ready` is a hint, which a submission sets. The claim looks at ready commands alone,
checks on each whether it may run now, and clears the hint of those that may not: their vehicle is
away, busy or under test, or another command is first in its line. `mark_ready` sets it again.

Every transaction that may let a command run is followed by `mark_ready` *after* its commit: the end
of the vehicle's command, a release, the end of what was first in line, a probe that reached the
vehicle, and the clearing itself. Of two such transactions the one that looks last sees both, so no
hint is lost between them. A process that dies between its commit and `mark_ready` leaves it to the
next probe of the vehicle, and so does `not_before`, which ends by the clock. A wrong hint costs
time, and never the order or a second run.
"""

import logging
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from commands.database.compiled import Compiled
from commands.models import (
    IN_LINE,
    IS_DUE,
    Command,
    Priority,
    Status,
    first_in_line,
    running_on,
    still,
)
from vehicles.models import Vehicle, is_connected, is_tested

logger = logging.getLogger(__name__)


def mark_ready(vehicle_ids: Collection[UUID]) -> None:
    """Let the claim look at the first command in line of each of these vehicles, if it may run."""
    ids = [*vehicle_ids]
    if _waiting.rows(ids):  # else the costly look is spared, as for most vehicles
        _mark([pk for (pk,) in _of_some.rows(ids)])


def mark_all_ready() -> None:
    """Let the claim look at every command that may run, whatever hints were lost."""
    waiting = Command.objects.filter(status=Status.PENDING)
    _mark(list(_overlooked(Vehicle.objects.filter(pk__in=waiting.values("vehicle_id")))))


def _mark(ids: Collection[UUID]) -> None:
    if not ids:
        return
    with transaction.atomic():
        # Whoever holds a row moves it, and then marks its vehicle's first command.
        rows = Command.objects.filter(still(Status.PENDING), pk__in=ids).order_by()
        rows = rows.select_for_update(skip_locked=True)
        Command.objects.filter(pk__in=rows.values("pk")).update(is_ready=True)


def mark_ready_after_commit(vehicle_ids: Collection[UUID]) -> None:
    transaction.on_commit(lambda: _try_to_mark(vehicle_ids), robust=True)


def clear(commands: Collection[UUID]) -> None:
    """Clear the hint of locked commands."""
    Command.objects.filter(pk__in=commands).update(is_ready=False)


def bring_forward(commands: Collection[UUID]) -> None:
    """Let nothing of the background hold up these, if they are interactive.

    What waits before them in the lines of their vehicles gets its turn now.
    """
    held_up = Command.objects.filter(IS_DUE, pk__in=commands, priority=Priority.INTERACTIVE)
    vehicles = list(held_up.values_list("vehicle_id", flat=True))
    if not vehicles:
        return
    waiting = Command.objects.filter(
        IN_LINE, vehicle__in=vehicles, priority=Priority.BACKGROUND, turn__gt=Now()
    )
    rows = waiting.order_by().select_for_update(skip_locked=True)
    Command.objects.filter(pk__in=rows.values("pk")).update(turn=Now())


def _try_to_mark(vehicle_ids: Collection[UUID]) -> None:
    try:
        mark_ready(vehicle_ids)
    except DatabaseError as error:
        logger.warning("Some commands wait for a probe (%s)", str(error).strip())


def _overlooked(vehicles: QuerySet[Vehicle]) -> Any:
    """Return the IDs of the commands that may run now on these vehicles and are not ready."""
    idle = vehicles.filter(~Exists(running_on(OuterRef("pk"))), is_connected(), ~is_tested())
    first = idle.order_by().values(first=first_in_line(OuterRef("pk")))
    commands = Command.objects.order_by().filter(pk__in=first, is_ready=False)
    return commands.values_list("pk", flat=True)


def _not_ready(ids: list[UUID]) -> Any:
    line = Command.objects.order_by().filter(IN_LINE, vehicle__pk__among=ids, is_ready=False)
    return line.values_list("pk")[:1]


_waiting = Compiled(_not_ready, list)
_of_some = Compiled(lambda ids: _overlooked(Vehicle.objects.filter(pk__among=ids)), list)
