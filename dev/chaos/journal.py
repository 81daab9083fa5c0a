"""A record of the requests that really reached vehicles, to be compared afterwards."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from commands.catalogue import is_safe_to_repeat
from dev.chaos.failpoints import Failpoints
from vehicles.connectors.base import Attempt, Connector, Response, TargetVehicle


class Journal:
    """A file of this process with one line for each request, on disk before it is sent."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / f"{os.getpid()}.jsonl"

    async def write(self, line: str) -> None:
        await asyncio.to_thread(self._write, line)

    def _write(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())


class WatchedConnector:
    """A connector that passes on the responses of another one, and journals its requests."""

    def __init__(
        self, connector: Connector, journal: Journal | None, failpoints: Failpoints
    ) -> None:
        self._connector = connector
        self._journal = journal
        self._failpoints = failpoints

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        asked = {"vin": vehicle.vin, "command_name": command_name, "command_params": command_params}
        watched = cast(Attempt, WatchedAttempt(attempt, self, json.dumps(asked)))
        if is_safe_to_repeat(command_name):
            await self.about_to_send(json.dumps(asked))
        responses = cast(
            Any, self._connector.execute(vehicle, command_name, command_params, watched)
        )
        async with aclosing(responses):
            async for response in responses:
                self._failpoints.reached("after_send")
                yield response

    async def read_back(self, *arguments: Any) -> list[Response] | None:
        self._failpoints.reached("before_read_back")
        return await self._connector.read_back(*arguments)

    async def about_to_send(self, line: str) -> None:
        self._failpoints.reached("before_send")
        if self._journal:
            await self._journal.write(line)


class WatchedAttempt:
    """An attempt that journals a request as soon as the product has marked it as sent."""

    def __init__(self, attempt: Attempt, connector: WatchedConnector, line: str) -> None:
        self._attempt = attempt
        self._connector = connector
        self._line = line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._attempt, name)

    async def about_to_send(self, before: list[str] | None = None) -> None:
        await self._attempt.about_to_send(before)
        await self._connector.about_to_send(self._line)
