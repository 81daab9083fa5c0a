"""How a move is written: the guarded UPDATE, its events and evidence, and their publishing."""

import logging
from collections.abc import Callable
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from commands import events
from commands.database.threads import CONNECTION_LOST
from commands.deliveries import outbox
from commands.events import Entry
from commands.lifecycle import readiness
from commands.metrics import counters, log_lines
from commands.models import TERMINAL, Command, Event, Exchange, Status, still
from commands.notifications import WORKERS, publisher

logger = logging.getLogger(__name__)
MOVES = {
    Status.PENDING: {Status.IN_PROGRESS, Status.CANCELLED, Status.EXPIRED, Status.FAILED},
    Status.IN_PROGRESS: TERMINAL - {Status.EXPIRED} | {Status.PENDING},
}
ALWAYS = Q()
UNCLAIMED = {"claim_token": None, "lease_expires_at": None}


class LostClaim(Exception):
    """Error for a write to a command that somebody else has moved in the meantime."""


class AlreadyEnded(Exception):
    """Error for a move of a command that is in a terminal state, which never changes."""


def write_once(move: Callable[..., None], command: Command, *arguments: Any) -> None:
    """Make a move that an earlier COMMIT without an answer may have made already.

    If the log is longer than expected, that COMMIT arrived: nobody but the holder of the claim can
    have written to it.
    """
    mine = Command.objects.filter(pk=command.pk, claim_token=command.claim_token)
    try:
        move(command, *arguments)
    except LostClaim:
        last = mine.values_list("last_sequence_number", flat=True).first()
        if last is None or last <= command.last_sequence_number:
            raise
        command.last_sequence_number = last
        command.exchanges_to_keep.clear()  # they are in the same transaction


def unless_moved(move: Callable[[Command], None], command: Command) -> bool:
    """Move a command; return whether it goes on, and somebody has to care for it."""
    try:
        move(command)
    except LostClaim:
        pass  # another worker's sweep was faster, or the owner came back
    except CONNECTION_LOST as error:
        logger.warning("%s has to wait for the next sweep (%s)", command, str(error).strip())
    else:
        return not command.has_ended
    return False


def end_with_error(
    command: Command, to: Status, code: str, message: str, guard: Q = ALWAYS, **changes: Any
) -> None:
    entries = [events.error(to, code, message)]
    move(command, to, entries, guard, error_code=code, error_message=message, **changes)


def move(
    command: Command,
    to: Status,
    entries: list[Entry],
    guard: Q = ALWAYS,
    **changes: Any,
) -> None:
    check_move(command, to)
    if to in TERMINAL:
        changes |= {"completed_at": Now(), "is_ready": False}
    write(command, entries, guard, status=to, **UNCLAIMED, **changes)
    command.status = to
    command.claim_token = None
    readiness.mark_ready_after_commit({command.vehicle_id})


def check_move(command: Command, to: Status) -> None:
    if command.has_ended:
        raise AlreadyEnded(command)
    if to not in MOVES[Status(command.status)] | {command.status}:
        raise ValueError(f"{command} cannot go from {command.status} to {to}")


def move_pending(commands: list[Command], entry: Entry, **changes: Any) -> None:
    """Move many pending commands at once, with their rows locked."""
    to = entry.payload["status"]
    moved = Command.objects.filter(
        still(Status.PENDING), pk__in=[command.pk for command in commands]
    ).update(
        status=to,
        last_sequence_number=F("last_sequence_number") + 1,
        is_ready=False,
        **changes,
    )
    if moved != len(commands):
        raise IntegrityError("a command was moved twice")
    for command in commands:
        command.status = to
        command.last_sequence_number += 1
    record([event_of(command, command.last_sequence_number, entry) for command in commands])
    if to in TERMINAL:
        readiness.mark_ready_after_commit({command.vehicle_id for command in commands})


def write(
    command: Command,
    entries: list[Entry],
    guard: Q = ALWAYS,
    **changes: Any,
) -> None:
    """Write the guarded UPDATE and its events together. Raise LostClaim and then write nothing."""
    last = command.last_sequence_number + len(entries)
    with transaction.atomic():
        row = _unchanged_row(command).filter(guard)
        if not row.update(last_sequence_number=last, **changes):
            raise LostClaim(command)
        _append(command, command.last_sequence_number + 1, entries)
        keep_new_exchanges(command, command.last_sequence_number + 1)
    command.last_sequence_number = last
    command.exchanges_to_keep.clear()


def _unchanged_row(command: Command) -> Any:
    """Return the row as a queryset: empty if it no longer matches the command in hand."""
    return claimed_row(command).filter(sent_at__isnull=command.sent_at is None)


def claimed_row(command: Command) -> Any:
    if command.has_ended:
        raise AlreadyEnded(command)
    return Command.objects.filter(
        still(command.status),
        pk=command.pk,
        claim_token=command.claim_token,
        last_sequence_number=command.last_sequence_number,
    )


def _append(command: Command, number: int, entries: list[Entry]) -> None:
    record([event_of(command, number + offset, entry) for offset, entry in enumerate(entries)])


def event_of(command: Command, number: int, entry: Entry) -> Event:
    return Event(command=command, sequence_number=number, kind=entry.kind, payload=entry.payload)


def record(log: list[Event]) -> None:
    Event.objects.bulk_create(log)
    outbox.note_ended_commands(log)
    announce(log)


def announce(log: list[Event]) -> None:
    """Publish, count and log these events once they are committed."""
    transaction.on_commit(lambda: publish(log), robust=True)
    transaction.on_commit(lambda: count_and_log(log), robust=True)


def publish(log: list[Event]) -> None:
    for event in log:
        publisher.publish(events.group_of(event.command_id), events.message_of(event))


def wake_workers(kind: str) -> None:
    transaction.on_commit(lambda: publisher.publish(WORKERS, {"type": kind}), robust=True)


def count_and_log(log: list[Event]) -> None:
    for event in log:
        counters.count(event)
        log_lines.log(event)


def keep_exchanges(command: Command) -> None:
    """Store the evidence of a worker that has lost its claim and may write nothing else.

    Exchanges that a COMMIT without an answer has stored are not stored again.
    """
    stored = set(Exchange.objects.filter(command=command).values_list("started_at", "request"))
    command.exchanges_to_keep = [
        exchange
        for exchange in command.exchanges_to_keep
        if (exchange.started_at, exchange.request) not in stored
    ]
    keep_new_exchanges(command)
    command.exchanges_to_keep.clear()


def keep_new_exchanges(command: Command, sequence_number: int | None = None) -> None:
    """Store the evidence that the connector recorded since the last write."""
    if command.exchanges_to_keep:
        rows = [
            Exchange(command=command, sequence_number=sequence_number, **asdict(exchange))
            for exchange in sorted(command.exchanges_to_keep, key=attrgetter("started_at"))
        ]
        Exchange.objects.bulk_create(rows)
