"""A vehicle that responds when the test says, and the outcome of its commands."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from commands.database.threads import in_thread
from commands.models import Command
from conftest import ScriptedConnector, announce, row
from vehicles.connectors.base import Attempt, Response, TargetVehicle


class Bench(ScriptedConnector):
    """Connector of a vehicle that records its requests and responds when the test says."""

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers = answers or (Response({"done": True}, is_final=True),)
        self.asked: list[tuple[str, str]] = []
        self.running = 0
        self.most_at_once = 0
        self.go = asyncio.Event()

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        self.asked.append((vehicle.vin, command_name))
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.go.wait()
            for answer in self.answers:
                if isinstance(answer, Exception):
                    raise answer
                yield answer
        finally:
            self.running -= 1


async def has_status(command: Command, status: str) -> bool:
    return (await in_thread(row, command)).status == status


async def outcome(command: Command) -> tuple[str, str, str]:
    ended = await in_thread(row, command)
    return ended.status, ended.error_code, ended.error_message
