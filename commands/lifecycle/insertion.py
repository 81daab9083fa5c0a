"""The rows of a submission. Postgres writes those of one command by one statement.

Django's way takes a round trip and most of a millisecond for each table, and works for many
commands and for SQLite. A test holds both to the same rows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Greatest, Now
from django.utils import timezone
from psycopg.types.json import Jsonb

from commands import events
from commands.lifecycle import writing
from commands.models import AuditEntry, Batch, Command, Event, Status
from vehicles.models import Vehicle

FIRST = events.status(Status.PENDING)
# The vehicle is held until the commit, and its retirement waits for that; one that has committed
# meanwhile is seen here. What a campaign has planned is written all the same.
COMMAND = """
    WITH vehicle AS (
        SELECT vehicle_id FROM vehicles_vehicle
        WHERE vehicle_id = %s AND (retired_at IS NULL OR %s) FOR KEY SHARE
    ), command AS (
        INSERT INTO commands_command (
            command_id, vehicle_id, batch_id, command_name, command_params, submitted_by_id, status,
            lock_id, campaign_id, priority, not_before, error_code, error_message,
            last_sequence_number, is_ready, expires_at, turn
        ) SELECT %s, vehicle_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, '', '', 1, %s,
            greatest(statement_timestamp(), %s) + %s, greatest(statement_timestamp(), %s) + %s
        FROM vehicle
        RETURNING submitted_at
    ), event AS (
        INSERT INTO commands_event (command_id, sequence_number, kind, payload)
        SELECT %s, 1, %s, %s FROM command
    )"""
# One INSERT, since the order of several in one statement is not defined.
AUDIT = """, audit AS (
        INSERT INTO commands_auditentry (username, user_id, action, subject, details, address)
        SELECT entry.* FROM command CROSS JOIN (VALUES {entries}) AS entry
    )"""
ENTRY = "(%s, %s::bigint, %s, %s, %s::jsonb, %s::inet)"
HOLD = """
    SELECT vin, retired_at FROM vehicles_vehicle WHERE vehicle_id = ANY(%s)
    ORDER BY vehicle_id FOR KEY SHARE
"""
RESULT = "SELECT submitted_at FROM command"


class VehicleRetired(Exception):
    """Error for a command to a vehicle that was retired a moment ago."""

    def __init__(self, vin: str) -> None:
        super().__init__(vin)
        self.vin = vin


def insert(
    commands: list[Command],
    expires: timedelta,
    turns: Sequence[timedelta],
    entries: Sequence[AuditEntry],
) -> list[Event]:
    """Write these new commands, with their first events and audit entries. Return the events.

    Raise VehicleRetired, and then nothing is written.
    """
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
        *(command.vehicle_id, command.campaign_id is not None),
        *(command.pk, command.batch_id, command.command_name),
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
        written = cursor.fetchone()
    if written is None:
        raise _why_not_written(command)
    (command.submitted_at,) = written


def _why_not_written(command: Command) -> Exception:
    vehicle = Vehicle.objects.filter(pk=command.vehicle_id).first()
    return VehicleRetired(vehicle.vin) if vehicle else IntegrityError("The vehicle was deleted.")


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
        if not commands[0].campaign_id:
            _hold_in_use([command.vehicle_id for command in commands])
        Command.objects.bulk_create(commands)
        Event.objects.bulk_create(writing.event_of(command, 1, FIRST) for command in commands)
        AuditEntry.objects.bulk_create(entries)


def _hold_in_use(vehicle_ids: Sequence[UUID]) -> None:
    """Let nobody retire these vehicles until the commit. Raise VehicleRetired."""
    if connection.vendor != "postgresql":  # there is one writer at a time
        retired = Vehicle.objects.filter(pk__in=vehicle_ids).exclude(retired_at=None)
        found = list(retired.values_list("vin", flat=True))
    else:
        with connection.cursor() as cursor:
            cursor.execute(HOLD, [list(vehicle_ids)])
            found = [vin for vin, retired_at in cursor.fetchall() if retired_at]
    if found:
        raise VehicleRetired(found[0])


def _is_due(command: Command) -> bool:
    return command.not_before is None or command.not_before <= timezone.now()


def start_of(not_before: datetime | None) -> Any:
    """Return the expression for the time from which the lifetime of a new row counts."""
    return Greatest(Now(), not_before) if not_before else Now()


def known_start(stored: Command | Batch) -> datetime:
    """Return the value of that expression in a row that was just stored."""
    return max(stored.submitted_at, stored.not_before or stored.submitted_at)
