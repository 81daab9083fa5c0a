"""Limit on responses: a vehicle that exceeds it ends its command."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from commands.database.threads import in_thread
from commands.models import Command, Kind
from commands.worker.execution import Execution
from commands.worker.writer import Writer
from conftest import ClearDTC, ScriptedConnector, claim_one, row, submit
from vehicles.connectors.base import Attempt, Response, TargetVehicle
from vehicles.models import Vehicle


class Sends(ScriptedConnector):
    """A vehicle with so many responses, of so many characters each."""

    def __init__(self, responses: int, characters: int = 0) -> None:
        super().__init__()
        self._sent, self._text = responses, "x" * characters

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        for number in range(1, self._sent + 1):
            yield Response({"text": self._text}, is_final=number == self._sent)


class ReadsBack(ScriptedConnector):
    """A vehicle that stops answering, and can be read back with so many responses."""

    can_read_back = True

    def __init__(self, responses: int) -> None:
        super().__init__()
        self._sent = responses

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await attempt.about_to_send()
        yield Response({"number": 0}, is_final=False)

    async def read_back(self, *_: Any) -> Any:
        return [Response({"number": n}, is_final=n == self._sent) for n in range(1, self._sent + 1)]


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def unsafe_command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle, ClearDTC)


async def carried_out(command: Command, connector: Any) -> tuple[Command, int]:
    """Return the command as it ended, and the number of its responses."""
    lease_ends = asyncio.get_running_loop().time() + 1000
    await Execution(await in_thread(claim_one), connector, lease_ends, Writer()).run()
    responses = command.events.filter(kind=Kind.RESPONSE)
    return await in_thread(row, command), await in_thread(responses.count)


@pytest.mark.parametrize(("sent", "status", "stored"), [(3, "completed", 3), (4, "failed", 3)])
async def test_too_many_responses_end_a_command(
    command: Command, settings: Settings, sent: int, status: str, stored: int
) -> None:
    settings.COMMAND_MAX_RESPONSES = 3
    ended, responses = await carried_out(command, Sends(sent))
    assert (ended.status, responses) == (status, stored)
    if status == "failed":
        assert ended.error_code == "malformed_answer"
        assert "more than 3 responses" in ended.error_message


@pytest.mark.parametrize(
    ("vehicle_sends", "status", "stored"),
    [(Sends(3, 300), "completed", 3), (Sends(4, 300), "failed", 3), (Sends(1, 1_000), "failed", 0)],
)
async def test_too_large_responses_end_a_command(
    command: Command, settings: Settings, vehicle_sends: Sends, status: str, stored: int
) -> None:
    """The limit holds for the sum of all sizes."""
    settings.COMMAND_MAX_RESPONSE_BYTES = 1_000
    ended, responses = await carried_out(command, vehicle_sends)
    assert (ended.status, responses) == (status, stored)
    if status == "failed":
        assert ended.error_code == "malformed_answer"
        assert "more than 1000 bytes" in ended.error_message


@pytest.mark.parametrize(("sent", "status", "stored"), [(2, "completed", 3), (3, "failed", 1)])
async def test_the_responses_of_reading_back_count_too(
    unsafe_command: Command, settings: Settings, sent: int, status: str, stored: int
) -> None:
    settings.COMMAND_MAX_RESPONSES = 3
    ended, responses = await carried_out(unsafe_command, ReadsBack(sent))
    assert (ended.status, responses) == (status, stored)
    if status == "failed":
        assert ended.error_code == "outcome_unknown"
        assert "more than 3 responses" in ended.error_message
