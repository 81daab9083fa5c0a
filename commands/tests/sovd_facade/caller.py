"""A caller of the façade, on the event loop of a test."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from django.contrib.auth.models import User
from django.test import AsyncClient

from commands.database.threads import in_thread
from commands.models import Command, Status
from commands.tests.worker.background import working
from conftest import mark_seen, token_of, until, worker_of
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle


class Caller:
    """A user with a token, who calls the resources of one vehicle."""

    def __init__(self, user: User | None, vehicle: Vehicle) -> None:
        self._headers = {"Authorization": f"Bearer {token_of(user)}"} if user else {}
        self._base = f"/sovd/{vehicle.vin}/v1"
        self.client = AsyncClient()

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        address = path if path.startswith("/sovd/") else f"{self._base}{path}"
        said = "" if body is None else json.dumps(body)
        return await self.client.generic(
            method,
            address,
            said,
            content_type="application/json",
            headers=self._headers | (headers or {}),
        )

    async def get(self, path: str, **options: Any) -> Any:
        return await self.call("GET", path, **options)

    async def delete(self, path: str, **options: Any) -> Any:
        return await self.call("DELETE", path, **options)

    async def put(self, path: str, body: Any, **options: Any) -> Any:
        return await self.call("PUT", path, body, **options)

    async def post(self, path: str, body: Any, **options: Any) -> Any:
        return await self.call("POST", path, body, **options)


@asynccontextmanager
async def at_work(connector: Any = None) -> AsyncIterator[None]:
    """Let a worker run, which the vehicle of the test answers at once."""
    await in_thread(mark_seen)
    async with working(worker_of(connector or MockConnector())):
        yield


async def pending() -> Command:
    """Wait for the one pending command, and return it."""

    def find() -> Command | None:
        return Command.objects.filter(status=Status.PENDING).first()

    await until(lambda: in_thread(find))
    found = await in_thread(find)
    assert found
    return found
