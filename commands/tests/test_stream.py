"""No subscriber misses, repeats or reorders an event, whenever it connects."""

import pytest
from django.contrib.auth.models import User

from commands.models import Command
from commands.threads import in_thread
from conftest import drain, follow, in_order, log_of, submit, token_of
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


async def test_before_the_command_runs(operator: User, command: Command) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        first = await stream.frame()
        await drain()
        frames, code = await stream.rest()
    log = await in_thread(log_of, operator, command)
    assert [first, *frames] == log
    assert in_order(log) == list(range(1, len(log) + 1))
    assert (log[-1]["status"], code) == ("completed", 1000)


async def test_after_it_ended(operator: User, command: Command) -> None:
    await drain()
    async with follow(command.pk, token_of(operator)) as stream:
        frames, code = await stream.rest()
    assert frames == await in_thread(log_of, operator, command)
    assert code == 1000
