"""The statements of a claim, whose SQL is made once: of few commands each is claimed alone."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from psycopg.types.json import Jsonb

from commands import events
from commands.database.compiled import Compiled, columns, loaded
from commands.lifecycle import writing
from commands.models import Command, CommandQuerySet, Status
from vehicles.connectors import CONNECTORS
from vehicles.models import Ecu, Vehicle

Connectors = frozenset[str]


# --- Ready commands


@cache
def ready(connectors: Connectors) -> Compiled:
    """Return the query for the first command that is ready, for these connectors."""
    return Compiled(lambda: _ready_for(connectors).values_list("pk")[:1])


@cache
def page(connectors: Connectors, size: int, without_suspects: bool) -> Compiled:
    """Return the query that locks the first so many ready commands: their IDs and vehicles."""

    def make() -> Any:
        commands = _ready_for(connectors)
        commands = commands.unsuspected() if without_suspects else commands
        return commands.select_for_update(skip_locked=True).values_list("pk", "vehicle_id")[:size]

    return Compiled(make)


def _ready_for(connectors: Connectors) -> CommandQuerySet:
    """Return the ready commands. A worker of some connectors looks through those of others."""
    commands = Command.objects.ready()
    if connectors == set(CONNECTORS):
        return commands
    vehicles = Vehicle.objects.order_by().filter(connector__in=connectors)
    return commands.filter(vehicle__in=vehicles.values("pk"))


# --- Commands that may run


def _may_run(ids: list[uuid.UUID]) -> Any:
    of_vehicle = [f"vehicle__{name}" for name in columns(Vehicle)]
    rows = Command.objects.with_may_run().filter(pk__among=ids).order_by("turn", "command_id")
    return rows.values_list("may_run", *columns(Command), *of_vehicle)


_locked = Compiled(_may_run, list)


def runnable(ids: Collection[uuid.UUID]) -> list[Command]:
    """Return those of the locked commands that may run now, by turn."""
    return [_command(row) for may_run, *row in _locked.rows([*ids]) if may_run] if ids else []


def _command(row: list[Any]) -> Command:
    count = len(columns(Command))
    command = loaded(Command, row[:count])
    command.vehicle = loaded(Vehicle, row[count:])
    return command


_ecus = Compiled(
    lambda ids: (
        Ecu.objects.filter(vehicle__pk__among=ids).order_by("number").values_list(*columns(Ecu))
    ),
    list,
)


def read_ecus(commands: Collection[Command]) -> None:
    """Read the ECUs for the connector, which may not ask the database."""
    found = defaultdict(list)
    for row in _ecus.rows([command.vehicle_id for command in commands]):
        ecu = loaded(Ecu, row)
        found[ecu.vehicle_id].append(ecu)
    for command in commands:
        command.vehicle.configured_ecus = found[command.vehicle_id]


# --- The claim

# The rows are locked, so nobody else moves them.
ASSIGN = """
    WITH claimed AS (
        UPDATE commands_command SET
            status = 'in_progress',
            last_sequence_number = last_sequence_number + 1,
            is_ready = false,
            claim_token = %s,
            claim_sequence_number = last_sequence_number + 1,
            lease_expires_at = statement_timestamp() + %s,
            started_at = statement_timestamp(),
            sent_at = NULL
        WHERE command_id = ANY(%s)
        RETURNING command_id, last_sequence_number
    )
    INSERT INTO commands_event (command_id, sequence_number, kind, payload)
    SELECT command_id, last_sequence_number, %s, %s FROM claimed
    RETURNING command_id, id, created_at
"""


def assign(commands: list[Command]) -> None:
    """Give these locked, pending commands to the caller, under one claim token."""
    token = uuid.uuid4()
    write = _by_one_statement if connection.vendor == "postgresql" else _by_orm
    write(commands, token)
    for command in commands:
        command.claim_token, command.sent_at = token, None


def _by_one_statement(commands: list[Command], token: uuid.UUID) -> None:
    entry, ids = events.status(Status.IN_PROGRESS), [command.pk for command in commands]
    values: list[Any] = [token, _lease(), ids, str(entry.kind), Jsonb(entry.payload)]
    with connection.cursor() as cursor:
        cursor.execute(ASSIGN, values)
        stored = {command_id: (pk, at) for command_id, pk, at in cursor.fetchall()}
    log = []
    for command in commands:
        command.status = Status.IN_PROGRESS
        command.last_sequence_number += 1
        event = writing.event_of(command, command.last_sequence_number, entry)
        event.pk, event.created_at = stored[command.pk]
        log.append(event)
    writing.announce(log)


def _by_orm(commands: list[Command], token: uuid.UUID) -> None:
    writing.move_pending(
        commands,
        events.status(Status.IN_PROGRESS),
        claim_token=token,
        claim_sequence_number=F("last_sequence_number") + 1,
        lease_expires_at=lease_end(),
        started_at=Now(),
        sent_at=None,
    )


def _lease() -> timedelta:
    return timedelta(seconds=settings.COMMAND_LEASE_SECONDS)


def lease_end() -> Any:
    return Now() + _lease()
