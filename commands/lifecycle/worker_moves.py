"""Moves of a worker that holds a claim, in steps. Postgres writes those of many commands at once.

A step is the guarded UPDATE of `writing` with its events and its evidence. One statement writes a
group of steps and returns those that it has written. The others have lost their claim, each for
itself. SQLite writes one after the other.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection, transaction
from psycopg.types.json import Jsonb

from commands.database.threads import CONNECTION_LOST
from commands.events import Entry
from commands.lifecycle import readiness, writing
from commands.lifecycle.writing import LostClaim
from commands.models import Command, Event, Status

P = ParamSpec("P")


@dataclass
class Step:
    """One move that is not yet written. `to`: in_progress for a response that is not the last."""

    command: Command
    entries: list[Entry]
    to: Status = Status.IN_PROGRESS
    error_code: str = ""
    error_message: str = ""

    def __post_init__(self) -> None:
        writing.check_move(self.command, self.to)

    @property
    def is_end(self) -> bool:
        return self.to != Status.IN_PROGRESS


class ClaimedMove(Generic[P]):
    """Move by the worker that holds the claim. A call writes it, `plan` returns it as a step."""

    def __init__(self, plan: Callable[Concatenate[Command, P], Step]) -> None:
        self.plan = plan
        update_wrapper(self, plan)

    def __call__(self, command: Command, *arguments: P.args, **options: P.kwargs) -> None:
        (problem,) = write_group([self.plan(command, *arguments, **options)])
        if problem:
            raise problem


def write_group(steps: Sequence[Step]) -> list[Exception | None]:
    """Write steps of different commands. Return for each None, or why it was not written.

    One step that the database refuses keeps no other from being written.
    """
    if len(steps) > 1 and connection.vendor != "postgresql":
        return [problem for step in steps for problem in write_group([step])]
    try:
        written = _write(steps)
    except (DatabaseError, LostClaim) as error:
        if len(steps) == 1:
            return [error]  # also a lost connection: steps before it may be written
        if isinstance(error, CONNECTION_LOST):
            raise
        return [problem for step in steps for problem in write_group([step])]
    return [None if step.command.pk in written else LostClaim(step.command) for step in steps]


def _write(steps: Sequence[Step]) -> set[UUID]:
    """Write what has not lost its claim, and publish it. Return the IDs of these commands."""
    if connection.vendor != "postgresql":
        return _write_by_orm(*steps)
    log = store(steps)
    writing.announce(log)
    written = {event.command_id for event in log}
    moved = [step for step in steps if step.command.pk in written]
    for step in moved:
        _apply(step)
    ended = {step.command.vehicle_id for step in moved if step.is_end}
    if ended:
        readiness.mark_ready_after_commit(ended)
    return written


def _write_by_orm(step: Step) -> set[UUID]:
    if step.is_end:
        writing.move(
            step.command,
            step.to,
            step.entries,
            error_code=step.error_code,
            error_message=step.error_message,
        )
    else:
        writing.write(step.command, step.entries)
    return {step.command.pk}


def _apply(step: Step) -> None:
    """Update the command in memory to match the row that was written."""
    command = step.command
    command.last_sequence_number += len(step.entries)
    command.exchanges_to_keep.clear()
    if step.is_end:
        command.status, command.claim_token = step.to, None


# --- The statement

# Rows are locked in the order of every such lock: see `CommandQuerySet.still_open`. The deliveries
# are those that `webhooks.outbox` writes for every other move.
STATEMENT = """
    WITH step AS (
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::int[], %s::bool[],
            %s::text[], %s::bool[], %s::text[], %s::text[])
        AS step (command_id, claim_token, known, last, is_sent, status, is_end, error_code,
            error_message)
    ), unchanged AS (
        SELECT step.* FROM step JOIN commands_command AS command USING (command_id)
        WHERE command.status = 'in_progress' AND command.claim_token = step.claim_token
            AND command.last_sequence_number = step.known
            AND (command.sent_at IS NOT NULL) = step.is_sent
        ORDER BY command_id FOR NO KEY UPDATE OF command
    ), moved AS (
        UPDATE commands_command AS command SET
            status = step.status,
            last_sequence_number = step.last,
            error_code = step.error_code,
            error_message = step.error_message,
            claim_token = CASE WHEN step.is_end THEN NULL ELSE command.claim_token END,
            lease_expires_at = CASE WHEN step.is_end THEN NULL ELSE command.lease_expires_at END,
            completed_at = CASE WHEN step.is_end THEN statement_timestamp() END
        FROM unchanged AS step WHERE command.command_id = step.command_id
        RETURNING command.command_id, command.submitted_by_id, step.is_end,
            command.command_name = 'ScanVehicle' AND command.batch_id IS NULL
                AND command.campaign_id IS NULL AS is_scan
    ), delivery AS (
        INSERT INTO commands_webhookdelivery (delivery_id, webhook_id, event, subject)
        SELECT gen_random_uuid(), webhook.webhook_id, 'command.ended', moved.command_id
        FROM moved JOIN commands_webhook AS webhook ON moved.is_end
            AND webhook.is_active
            AND (webhook.of_commands OR webhook.of_scans AND moved.is_scan)
            AND (webhook.sees_all OR webhook.owner_id = moved.submitted_by_id)
    )
    INSERT INTO commands_event (command_id, sequence_number, kind, payload)
    SELECT entry.* FROM moved JOIN unnest(%s::uuid[], %s::int[], %s::text[], %s::jsonb[])
        AS entry (command_id, sequence_number, kind, payload) USING (command_id)
    RETURNING command_id, sequence_number, id, created_at
"""


def store(steps: Sequence[Step]) -> list[Event]:
    """Store the steps whose claims stand. Return their events, as they are in the log."""
    has_evidence = any(step.command.exchanges_to_keep for step in steps)
    with transaction.atomic(savepoint=False) if has_evidence else nullcontext():
        stored = _execute(steps)
        log = [event for step in steps for event in _events(step, stored)]
        if has_evidence:
            _store_evidence(steps, {event.command_id for event in log})
    return log


def _execute(steps: Sequence[Step]) -> dict[tuple[UUID, int], tuple[int, Any]]:
    """Return the key and the time of each event that was written."""
    moves = [_move(step) for step in steps]
    entries = [entry for step in steps for entry in _entries(step)]
    columns = [*zip(*moves, strict=True), *zip(*entries, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT, [list(column) for column in columns])
        return {(command, number): (pk, at) for command, number, pk, at in cursor.fetchall()}


def _move(step: Step) -> tuple[Any, ...]:
    command, known = step.command, step.command.last_sequence_number
    ids = (command.pk, command.claim_token, known, known + len(step.entries))
    errors = (step.error_code, step.error_message)
    return (*ids, command.sent_at is not None, str(step.to), step.is_end, *errors)


def _entries(step: Step) -> list[tuple[Any, ...]]:
    first = step.command.last_sequence_number + 1
    return [
        (step.command.pk, number, str(entry.kind), Jsonb(entry.payload))
        for number, entry in enumerate(step.entries, first)
    ]


def _events(step: Step, stored: dict[tuple[UUID, int], tuple[int, Any]]) -> list[Event]:
    command, log = step.command, []
    for number, entry in enumerate(step.entries, command.last_sequence_number + 1):
        if (command.pk, number) in stored:
            event = writing.event_of(command, number, entry)
            event.pk, event.created_at = stored[command.pk, number]
            log.append(event)
    return log


def _store_evidence(steps: Sequence[Step], written: set[UUID]) -> None:
    for step in steps:
        if step.command.pk in written:
            writing.keep_new_exchanges(step.command, step.command.last_sequence_number + 1)
