"""What vehicles were really asked, for whoever has to prove it afterwards."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from django.conf import settings

from vehicles.connector import Answer, Connector, TargetVehicle


class Journal:
    """A connector that passes on what another one answers, and writes down what that is asked.

    One file a process, `<pid>.jsonl`, a line on disk before the vehicle does anything.
    """

    def __init__(self, connector: Connector, directory: Path) -> None:
        self._connector = connector
        self._path = directory / f"{os.getpid()}.jsonl"

    async def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        asked = {"vin": vehicle.vin, "command_name": command_name, "command_params": command_params}
        await asyncio.to_thread(self._write, json.dumps(asked))
        answers = cast(Any, self._connector.execute(vehicle, command_name, command_params))
        async with aclosing(answers):
            async for answer in answers:
                yield answer

    def _write(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())


def journalled(connector: Connector) -> Connector:
    """With a journal, if the setting says where."""
    directory = settings.VEHICLE_JOURNAL_DIR
    return Journal(connector, Path(directory)) if directory else connector
