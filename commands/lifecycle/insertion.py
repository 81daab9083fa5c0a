"""The rows of a submission. Postgres writes those of one command by one statement.

Django's way takes a round trip and most of a millisecond for each table, and works for many
commands and for SQLite. A test holds both to the same rows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Greatest, Now
from django.utils import timezone
from psycopg.types.json import Jsonb

from commands import events
from commands.lifecycle import writing
from commands.models import AuditEntry, Batch, Command, Event, Status

FIRST = events.status(Status.PENDING)
COMMAND = """
    WITH command AS (
        INSERT INTO commands_command (
            command_id, vehicle_id, batch_id, command_name, command_params, submitted_by_id, status,
            lock_id, campaign_id, priority, not_before, error_code, error_message,
            last_sequence_number, is_ready, expires_at, turn
        ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '', '', 1, %s,
            greatest(statement_timestamp(), %s) + %s, greatest(statement_timestamp(), %s) + %s)
        RETURNING submitted_at
    ), event AS (
        INSERT INTO commands_event (command_id, sequence_number, kind, payload)
        VALUES (%s, 1, %s, %s)
    )"""
AUDIT = """, audit AS (
        INSERT INTO commands_auditentry (username, user_id, action, subject, details, address)
        VALUES {entries}
    )"""
ENTRY = "(%s, %s, %s, %s, %s, %s)"
RESULT = "SELECT submitted_at FROM command"


def insert(
    commands: list[Command],
    expires: timedelta,
    turns: Sequence[timedelta],
    entries: Sequence[AuditEntry],
) -> list[Event]:
    """Write these new commands, with their first events and audit entries. Return the events."""
    is_plain = len(commands) == 1 and connection.vendor == "postgresql"
    write = by_one_statement if is_plain else by_django
    write(commands, expires, turns, entries)
    for command in commands:
        # As stored: one Now() a statement.
        command.expires_at = known_start(command) + expires
    return [writing.event_of(command, 1, FIRST) for command in commands]


def by_one_statement(
    commands: Sequence[Command],
    expires: timedelta,
    turns: Sequence[timedelta],
    entries: Sequence[AuditEntry],
) -> None:
    (command,), (turn,) = commands, turns
    command.last_sequence_number = 1
    values: list[Any] = [
        *(command.pk, command.vehicle_id, command.batch_id, command.command_name),
        *(Jsonb(command.command_params), command.submitted_by_id, command.status),
        *(command.lock_id, command.campaign_id),
        *(command.priority, command.not_before, _is_due(command)),
        *(command.not_before, expires, command.not_before, turn),
        *(command.pk, FIRST.kind, Jsonb(FIRST.payload)),
    ]
    for entry in entries:
        values += [entry.username, entry.user_id, entry.action, entry.subject]
        values += [Jsonb(entry.details), entry.address]
    audit = AUDIT.format(entries=", ".join([ENTRY] * len(entries))) if entries else ""
    with connection.cursor() as cursor:
        cursor.execute(COMMAND + audit + RESULT, values)
        (command.submitted_at,) = cursor.fetchone()


def by_django(
    commands: Sequence[Command],
    expires: timedelta,
    turns: Sequence[timedelta],
    entries: Sequence[AuditEntry],
) -> None:
    for command, turn in zip(commands, turns, strict=True):
        start = start_of(command.not_before)
        command.expires_at, command.turn = start + expires, start + turn
        command.last_sequence_number = 1
        # The claim finds out whether it may run: see `readiness`.
        command.is_ready = _is_due(command)
    with transaction.atomic(savepoint=False):  # all or nothing, also within what a caller adds
        Command.objects.bulk_create(commands)
        Event.objects.bulk_create(writing.event_of(command, 1, FIRST) for command in commands)
        AuditEntry.objects.bulk_create(entries)


def _is_due(command: Command) -> bool:
    return command.not_before is None or command.not_before <= timezone.now()


def start_of(not_before: datetime | None) -> Any:
    """Return the expression for the time from which the lifetime of a new row counts."""
    return Greatest(Now(), not_before) if not_before else Now()


def known_start(stored: Command | Batch) -> datetime:
    """Return the value of that expression in a row that was just stored."""
    return max(stored.submitted_at, stored.not_before or stored.submitted_at)
