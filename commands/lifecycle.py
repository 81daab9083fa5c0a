"""The life of a command: one function per move, and nothing else writes `status`.

             submit            claim               complete
  (POST) ──▶ pending ────────▶ in_progress ───────▶ completed
             │ │   ▲           │     │  │
             │ │   └─ release ─┘     │  ├─────────▶ failed       (fail; release, if it may not be
             │ │                     │  │                         repeated, or never ends well)
             │ └─ cancel ─▶ cancelled ◀─┤           (cancel_running)
             └─ expire ─▶ expired       └─────────▶ timed_out    (time_out)

A move is one guarded UPDATE: the row must still be what the `Command` in hand says (status, claim
token, whether it was sent, last sequence number). The events that tell of it are in the same
transaction, and the doorbell rings after the commit. So a worker that lost its claim can write
nothing, and of two who end a command the second is told.
"""

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from commands import events, failpoints, log_lines, metrics
from commands.catalogue import is_safe_to_repeat
from commands.doorbell import WORKERS, bell
from commands.models import (
    MOST_LOST_WORKERS,
    TERMINAL,
    Command,
    CommandQuerySet,
    ErrorCode,
    Event,
    IdempotencyKey,
    Kind,
    Status,
)
from vehicles.models import Vehicle

MOVES = {
    Status.PENDING: {Status.IN_PROGRESS, Status.CANCELLED, Status.EXPIRED},
    Status.IN_PROGRESS: TERMINAL - {Status.EXPIRED} | {Status.PENDING},
}
logger = logging.getLogger(__name__)

ALWAYS = Q()
UNCLAIMED = {"claim_token": None, "lease_expires_at": None}


class LostClaim(Exception):
    """The command is no longer as the writer knows it: somebody else moved it."""


class AlreadyEnded(Exception):
    """The command is in a terminal state, which never changes."""


# --- Moves


def submit(
    user: User,
    vehicle: Vehicle,
    command_name: str,
    params: dict[str, Any],
    key: IdempotencyKey | None = None,
) -> Command:
    """Raises IntegrityError if another command has this key: of two at once one is made."""
    command = Command(
        vehicle=vehicle, command_name=command_name, command_params=params, submitted_by=user
    )
    submit_many([command], key)
    return command


def submit_many(commands: list[Command], key: IdempotencyKey | None = None) -> None:
    """New ones: all of them or none. The key becomes the first one's."""
    expires = timedelta(seconds=settings.COMMAND_EXPIRES_SECONDS)
    for command in commands:
        command.expires_at, command.last_sequence_number = Now() + expires, 1
    with transaction.atomic(savepoint=False):  # all or nothing, also within what a caller adds
        Command.objects.bulk_create(commands)
        for command in commands:
            command.expires_at = command.submitted_at + expires  # as stored: one Now() a statement
        first = [_event(command, 1, events.status(Status.PENDING)) for command in commands]
        _keep(first)
        if key:
            key.command = commands[0]
            key.save(force_insert=True)
        _ring_workers("command.pending")  # alone: no stream can have waited for a first event
        transaction.on_commit(lambda: _tell(first), robust=True)


def claim(limit: int, has_suspect: bool = False) -> list[Command]:
    """Take up to `limit` commands, each the first in line of its vehicle, under one token.

    One suspect at a time: `has_suspect` says that the claimer has one already.
    """
    try:
        with transaction.atomic():
            queue = Command.objects.claimable().select_related("vehicle")
            queue = queue.unsuspected() if has_suspect else queue
            rows = queue.select_for_update(skip_locked=True, of=("self",))[:limit]
            suspects = [command for command in rows if command.is_suspect]
            commands = [command for command in rows if command not in suspects[1:]]
            if commands:
                _take(commands)
            return commands
    except IntegrityError as error:  # another worker just claimed for one of these vehicles
        logger.info("A claim was lost to another worker (%s)", str(error).splitlines()[0])
        return []


def _take(commands: list[Command]) -> None:
    token = uuid.uuid4()
    _move_pending(
        commands,
        Status.IN_PROGRESS,
        claim_token=token,
        lease_expires_at=_lease_end(),
        started_at=Now(),
        sent_at=None,
    )
    for command in commands:
        command.claim_token, command.sent_at = token, None


def mark_sent(command: Command) -> None:
    """From now on the vehicle may have been asked. Written before what must not be repeated.

    Written twice it says the same: whoever got no answer to the COMMIT may try again.
    """
    if not _ours(command).update(sent_at=Now()):
        raise LostClaim(command)
    command.sent_at = timezone.now()


def respond(command: Command, response: dict[str, Any]) -> None:
    _write(command, [events.response(response, is_final=False)])


def complete(command: Command, response: dict[str, Any]) -> None:
    """The vehicle's last answer and the end that it brings."""
    answer = events.response(response, is_final=True)
    _move(command, Status.COMPLETED, [answer, events.status(Status.COMPLETED)])


def fail(command: Command, code: str, message: str) -> None:
    _end_with_error(command, Status.FAILED, code, message)


def time_out(command: Command, message: str) -> None:
    _end_with_error(command, Status.TIMED_OUT, ErrorCode.VEHICLE_TIMEOUT, message)


def expire(command: Command) -> None:
    was_started = command.last_sequence_number > 1
    what = "was started but not carried out to its end" if was_started else "was not sent"
    message = (
        "The command expired before a worker could send it, because the vehicle was not connected "
        f"or was busy. It {what}. Submit it again when the vehicle is connected."
    )
    _end_with_error(command, Status.EXPIRED, ErrorCode.EXPIRED, message)


def cancel(command: Command) -> bool:
    """Cancel what is pending (True) or ask what is running to stop (False).

    Raises AlreadyEnded. `command` need not be fresh: the row decides.
    """
    while not command.has_ended:
        if command.status == Status.PENDING:
            try:
                _move(command, Status.CANCELLED, [events.status(Status.CANCELLED)])
            except LostClaim:
                pass
            else:
                return True
        elif _ask_to_stop(command):
            return False
        command.refresh_from_db()
    raise AlreadyEnded(command)


def _ask_to_stop(command: Command) -> bool:
    running = Command.objects.filter(pk=command.pk, status=Status.IN_PROGRESS)
    with transaction.atomic():
        _ring_workers("command.cancel")
        return bool(running.update(cancel_requested_at=Now()))


def cancel_many(commands: CommandQuerySet) -> tuple[int, int]:
    """`cancel` for all of these: how many were cancelled, and how many were asked to stop."""
    with transaction.atomic():
        # All locked before one is written, in the order of `renew`: nobody waits in a circle, and
        # what a worker claims meanwhile is either cancelled here or seen as running.
        locked = list(commands.still_open())
        pending = [command for command in locked if command.status == Status.PENDING]
        running = [command.pk for command in locked if command.status == Status.IN_PROGRESS]
        if pending:
            _move_pending(pending, Status.CANCELLED, completed_at=Now())
        if running:
            Command.objects.filter(pk__in=running).update(cancel_requested_at=Now())
            _ring_workers("command.cancel")
    return len(pending), len(running)


def cancel_running(command: Command) -> None:
    _move(command, Status.CANCELLED, [events.status(Status.CANCELLED)])


def release(command: Command) -> None:
    """Its worker gives it up: what may have been carried out and must not be repeated ends here;
    anything else goes back into the line."""
    if _may_be_repeated(command):
        _give_back(command)
    else:
        _end_as_lost(command)


def release_lapsed(command: Command) -> None:
    """The same when its worker is gone, unless that one renewed the lease in the last moment.

    And what took its workers down with it goes to no other one.
    """
    lapsed = Q(lease_expires_at__lte=Now())
    lost = command.lost_workers + 1
    if not _may_be_repeated(command):
        _end_as_lost(command, lapsed)
    elif lost < MOST_LOST_WORKERS:
        _give_back(command, lapsed, lost_workers=lost)
    else:
        message = (
            f"{lost} workers were lost while they had it, so it is given to no other. "
            "Look into their logs before you send it again."
        )
        _end_with_error(
            command, Status.FAILED, ErrorCode.WORKER_LOST, message, lapsed, lost_workers=lost
        )
    metrics.leases_taken_over.inc()


def _may_be_repeated(command: Command) -> bool:
    return command.sent_at is None or is_safe_to_repeat(command.command_name)


def _end_as_lost(command: Command, guard: Q = ALWAYS) -> None:
    message = (
        "The worker was lost after it had sent the command: it may or may not have been "
        "carried out, and was not repeated. Read the vehicle's state before sending it again."
    )
    _end_with_error(command, Status.FAILED, ErrorCode.WORKER_LOST, message, guard)


def _give_back(command: Command, guard: Q = ALWAYS, **changes: Any) -> None:
    """To the line, unless somebody asked it to stop: the row knows, the copy in hand may not."""
    is_wanted = Q(cancel_requested_at=None)
    with suppress(LostClaim):
        _move(command, Status.CANCELLED, [events.status(Status.CANCELLED)], guard & ~is_wanted)
        return
    pending = [events.status(Status.PENDING)]
    _move(command, Status.PENDING, pending, guard & is_wanted, started_at=None, **changes)
    _ring_workers("command.pending")


# --- Leases and sweeps


def renew(commands: list[Command]) -> None:
    with transaction.atomic():
        rows = _held(commands).order_by("pk").select_for_update()
        Command.objects.filter(pk__in=rows.values("pk")).update(lease_expires_at=_lease_end())


def held(commands: list[Command]) -> dict[tuple[uuid.UUID, uuid.UUID], bool]:
    """Which of these claims still stand, by (command id, claim token), and who asked to stop."""
    rows = _held(commands).values_list("pk", "claim_token", "cancel_requested_at")
    return {(pk, token): asked is not None for pk, token, asked in rows}


def sweep(limit: int = 100) -> None:
    """End what expired, and release what its worker no longer renews."""
    for command in Command.objects.overdue()[:limit]:
        _unless_moved(expire, command)
    for command in Command.objects.lapsed()[:limit]:
        _unless_moved(release_lapsed, command)


def _unless_moved(move: Callable[[Command], None], command: Command) -> None:
    try:
        move(command)
    except LostClaim:
        pass  # another worker's sweep was faster, or the owner came back
    except OperationalError as error:
        logger.warning("%s has to wait for the next sweep (%s)", command, str(error).strip())


def _held(commands: list[Command]) -> Any:
    return Command.objects.filter(
        pk__in=[command.pk for command in commands],
        claim_token__in={command.claim_token for command in commands},
        status=Status.IN_PROGRESS,
    )


def _lease_end() -> Any:
    return Now() + timedelta(seconds=settings.COMMAND_LEASE_SECONDS)


# --- How a move is written


def write_once(move: Callable[..., None], command: Command, *arguments: Any) -> None:
    """Write what may have been written already, by a COMMIT of which no answer came.

    Nobody but the holder of the claim can have moved the log on.
    """
    mine = Command.objects.filter(pk=command.pk, claim_token=command.claim_token)
    try:
        move(command, *arguments)
    except LostClaim:
        last = mine.values_list("last_sequence_number", flat=True).first()
        if last is None or last <= command.last_sequence_number:
            raise
        command.last_sequence_number = last


def _end_with_error(
    command: Command, to: Status, code: str, message: str, guard: Q = ALWAYS, **changes: Any
) -> None:
    told = [events.error(to, code, message)]
    _move(command, to, told, guard, error_code=code, error_message=message, **changes)


def _move(
    command: Command,
    to: Status,
    told: list[tuple[Kind, dict[str, Any]]],
    guard: Q = ALWAYS,
    **changes: Any,
) -> None:
    if not command.has_ended and to not in MOVES[Status(command.status)]:
        raise ValueError(f"{command} cannot go from {command.status} to {to}")
    if to in TERMINAL:
        changes["completed_at"] = Now()
    _write(command, told, guard, status=to, **UNCLAIMED, **changes)
    command.status = to
    command.claim_token = None


def _move_pending(commands: list[Command], to: Status, **changes: Any) -> None:
    """`_move` for many that wait, with their rows locked."""
    moved = Command.objects.filter(
        pk__in=[command.pk for command in commands], status=Status.PENDING
    ).update(status=to, last_sequence_number=F("last_sequence_number") + 1, **changes)
    if moved != len(commands):
        raise IntegrityError("a command was moved twice")
    for command in commands:
        command.status = to
        command.last_sequence_number += 1
    _record(
        [_event(command, command.last_sequence_number, events.status(to)) for command in commands]
    )


def _write(
    command: Command,
    told: list[tuple[Kind, dict[str, Any]]],
    guard: Q = ALWAYS,
    **changes: Any,
) -> None:
    """The guarded UPDATE and its events, together. Raises LostClaim and then writes nothing."""
    last = command.last_sequence_number + len(told)
    with transaction.atomic():
        same = _still(command).filter(guard)
        if not same.update(last_sequence_number=last, **changes):
            raise LostClaim(command)
        _append(command, command.last_sequence_number + 1, told)
        failpoints.reached("before_commit")
    command.last_sequence_number = last


def _still(command: Command) -> Any:
    """The row, if it is still what we know of it."""
    return _ours(command).filter(sent_at__isnull=command.sent_at is None)


def _ours(command: Command) -> Any:
    if command.has_ended:
        raise AlreadyEnded(command)
    return Command.objects.filter(
        pk=command.pk,
        status=command.status,
        claim_token=command.claim_token,
        last_sequence_number=command.last_sequence_number,
    )


def _append(command: Command, number: int, told: list[tuple[Kind, dict[str, Any]]]) -> None:
    _record([_event(command, number + offset, what) for offset, what in enumerate(told)])


def _event(command: Command, number: int, told: tuple[Kind, dict[str, Any]]) -> Event:
    kind, payload = told
    return Event(command=command, sequence_number=number, kind=kind, payload=payload)


def _record(log: list[Event]) -> None:
    _keep(log)
    transaction.on_commit(lambda: _publish(log), robust=True)
    transaction.on_commit(lambda: _tell(log), robust=True)


def _keep(log: list[Event]) -> None:
    Event.objects.bulk_create(log)
    transaction.on_commit(lambda: failpoints.reached("after_commit"))


def _publish(log: list[Event]) -> None:
    for event in log:
        bell.ring(events.group_of(event.command_id), events.message_of(event))
    failpoints.reached("after_publish")


def _ring_workers(kind: str) -> None:
    transaction.on_commit(lambda: bell.ring(WORKERS, {"type": kind}), robust=True)


def _tell(log: list[Event]) -> None:
    for event in log:
        metrics.count(event)
        log_lines.log(event)
