"""The exchanges with a vehicle are kept once each, whatever becomes of the worker's writes."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from commands import lifecycle
from commands.database.threads import in_thread
from commands.models import Command
from commands.worker.execution import Execution
from commands.worker.writer import Writer
from conftest import ClearDTC, ScriptedConnector, announce, claim_one, row, submit
from vehicles.connectors.base import Attempt, Exchange, Response, TargetVehicle
from vehicles.models import Vehicle

STARTED = datetime(2026, 11, 28, tzinfo=UTC)


def exchange(request: str, seconds: int = 0) -> Exchange:
    return Exchange(
        ecu_address="0x10",
        service="ReadDTCInformation",
        request=request,
        response=None,
        nrc=None,
        nrc_name="",
        pending_count=0,
        started_at=STARTED + timedelta(seconds=seconds),
        duration_ms=1.0,
    )


class Recording(ScriptedConnector):
    """A connector whose one exchange clears trouble codes."""

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        attempt.record(exchange("14FFFFFF"))
        yield Response({"done": True}, is_final=True)


@pytest.fixture
def clear(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle, ClearDTC)


def kept(command: Command) -> list[str]:
    return [row.request for row in command.exchanges.all()]


def claimed_twice() -> tuple[Command, Command]:
    """Return a claimed command, and the same in the hand of a worker that got no answer."""
    claimed, in_hand = claim_one(), Command.objects.select_related("vehicle").get()
    for command in (claimed, in_hand):
        command.exchanges_to_keep.append(exchange("1902FF"))
    return claimed, in_hand


def test_an_exchange_is_kept_once_if_no_answer_came_to_the_commit_of_a_response(
    clear: Command,
) -> None:
    claimed, in_hand = claimed_twice()
    lifecycle.respond(claimed, {"n": 1})
    lifecycle.write_once(lifecycle.respond, in_hand, {"n": 1})
    lifecycle.complete(in_hand, {"n": 2})
    assert kept(clear) == ["1902FF"]


def test_an_exchange_is_kept_once_if_no_answer_came_to_the_commit_of_the_end(
    clear: Command,
) -> None:
    claimed, in_hand = claimed_twice()
    lifecycle.complete(claimed, {"n": 1})
    in_hand.exchanges_to_keep.append(exchange("3E80", seconds=1))
    with pytest.raises(lifecycle.LostClaim):
        lifecycle.write_once(lifecycle.complete, in_hand, {"n": 1})
    lifecycle.keep_exchanges(in_hand)
    assert kept(clear) == ["1902FF", "3E80"]


def test_the_exchanges_of_a_sent_command_are_kept_when_its_worker_shuts_down(
    clear: Command,
) -> None:
    Vehicle.objects.update(connector="doip")
    claimed, in_hand = claimed_twice()
    lifecycle.mark_sent(claimed)
    in_hand.refresh_from_db()
    in_hand.exchanges_to_keep[:] = claimed.exchanges_to_keep[:] = [exchange("14FFFFFF", 1)]
    lifecycle.release(claimed)
    with pytest.raises(lifecycle.LostClaim):
        lifecycle.write_once(lifecycle.release, in_hand)
    lifecycle.keep_exchanges(in_hand)
    assert kept(clear) == ["1902FF", "14FFFFFF"]


def test_exchanges_are_kept_in_the_order_in_which_they_began(clear: Command) -> None:
    claimed = claim_one()
    claimed.exchanges_to_keep += [exchange("3E80", seconds=2), exchange("31010203")]
    lifecycle.respond(claimed, {"n": 1})
    assert kept(clear) == ["31010203", "3E80"]


@pytest.fixture
def refuses_responses(transactional_db: None) -> Iterator[None]:
    """The database refuses the INSERT of a response, and no repetition helps."""
    with connection.cursor() as cursor:
        cursor.execute(REFUSE_RESPONSES)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse_responses ON commands_event")


REFUSE_RESPONSES = """
CREATE OR REPLACE FUNCTION refuse_responses() RETURNS trigger AS $$ BEGIN
  RAISE 'refused' USING ERRCODE = 'check_violation';
END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse_responses BEFORE INSERT ON commands_event FOR EACH ROW
  WHEN (NEW.kind = 'response') EXECUTE FUNCTION refuse_responses();
"""


@pytest.mark.usefixtures("refuses_responses")
async def test_an_exchange_is_kept_if_its_response_cannot_be_stored(clear: Command) -> None:
    claimed = await in_thread(claim_one)
    lease_ends = asyncio.get_running_loop().time() + 1000
    await Execution(claimed, Recording(), lease_ends, Writer()).run()
    assert await in_thread(kept, clear) == ["14FFFFFF"]
    assert (await in_thread(row, clear)).status == "in_progress"
