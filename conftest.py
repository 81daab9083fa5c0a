"""Fixtures for the tests of all apps: people, vehicles, and the public doors to the product."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from inspect import isawaitable
from threading import BoundedSemaphore
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.db.models.functions import Now
from django.test import Client
from rest_framework.test import APIClient

from commands import export, lifecycle
from commands.accounts import user_cache
from commands.accounts.tokens import AccessToken
from commands.database.threads import EXPORTS_AT_ONCE
from commands.models import Command
from commands.worker.worker import Worker
from sovd.asgi import application
from sovd.tests.live import live, product  # noqa: F401 - fixtures
from vehicles.connectors.base import Attempt, Connector, Probe, TargetVehicle
from vehicles.connectors.mock import CHANGES_THE_VEHICLE, MockConnector
from vehicles.models import ConnectionStatus, Vehicle

WAIT_SECONDS = 30  # a deadline for what should come at once


LONG = ("sovd", "sovd_client", "dev", "commands/tests/rights")


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that take long: one of them at the end would keep one core idle."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    """Let no garbage collection walk through the modules and tests, which stay to the end."""
    gc.freeze()


COUNTED: list[str] = []


@pytest.fixture
def counts() -> list[str]:
    """Lines of figures that tests have counted, shown at the end of the run."""
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
def all_export_places_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make new places: a response that an earlier test did not close may keep its own for long."""
    monkeypatch.setattr(export, "_free", BoundedSemaphore(EXPORTS_AT_ONCE))


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Committed rows, visible to every thread, connection and process; gone after the test.

    In place of pytest-django's, which makes content types and permissions anew each time, and
    truncates: for small tables a DELETE is twenty times as fast.
    """
    with django_db_blocker.unblock():
        yield
        empty_tables()
        connections.close_all()


def empty_tables() -> None:
    with connection.cursor() as cursor:
        for statement in statements_to_empty_tables():
            cursor.execute(statement)


@cache
def statements_to_empty_tables() -> list[str]:
    kept = {"django_content_type", "auth_permission", "django_migrations"}
    tables = sorted(set(connection.introspection.django_table_names(only_existing=True)) - kept)
    deletes = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]  # noqa: S608
    if connection.vendor != "postgresql":
        return ["PRAGMA foreign_keys = OFF", *deletes, "PRAGMA foreign_keys = ON"]
    # As a replica: without foreign keys, and without the trigger that keeps the audit.
    return [
        "SET session_replication_role = replica",
        "; ".join(deletes),
        TRUNCATE_LARGE_TABLES.format(tables=", ".join(tables)),
        "SET session_replication_role = DEFAULT",
    ]


# A DELETE leaves dead rows, the size of the indexes and the planner's statistics.
TRUNCATE_LARGE_TABLES = """
    DO $$ DECLARE names text; BEGIN
        SELECT string_agg(oid::regclass::text, ', ') INTO names FROM pg_class
        WHERE oid = ANY('{{{tables}}}'::regclass[])
            AND (reltuples >= 0 OR pg_relation_size(oid) > 262144);
        IF names IS NOT NULL THEN EXECUTE 'TRUNCATE ' || names || ' CASCADE'; END IF;
    END $$
"""


hashed = cache(make_password)  # once a run: hashing lets go of the database connection


def make_user(name: str, *permissions: str, **fields: Any) -> User:
    """Make a user without signals and `set`, which take three times as long."""
    user = User.objects.create(username=name, password=hashed("sovd-demo"), **fields)
    granted = Permission.objects.filter(codename__in=permissions)
    held = User.user_permissions.through
    held.objects.bulk_create(held(user=user, permission=each) for each in granted)
    return user


@pytest.fixture
def operator(transactional_db: None) -> User:
    """Submits, and sees what they submitted."""
    return make_user("operator", "add_command", "view_vehicle", is_staff=True)


@pytest.fixture
def stranger(transactional_db: None) -> User:
    """Another operator, who must not know of the first one's commands."""
    return make_user("stranger", "add_command", "view_vehicle", is_staff=True)


@pytest.fixture
def viewer(transactional_db: None) -> User:
    """Sees everything and submits nothing."""
    return make_user("viewer", "view_command", "view_vehicle", is_staff=True)


@pytest.fixture
def vehicle(transactional_db: None) -> Vehicle:
    return make_vehicle()


def make_vehicle(number: int = 101, **fields: Any) -> Vehicle:
    fields = {"connection_status": ConnectionStatus.CONNECTED} | fields
    is_online = fields["connection_status"] == ConnectionStatus.CONNECTED
    fields.setdefault("connector_settings", {"online": is_online})
    return Vehicle.objects.create(vin=f"1HGCM82623A{number:06}", make="Honda", **fields)


def access_token(user: User) -> AccessToken:
    """Return a token of a new login, also for tests that run on an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return AccessToken.for_user(user)
    with ThreadPoolExecutor(1) as thread:
        token = thread.submit(AccessToken.for_user, user).result()
        thread.submit(connections.close_all).result()
    return token


def token_of(user: User) -> str:
    return str(access_token(user))


def api(user: User | None) -> APIClient:
    client = APIClient()
    if user:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_of(user)}")
    return client


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[User], APIClient]:
    """Return clients whose user and login a process knows for the rest of the test."""
    monkeypatch.setattr(user_cache, "KEPT_SECONDS", 3_600.0)

    def known_client(user: User) -> APIClient:
        client = api(user)
        assert client.get("/api/v1/command-types/").status_code == 200
        return client

    return known_client


def browser(user: User, **options: Any) -> Client:
    """Return a client with a session."""
    client = Client(**options)
    client.force_login(user)
    return client


ReadDTC = {"command_name": "ReadDTC", "command_params": {"ecuAddress": "0x10"}}
ClearDTC = {"command_name": "ClearDTC", "command_params": {"ecuAddress": "0x10"}}


def submit(user: User, vehicle: Vehicle, body: dict[str, Any] = ReadDTC) -> Command:
    response = api(user).post("/api/v1/commands/", {"vehicle_id": str(vehicle.pk), **body})
    assert response.status_code == 201, response.content
    return Command.objects.get(pk=response.json()["command_id"])


def row(command: Command) -> Command:
    """Return the command as it is now."""
    found: Command = Command.objects.get(pk=command.pk)
    return found


def log_of(user: User, command: Command) -> list[dict[str, Any]]:
    response = api(user).get(f"/api/v1/commands/{command.pk}/events/")
    assert response.status_code == 200, response.content
    frames: list[dict[str, Any]] = response.json()["results"]
    return frames


class ScriptedConnector(MockConnector):
    """A base for connectors that behave as a test says; their vehicles are always there."""

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        return Probe(vehicle.connection_status)  # type: ignore[attr-defined]


async def announce(attempt: Attempt, command_name: str) -> None:
    """Do what a connector does before a request that is not safe to repeat."""
    if command_name in CHANGES_THE_VEHICLE:
        await attempt.about_to_send()


def worker_of(connector: Connector) -> Worker:
    return Worker({"mock": connector})


def mark_seen() -> None:
    """Let the connected vehicles have just been probed."""
    connected = Vehicle.objects.filter(connection_status=ConnectionStatus.CONNECTED)
    connected.update(last_seen_at=Now())
    lifecycle.mark_ready([vehicle.pk for vehicle in connected])


async def drain(connector: Any = None) -> None:
    """Run a worker like `manage.py runworker --drain`, on the test's own event loop."""
    await worker_of(connector or MockConnector()).drain()


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
    """Return the frames up to the close, and the close code."""
    async with follow(command.pk, token_of(user), after) as stream:
        return await stream.rest()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for what happens in another task, thread or process."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not (await result if isawaitable(result := condition()) else result):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextmanager
def meanwhile(after: str, action: Callable[[], Any]) -> Iterator[None]:
    """Run the action on another connection, after the first statement with `after`."""
    done = False

    def listen(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal done
        result = execute(sql, *arguments)
        if after in sql and not done:
            done = True
            with ThreadPoolExecutor(1) as thread:
                thread.submit(action).result()
                thread.submit(connections.close_all).result()
        return result

    with connection.execute_wrapper(listen):
        yield
    assert done, f"there was no statement with {after}"


def until_blocked() -> None:
    """Wait until another connection waits for a lock of this one."""
    with connection.cursor() as cursor:
        blocked = "SELECT 1 FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        for _ in range(1_000):
            cursor.execute(blocked)
            if cursor.fetchone():
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    pytest.fail("nobody waits")


def in_order(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["sequence_number"] for frame in frames]


def claim_one() -> Command:
    """A claimed command whose worker then does what the test says."""
    mark_seen()
    (command,) = lifecycle.claim(1)
    return command
