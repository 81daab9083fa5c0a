"""Databases that are busy, full, read-only or away: clients learn which, and all recover."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection

from commands.models import Command
from conftest import ReadDTC, api
from dev.processes import Product
from sovd.tests.live import Live, started
from sovd.tests.processes import own_database, until
from sovd.tests.site import VINS, ask, frames_of
from vehicles.models import Vehicle

UNDONE = "so nothing was done. Send it again in a few seconds."
UNKNOWN = "so this may have been done or not. Look whether it was done before you send it again."


# --- Each SQLSTATE, raised by Postgres itself

RAISE = """
CREATE FUNCTION raise_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER raise_it BEFORE INSERT ON commands_command EXECUTE FUNCTION raise_it();
"""
SET_ON = "SET default_transaction_read_only = on"
SET_OFF = "SET default_transaction_read_only = off"
CALM = "DROP TRIGGER raise_it ON commands_command; DROP FUNCTION raise_it();"


@contextmanager
def insertion_raises(execute: Callable[[str], object], code: str) -> Iterator[None]:
    execute(RAISE.format(code=code))
    try:
        yield
    finally:
        execute(CALM)


@pytest.mark.parametrize(
    ("sqlstate", "code", "detail"),
    [
        ("25006", "unavailable", f"The database takes no writes, {UNDONE}"),
        ("53100", "unavailable", f"The disk of the database is full, {UNDONE}"),
        ("57P03", "unavailable", f"The database does not answer, {UNDONE}"),
        ("08001", "unavailable", f"The database does not answer, {UNDONE}"),
        ("53300", "busy", f"The database is busy, {UNDONE}"),
        ("40001", "busy", f"The database is busy, {UNDONE}"),
        ("40P01", "busy", f"The database is busy, {UNDONE}"),
        ("55P03", "busy", f"The database is busy, {UNDONE}"),
        ("25P03", "busy", f"The database is busy, {UNDONE}"),
        ("57014", "busy", f"The database took too long to answer, {UNKNOWN}"),
        ("53200", "busy", f"The database is busy, {UNKNOWN}"),
        ("08006", "unavailable", f"The database does not answer, {UNKNOWN}"),
        ("08007", "unavailable", f"The database does not answer, {UNKNOWN}"),
        ("40003", "unavailable", f"The database does not answer, {UNKNOWN}"),
        ("57P01", "unavailable", f"The database does not answer, {UNKNOWN}"),
        ("57P02", "unavailable", f"The database does not answer, {UNKNOWN}"),
        ("58030", "unavailable", f"The database does not answer, {UNKNOWN}"),
    ],
)
def test_a_refused_write_says_whether_anything_was_done(
    operator: User, vehicle: Vehicle, sqlstate: str, code: str, detail: str
) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    with connection.cursor() as cursor, insertion_raises(cursor.execute, sqlstate):
        response = api(operator).post("/api/v1/commands/", body)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json() == {"code": code, "detail": detail}


@pytest.mark.embedded
def test_a_refused_write_says_that_nothing_was_done(operator: User, vehicle: Vehicle) -> None:
    """The session takes no writes, which both databases can be told."""
    is_sqlite = connection.vendor == "sqlite"
    on, off = ("PRAGMA query_only = 1", "PRAGMA query_only = 0") if is_sqlite else (SET_ON, SET_OFF)
    body, client = {"vehicle_id": str(vehicle.pk), **ReadDTC}, api(operator)
    with connection.cursor() as cursor:
        cursor.execute(on)
        try:
            response = client.post("/api/v1/commands/", body)
        finally:
            cursor.execute(off)
    assert response.status_code == 503
    assert response.json()["detail"] == f"The database takes no writes, {UNDONE}"
    assert not Command.objects.exists()


def test_a_read_that_takes_too_long_says_what_to_do(operator: User) -> None:
    client = api(operator)

    def wait(execute: Any, sql: str, params: Any, *others: Any) -> Any:
        return execute("SELECT pg_sleep(60)", [], *others)

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 1")
        with connection.execute_wrapper(wait):
            response = client.get("/api/v1/commands/")
        cursor.execute("RESET statement_timeout")
    assert response.status_code == 503
    assert response.json() == {
        "code": "busy",
        "detail": "The database took too long to answer. Ask for less: add a filter, or a shorter "
        "time. Or ask again in a few seconds.",
    }


# --- Real processes: a web process with two sessions in its pool, and a worker


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory = tmp_path_factory.mktemp("errors")
    with (
        own_database("errors") as database_url,
        started(database_url, directory, {"DATABASE_POOL_SIZE": 2}) as product,
    ):
        yield product


@pytest.fixture
def site(product: Product) -> Live:
    return Live(product)


@pytest.fixture
def database(site: Live) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(str(site.environment["DATABASE_URL"]), autocommit=True) as database:
        yield database


@pytest.fixture
def body(site: Live) -> dict[str, Any]:
    (vehicle,) = site.get(f"/api/v1/vehicles/?search={VINS[0]}")["results"]
    return {"vehicle_id": vehicle["vehicle_id"], **ReadDTC}


def post(site: Live, body: dict[str, Any]) -> tuple[int, Any]:
    status, text = ask(site.port, "POST", "/api/v1/commands/", body, site.token)
    return status, json.loads(text)


def readiness(site: Live) -> tuple[int, Any]:
    status, text = ask(site.port, "GET", "/readyz")
    return status, json.loads(text)["problems"]


def works(site: Live, body: dict[str, Any]) -> bool:
    """Return whether a command is accepted and carried out."""
    status, command = post(site, body)
    if status != 201:
        return False
    until(lambda: site.status_of(command["command_id"]) == "completed")
    return True


@contextmanager
def read_only(database: psycopg.Connection[Any]) -> Iterator[None]:
    """Make all sessions read-only, like those to a demoted server; none ends with it."""
    name = database.info.dbname
    database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        yield
    finally:
        database.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_a_read_only_database_is_over_without_a_restart(
    site: Live, database: psycopg.Connection[Any], body: dict[str, Any]
) -> None:
    with read_only(database):
        said = {"code": "unavailable", "detail": f"The database takes no writes, {UNDONE}"}
        until(lambda: post(site, body) == (503, said))
        until(lambda: readiness(site) == (503, {"database": "The database takes no writes."}))
        assert site.get("/api/v1/vehicles/")["results"]
    until(lambda: works(site, body))
    until(lambda: readiness(site) == (200, {}))


def test_a_full_disk_is_not_ready_until_writes_succeed(
    site: Live, database: psycopg.Connection[Any], body: dict[str, Any]
) -> None:
    with insertion_raises(database.execute, "53100"):
        status, said = post(site, body)
        assert (status, said["detail"]) == (503, f"The disk of the database is full, {UNDONE}")
        until(lambda: readiness(site) == (503, {"database": "The disk of the database is full."}))
    until(lambda: readiness(site) == (200, {}))
    assert works(site, body)


def test_an_empty_pool_is_busy_and_not_away(
    site: Live, database: psycopg.Connection[Any], body: dict[str, Any]
) -> None:
    """Two submissions wait for a lock, and have both sessions and threads of the web process."""
    waiting = "SELECT count(*) = 2 FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"
    with ThreadPoolExecutor(3) as clients, database.transaction():
        database.execute("LOCK TABLE commands_batch, commands_command IN SHARE MODE")
        posts = [clients.submit(post, site, body) for _ in range(2)]
        until(lambda: database.execute(waiting).fetchone() == (True,))
        stream = clients.submit(opened, site)
        status, text = ask(site.port, "GET", "/api/v1/vehicles/", token=site.token)
        busy = {
            "code": "busy",
            "detail": "The server is busy, so nothing was done. Ask again in a few seconds.",
        }
        assert (status, json.loads(text)) == (503, busy)
        assert stream.result() == "The database is busy. Connect again in a few seconds."
        assert readiness(site) == (200, {})
        refused = {"code": "busy", "detail": f"The database is busy, {UNDONE}"}
        assert [answer.result() for answer in posts] == [(503, refused)] * 2
    until(lambda: works(site, body))


def opened(site: Live) -> str:
    """Return the message by which a stream is refused."""
    with site.stream(str(uuid4())) as stream:
        (frame,) = frames_of(stream)
    return str(frame["error_message"])


RECORD = """
CREATE TABLE recorded (operation text, statement_timeout text);
CREATE FUNCTION record_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recorded VALUES (TG_OP, current_setting('statement_timeout'));
    RETURN NULL;
END $$;
CREATE TRIGGER record_it AFTER INSERT OR UPDATE ON commands_command EXECUTE FUNCTION record_it();
"""
FORGET = """
DROP TRIGGER record_it ON commands_command; DROP FUNCTION record_it(); DROP TABLE recorded;
"""


def test_statements_are_limited_for_the_web_process_and_not_for_the_worker(
    site: Live, database: psycopg.Connection[Any], body: dict[str, Any]
) -> None:
    database.execute(RECORD)
    try:
        assert works(site, body)
        rows = set(database.execute("SELECT * FROM recorded").fetchall())
    finally:
        database.execute(FORGET)
    assert rows == {("INSERT", "30s"), ("UPDATE", "0")}


def test_many_questions_are_one_check(site: Live, database: psycopg.Connection[Any]) -> None:
    """Each check opens a session, which Postgres counts."""
    sessions = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
    (before,) = database.execute(sessions).fetchone() or (0,)
    with ThreadPoolExecutor(50) as clients:
        answers = [*clients.map(lambda _: readiness(site), range(300))]
    (after,) = database.execute(sessions).fetchone() or (0,)
    assert answers == [(200, {})] * 300
    assert after - before < 100
