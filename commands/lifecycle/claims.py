"""Claims of commands by workers: how they are taken, renewed and taken over."""

import logging
import uuid
from collections.abc import Collection
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from commands import events
from commands.database.compiled import Compiled
from commands.lifecycle import claim_statements, readiness, writing
from commands.metrics import counters
from commands.models import MAX_LOST_WORKERS, Command, ErrorCode, Status
from vehicles.connectors import CONNECTORS, READ_BACK
from vehicles.descriptions import variants
from vehicles.route import route_digest

logger = logging.getLogger(__name__)

PAGE = 1_000  # ready commands that one transaction looks at, at most
PAGES = 8  # of one claim


def claim(
    limit: int, has_suspect: bool = False, connectors: Collection[str] = CONNECTORS
) -> list[Command]:
    """Claim up to `limit` commands, each the first in line of its vehicle.

    `has_suspect`: the worker runs a suspect command already, and gets no second one.
    `connectors`: names of the connectors that the worker can drive.
    """
    claimed: list[Command] = []
    names = frozenset(connectors)
    if not claim_statements.ready(names).rows():
        return claimed
    size = limit
    for _ in range(PAGES):
        suspects = has_suspect or any(command.is_suspect for command in claimed)
        found = _claim_page(claim_statements.page(names, size, suspects), limit, claimed)
        if found < size or len(claimed) == limit:
            break
        size = min(size * 4, PAGE)
    return claimed


def _claim_page(page: Compiled, limit: int, claimed: list[Command]) -> int:
    """Claim what may run of a page of ready commands, until there are `limit`.

    Clear the hint of what may not run now. Return how many commands were in the page.
    """
    try:
        with transaction.atomic():
            found = dict(page.rows())
            commands = claim_statements.runnable(found)
            suspects = [command for command in commands if command.is_suspect]
            chosen = [command for command in commands if command not in suspects[1:]]
            chosen = chosen[: limit - len(claimed)]
            if chosen:
                claim_statements.assign(chosen)
                claim_statements.read_ecus(chosen)
                _attach_meanings(chosen)
            _clear(found, commands)
    except IntegrityError as error:  # another worker just claimed for one of these vehicles
        logger.info("A claim was lost to another worker (%s)", str(error).splitlines()[0])
        return 0
    claimed += chosen
    return len(found)


def _clear(found: dict[uuid.UUID, uuid.UUID], runnable: list[Command]) -> None:
    others = found.keys() - {command.pk for command in runnable}
    if others:
        readiness.clear(others)
        readiness.bring_forward(others)
        readiness.mark_ready_after_commit({found[pk] for pk in others})


def _attach_meanings(commands: list[Command]) -> None:
    """Give the ECUs what their descriptions say, with which the responses are read."""
    variants.attach(ecu for command in commands for ecu in command.vehicle.configured_ecus)


def take_over(limit: int, connectors: Collection[str] = READ_BACK) -> list[Command]:
    """Claim commands that a worker had sent before it was lost or shut down, to read them back."""
    lapsed = Command.objects.lapsed().to_read_back().filter(vehicle__connector__in=connectors)
    # All is read before the first is taken: what is taken must also be read back.
    rows = lapsed.select_related("vehicle").prefetch_related("vehicle__ecus")[:limit]
    taken = [command for command in rows if writing.unless_moved(_take_over, command)]
    _attach_meanings(taken)
    return taken


def _take_over(command: Command) -> None:
    was_lost = command.claim_token is not None  # else its worker shut down and left it
    lost = command.lost_workers + was_lost
    if problem := _why_not_to_read_back(command, lost):
        _end_as_unknown(command, problem, lost)
    else:
        _claim_to_read_back(command, lost)
    if was_lost:
        counters.leases_taken_over.inc()


def _end_as_unknown(command: Command, problem: str, lost: int) -> None:
    message = (
        f"{problem} after the command had been sent. It may have been carried out. "
        "Read the vehicle's state before you send it again."
    )
    code, guard = ErrorCode.OUTCOME_UNKNOWN, _lapsed()
    writing.end_with_error(command, Status.FAILED, code, message, guard, lost_workers=lost)


def _claim_to_read_back(command: Command, lost: int) -> None:
    token = uuid.uuid4()
    writing.write(
        command,
        [events.status(Status.IN_PROGRESS)],
        _lapsed(),
        claim_token=token,
        claim_sequence_number=command.last_sequence_number + 1,
        lease_expires_at=claim_statements.lease_end(),
        lost_workers=lost,
    )
    command.claim_token, command.lost_workers = token, lost


def _lapsed() -> Q:
    return Q(lease_expires_at__lte=Now())


def _why_not_to_read_back(command: Command, lost: int) -> str:
    """Return the reason why reading back would prove nothing, or cost yet another worker."""
    if lost >= MAX_LOST_WORKERS:
        return f"{lost} workers were lost"
    if command.sent_route != route_digest(command.vehicle):
        return "The vehicle's connector, settings or ECUs were changed"
    return ""


def renew(commands: list[Command]) -> None:
    with transaction.atomic():
        rows = _held(commands).order_by("pk").select_for_update()
        Command.objects.filter(pk__in=rows.values("pk")).update(
            lease_expires_at=claim_statements.lease_end()
        )


def held(commands: list[Command]) -> dict[tuple[uuid.UUID, uuid.UUID], bool]:
    """Return the claims that still stand: by (command id, claim token), True if asked to stop."""
    rows = _held(commands).values_list("pk", "claim_token", "cancel_requested_at")
    return {(pk, token): asked is not None for pk, token, asked in rows}


def _held(commands: list[Command]) -> Any:
    return Command.objects.filter(
        pk__in=[command.pk for command in commands],
        claim_token__in={command.claim_token for command in commands},
        status=Status.IN_PROGRESS,
    )
