"""Groups of steps: one statement writes what stands, and a lost claim concerns one command."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection, transaction
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.lifecycle import LostClaim, Step, worker_moves
from commands.models import Command
from conftest import ClearDTC, make_vehicle, mark_seen, row, submit
from vehicles.connectors.base import Exchange

MOVES: dict[str, Callable[[Command], Step]] = {
    "respond": lambda c: lifecycle.respond.plan(c, {"n": 1}),
    "complete": lambda c: lifecycle.complete.plan(c, {"n": 2}),
    "fail": lambda c: lifecycle.fail.plan(c, "vehicle_refused", "No."),
    "time_out": lambda c: lifecycle.time_out.plan(c, "Silence."),
    "cancel_running": lifecycle.cancel_running.plan,
}


def claimed(user: User, count: int) -> list[Command]:
    for number in range(count):
        submit(user, make_vehicle(number), ClearDTC)
    mark_seen()
    return lifecycle.claim(count)


def exchange() -> Exchange:
    started = datetime(2026, 11, 28, tzinfo=UTC)
    return Exchange("0x10", "ClearDiagnosticInformation", "14", None, None, "", 0, started, 1.5)


def stored(command: Command) -> dict[str, Any]:
    """Return all that a step may change, without the times and IDs of this command."""
    now = row(command)
    fields = model_to_dict(now, exclude=["command_id", "vehicle", "turn", "sent_route"])
    for name in ("started_at", "completed_at", "lease_expires_at", "claim_token", "sent_at"):
        fields[name] = getattr(now, name) is not None
    del fields["submitted_at"], fields["expires_at"]
    events = command.events.order_by("sequence_number").values("sequence_number", "kind", "payload")
    evidence = command.exchanges.values_list("request", "sequence_number", "started_at")
    return fields | {"events": list(events), "exchanges": list(evidence)}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("was_sent", [False, True], ids=["not sent", "sent"])
def test_the_statement_and_the_orm_store_the_same(
    operator: User, name: str, was_sent: bool
) -> None:
    one, other = claimed(operator, 2)
    for command in (one, other):
        if was_sent:
            lifecycle.mark_sent(command, ["P0420"])
        command.exchanges_to_keep.append(exchange())
    worker_moves._write([MOVES[name](one)])
    worker_moves._write_by_orm(MOVES[name](other))
    assert stored(one) == stored(other)
    assert len(stored(one)["exchanges"]) == 1
    hands = [
        (c.status, c.claim_token is None, c.last_sequence_number, c.exchanges_to_keep)
        for c in (one, other)
    ]
    assert hands[0] == hands[1]


def test_a_connection_lost_between_single_steps_concerns_one_of_them(operator: User) -> None:
    """A step that was written before must not be written again with the group."""
    group = [lifecycle.respond.plan(command, {"n": 1}) for command in claimed(operator, 2)]
    faults = iter([IntegrityError("one of them"), None, OperationalError("gone")])

    def fail(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if error := next(faults, None) if "event" in sql.lower() else None:
            raise error
        return execute(sql, *arguments)

    with connection.execute_wrapper(fail):
        first, second = lifecycle.write_group(group)
    assert first is None
    assert isinstance(second, OperationalError)
    assert [step.command.events.count() for step in group] == [3, 2]


FOREIGN: list[dict[str, Any]] = [
    {"claim_token": uuid.UUID(int=1)},
    {"last_sequence_number": 7},
    {"sent_at": datetime(2026, 11, 28, tzinfo=UTC)},
    {"status": "failed"},
]


@pytest.mark.parametrize("fields", FOREIGN, ids=lambda fields: next(iter(fields)))
def test_a_lost_claim_is_that_of_its_command_alone(operator: User, fields: dict[str, Any]) -> None:
    commands = claimed(operator, 3)
    lost = commands[1]
    Command.objects.filter(pk=lost.pk).update(**fields)
    lost.exchanges_to_keep.append(exchange())
    group = [lifecycle.complete.plan(command, {}) for command in commands]
    first, second, third = lifecycle.write_group(group)
    assert (first, third) == (None, None)
    assert isinstance(second, LostClaim)
    assert [row(command).status for command in commands[::2]] == ["completed", "completed"]
    assert lost.events.count() == 2
    assert lost.exchanges.count() == 0
    assert lost.exchanges_to_keep


@pytest.fixture
def refuses(transactional_db: None) -> Iterator[None]:
    """The database refuses the INSERT of one response, and no repetition helps."""
    with connection.cursor() as cursor:
        cursor.execute(REFUSE)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON commands_event")


REFUSE = """
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
  RAISE 'refused' USING ERRCODE = 'check_violation';
END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse BEFORE INSERT ON commands_event FOR EACH ROW
  WHEN (NEW.payload @> '{"response": {"is": "refused"}}') EXECUTE FUNCTION refuse();
"""


@pytest.mark.usefixtures("refuses")
def test_a_step_that_the_database_refuses_keeps_no_other_from_being_written(operator: User) -> None:
    commands = claimed(operator, 3)
    responses = [{"is": "good"}, {"is": "refused"}, {"is": "good"}]
    group = [lifecycle.respond.plan(*pair) for pair in zip(commands, responses, strict=True)]
    first, second, third = lifecycle.write_group(group)
    assert (first, third) == (None, None)
    assert isinstance(second, IntegrityError)
    assert [command.events.count() for command in commands] == [3, 2, 3]


def test_a_group_is_one_statement(operator: User) -> None:
    commands = claimed(operator, 20)
    with CaptureQueriesContext(connection) as asked:
        lifecycle.write_group([lifecycle.respond.plan(command, {}) for command in commands])
    assert len(asked) == 1
    with CaptureQueriesContext(connection) as asked:
        lifecycle.write_group([lifecycle.complete.plan(command, {}) for command in commands])
    assert len(asked) == 2  # and the look for the next commands of these vehicles
    assert {row(command).status for command in commands} == {"completed"}


@pytest.mark.embedded
def test_a_group_is_written_in_either_mode(operator: User) -> None:
    commands = claimed(operator, 3)
    group = [lifecycle.complete.plan(command, {}) for command in commands]
    assert lifecycle.write_group(group) == [None] * 3
    assert {row(command).status for command in commands} == {"completed"}


def test_a_group_is_published_after_the_commit_of_the_transaction_around_it(operator: User) -> None:
    (command,) = claimed(operator, 1)
    with transaction.atomic():
        lifecycle.respond(command, {})
        assert len(connection.run_on_commit) == 2
