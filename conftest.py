"""What the tests of all apps share: people, vehicles, and the public doors to the product."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from inspect import isawaitable
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User
from django.core.management.color import no_style
from django.db import connection, connections
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from commands import export, lifecycle
from commands.models import Command
from commands.threads import EXPORTS_AT_ONCE
from commands.worker import Worker
from sovd.asgi import application
from sovd.tests.live import live  # noqa: F401 - a fixture
from vehicles.mock_vehicle import MockVehicle
from vehicles.models import ConnectionStatus, Vehicle

WAIT_SECONDS = 30  # a deadline for what should come at once


COUNTED: list[str] = []


@pytest.fixture
def counts() -> list[str]:
    """What a test has counted: lines that are shown at the end of the run."""
    return COUNTED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in COUNTED:
        terminalreporter.write_line(f"counted: {line}")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Postgres drops no database in which a pool, or a process that was killed, has a session."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(autouse=True)
def all_export_places_are_free() -> None:
    """A response that an earlier test did not close gives its place back with the garbage."""
    if export._free._value < EXPORTS_AT_ONCE:
        gc.collect()


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Committed rows, visible to every thread, connection and process; gone after the test.

    In place of pytest-django's, which makes content types and permissions anew each time: that
    takes longer than most tests.
    """
    with django_db_blocker.unblock():
        yield
        connection.ops.execute_sql_flush(
            connection.ops.sql_flush(no_style(), tables_to_empty(), allow_cascade=True)
        )
        connections.close_all()


@cache
def tables_to_empty() -> list[str]:
    kept = {"django_content_type", "auth_permission"}
    return sorted(set(connection.introspection.django_table_names(only_existing=True)) - kept)


hashed = cache(make_password)  # once a run: it is slow by design


def make_user(name: str, *permissions: str, **fields: Any) -> User:
    user = User.objects.create(username=name, password=hashed("sovd-demo"), **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def operator(transactional_db: None) -> User:
    """Submits, and sees what they submitted."""
    return make_user("operator", "add_command", is_staff=True)


@pytest.fixture
def stranger(transactional_db: None) -> User:
    """Another operator, who must not know of the first one's commands."""
    return make_user("stranger", "add_command", is_staff=True)


@pytest.fixture
def viewer(transactional_db: None) -> User:
    """Sees everything and submits nothing."""
    return make_user("viewer", "view_command", "view_vehicle", is_staff=True)


@pytest.fixture
def vehicle(transactional_db: None) -> Vehicle:
    return make_vehicle()


def make_vehicle(number: int = 101, **fields: Any) -> Vehicle:
    fields = {"connection_status": ConnectionStatus.CONNECTED} | fields
    return Vehicle.objects.create(vin=f"1HGCM82623A{number:06}", make="Honda", **fields)


def token_of(user: User) -> str:
    return str(AccessToken.for_user(user))


def api(user: User | None) -> APIClient:
    client = APIClient()
    if user:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_of(user)}")
    return client


ReadDTC = {"command_name": "ReadDTC", "command_params": {"ecuAddress": "0x10"}}
ClearDTC = {"command_name": "ClearDTC", "command_params": {"ecuAddress": "0x10"}}


def submit(user: User, vehicle: Vehicle, body: dict[str, Any] = ReadDTC) -> Command:
    response = api(user).post("/api/v1/commands/", {"vehicle_id": str(vehicle.pk), **body})
    assert response.status_code == 201, response.content
    return Command.objects.get(pk=response.json()["command_id"])


def row(command: Command) -> Command:
    """As it is now."""
    found: Command = Command.objects.get(pk=command.pk)
    return found


def log_of(user: User, command: Command) -> list[dict[str, Any]]:
    response = api(user).get(f"/api/v1/commands/{command.pk}/events/")
    assert response.status_code == 200, response.content
    frames: list[dict[str, Any]] = response.json()["results"]
    return frames


async def drain(connector: Any = None) -> None:
    """What `manage.py runworker --drain` does, on the test's own event loop."""
    await Worker(connector or MockVehicle()).drain()


class Stream:
    """A WebSocket client of one command's stream."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self._communicator = communicator

    async def frame(self) -> dict[str, Any]:
        message = await self._communicator.receive_output(WAIT_SECONDS)
        assert message["type"] == "websocket.send", message
        frame: dict[str, Any] = json.loads(message["text"])
        return frame

    async def frames(self, count: int) -> list[dict[str, Any]]:
        return [await self.frame() for _ in range(count)]

    async def rest(self) -> tuple[list[dict[str, Any]], int]:
        """The frames up to the close, and its code."""
        frames = []
        while (message := await self._communicator.receive_output(WAIT_SECONDS))["type"] != (
            "websocket.close"
        ):
            frames.append(json.loads(message["text"]))
        return frames, message.get("code", 1000)

    async def nothing_for(self, seconds: float) -> bool:
        return bool(await self._communicator.receive_nothing(seconds))

    async def send(self, text: str | None = None, data: bytes | None = None) -> None:
        message = {"type": "websocket.receive", "text": text, "bytes": data}
        await self._communicator.send_input(message)


@asynccontextmanager
async def follow(
    command_id: Any,
    token: str | None,
    after: Any = None,
    headers: dict[str, str] | None = None,
    application: Any = application,
) -> AsyncIterator[Stream]:
    asked = {"token": token, "after": after}
    query = "&".join(f"{name}={value}" for name, value in asked.items() if value is not None)
    communicator = WebsocketCommunicator(
        application,
        f"/ws/responses/{command_id}?{query}",
        headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    )
    accepted, _ = await communicator.connect(WAIT_SECONDS)
    assert accepted
    try:
        yield Stream(communicator)
    finally:
        await communicator.disconnect(timeout=WAIT_SECONDS)


async def read_all(command: Command, user: User, after: Any = None) -> tuple[list[Any], int]:
    """What a subscriber receives up to the close, and the close code."""
    async with follow(command.pk, token_of(user), after) as stream:
        return await stream.rest()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for what happens in another task, thread or process."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not (await result if isawaitable(result := condition()) else result):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextmanager
def meanwhile(after: str, deed: Callable[[], Any]) -> Iterator[None]:
    """Somebody does this on another connection, after the first statement with `after`."""
    done = False

    def listen(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal done
        result = execute(sql, *arguments)
        if after in sql and not done:
            done = True
            with ThreadPoolExecutor(1) as thread:
                thread.submit(deed).result()
                thread.submit(connections.close_all).result()
        return result

    with connection.execute_wrapper(listen):
        yield
    assert done, f"there was no statement with {after}"


def in_order(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["sequence_number"] for frame in frames]


def claim_one() -> Command:
    """A claimed command whose worker then does what the test says."""
    Vehicle.objects.seen()
    (command,) = lifecycle.claim(1)
    return command
