"""Submission: the limit on pending commands, the order of claims, and the first event."""

from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from commands.lifecycle import insertion, locking, writing
from commands.models import AuditEntry, Command, Priority
from vehicles.models import Vehicle

TURN = timedelta(minutes=1)
BACKGROUND = timedelta(days=10_000)  # later than any command that is not of the background
MAX_TURNS = 1_000  # so many pending commands are counted for a submission, and no more
COUNT_SECONDS = 1.0  # between two counts of all pending commands of a user who has more


class TooManyPending(Exception):
    """Error for a submission beyond the limit on the pending commands of one user."""

    def __init__(self, pending: int, limit: int) -> None:
        super().__init__(
            f"{pending} of your commands are pending, and {limit} is the limit. "
            "Wait until some have ended, or cancel some."
        )


def submit(user: User, vehicle: Vehicle, command_name: str, params: dict[str, Any]) -> Command:
    """Store one command and its first event, and wake the workers. Raise TooManyPending."""
    command = Command(
        vehicle=vehicle, command_name=command_name, command_params=params, submitted_by=user
    )
    submit_many([command])
    return command


def submit_many(
    commands: list[Command],
    entries: Sequence[AuditEntry] = (),
    expires: timedelta | None = None,
) -> None:
    """Submit all of these commands of one user with their audit entries, or nothing.

    `expires`: after the submission, or after `not_before`. Raise TooManyPending or LockHeld.
    """
    expires = expires or timedelta(seconds=settings.COMMAND_EXPIRES_SECONDS)
    turns = _turns(commands)
    if not commands[0].campaign_id:  # those of a campaign wait for the end of a lock
        locking.note_locks(commands)
    first = insertion.insert(commands, expires, turns, entries)
    # No stream can wait for a first event, so it is not published.
    writing.wake_workers("command.pending")
    transaction.on_commit(lambda: writing.count_and_log(first), robust=True)


# --- The order of claims, and the limit


def _turns(commands: list[Command]) -> list[timedelta]:
    """Return how long after its submission each command has its turn. Raise TooManyPending.

    That is one minute for each pending command of the same user, of which MAX_TURNS are counted. So
    users take turns however many commands one of them submits, and no command waits for ever. A
    command of a campaign counts all pending commands, one of a batch those of no campaign, and a
    single command only the single ones: single commands go first. All of the background comes after
    all that is interactive. The limit does not count the commands of campaigns.
    """
    one = commands[0]
    pending, pending_of_none, single = _count_some(one.submitted_by_id)
    if not one.campaign_id:
        _check_limit(one.submitted_by_id, pending_of_none, len(commands))
    is_background = one.priority == Priority.BACKGROUND
    first = pending_of_none + 1 if one.batch_id or is_background else single
    first = pending + 1 if one.campaign_id else first
    later = BACKGROUND if is_background else timedelta()
    return [later + TURN * place for place in range(first, first + len(commands))]


# The condition and the order of the index `command_waiting_of_user`. Without the order, Postgres
# may hope to find as many rows soon by reading the table.
FEW = """
    SELECT count(*), count(*) FILTER (WHERE campaign_id IS NULL), count(*) FILTER (
        WHERE campaign_id IS NULL AND priority = 'interactive' AND batch_id IS NULL
    ) FROM (
        SELECT campaign_id, priority, batch_id FROM commands_command
        WHERE submitted_by_id = %s AND status LIKE '%%pending'
        ORDER BY submitted_by_id, campaign_id, priority, batch_id LIMIT %s
    ) AS few
"""
SOME = """(
    SELECT count(*) FROM (
        SELECT 1 FROM commands_command
        WHERE submitted_by_id = %s AND status LIKE '%%pending' AND campaign_id IS NULL {more}
        ORDER BY submitted_by_id, campaign_id, priority, batch_id LIMIT %s
    ) AS few
)"""
SINGLE = "AND priority = 'interactive' AND batch_id IS NULL"
MANY = f"SELECT {SOME.format(more='')}, {SOME.format(more=SINGLE)}"


def _count_some(user_id: int) -> tuple[int, int, int]:
    """Count pending commands of the user, up to MAX_TURNS of each kind.

    All, those of no campaign, and of these the single interactive ones.
    """
    with connection.cursor() as cursor:
        cursor.execute(FEW, [user_id, MAX_TURNS])
        pending, of_none, single = cursor.fetchone()
        if pending == MAX_TURNS:  # perhaps all of one kind
            cursor.execute(MANY, [user_id, MAX_TURNS] * 2)
            of_none, single = cursor.fetchone()
    return pending, of_none, single


# By user: when the last exact count was made, and the count with what was submitted since.
_counted: dict[int, tuple[float, int]] = {}


def _check_limit(user_id: int, pending: int, more: int) -> None:
    """Raise TooManyPending. From MAX_TURNS pending commands on, all are counted once a second."""
    limit = settings.PENDING_COMMANDS_PER_USER
    if pending >= MAX_TURNS:
        until, pending = _counted.get(user_id, (0.0, 0))
        if monotonic() >= until:
            all_pending = Command.objects.pending_of(user_id).count()
            until, pending = monotonic() + COUNT_SECONDS, all_pending
        _counted[user_id] = until, pending + (more if pending + more <= limit else 0)
    if pending + more > limit:
        raise TooManyPending(pending, limit)
