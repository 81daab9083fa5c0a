"""The product behind PgBouncer in transaction mode, where each transaction has another session."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from conftest import ReadDTC
from dev.processes import WORKER, Product, production
from dev.servers import scratch_directory
from sovd.tests.database.pgbouncer import PgBouncer
from sovd.tests.live import Live, started
from sovd.tests.processes import own_database, run, run_all, until
from sovd.tests.site import VINS, ask

DRAIN = (*WORKER, "--drain")
SERVE = ("manage.py", "runweb")
LIMITS = {"lock_timeout": "5s", "idle_in_transaction_session_timeout": "10s"}


@contextmanager
def pooler(directory: Path, database_url: str, settings: str = "") -> Iterator[PgBouncer]:
    server = PgBouncer(directory, database_url, settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def environment(url: str, directory: Path, **given: object) -> dict[str, object]:
    return production(url, os.environ["REDIS_URL"], directory) | given


def set_limits(database_url: str) -> None:
    name = urlsplit(database_url).path.strip("/")
    with psycopg.connect(database_url, autocommit=True) as connection:
        for limit, value in LIMITS.items():
            connection.execute(f"ALTER ROLE postgres IN DATABASE {name} SET {limit} = '{value}'")
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")


# --- Without the setting, or without the limits


@contextmanager
def before_another_database(settings: str = "") -> Iterator[tuple[PgBouncer, Path]]:
    with (
        scratch_directory() as directory,
        own_database("unprepared") as url,
        pooler(directory, url, settings) as server,
    ):
        yield server, directory


def refusals(**given: object) -> list[str]:
    """The line by which the worker and the web process refuse to start."""
    ended = run_all((DRAIN, given), (SERVE, given))
    assert [each.exit_code for each in ended] == [1, 1]
    return ["\n".join(each.errors) for each in ended]


def test_a_pooler_is_refused_until_the_setting_names_it() -> None:
    with before_another_database() as (server, directory):
        for line in refusals(**environment(server.url, directory)):
            assert line.startswith("sovd: will not start: ")
            assert line.endswith("set DATABASE_POOLER=1")


@pytest.mark.parametrize(
    ("settings", "given"),
    [("ignore_startup_parameters = options", {}), ("", {"DATABASE_POOLER": 1})],
)
def test_a_pooler_that_drops_the_limits_is_refused(settings: str, given: dict[str, Any]) -> None:
    with before_another_database(settings) as (server, directory):
        given = environment(server.url, directory, **given)
        assert run("manage.py", "migrate", **given).exit_code == 0
        name = urlsplit(server.url).path.strip("/")
        for line in refusals(**given):
            assert f"ALTER ROLE postgres IN DATABASE {name} SET " in line


# --- With both


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Product, PgBouncer, str]]:
    """A web process and a worker, and the address of their Postgres."""
    with scratch_directory() as directory, own_database("pooler") as url:
        set_limits(url)
        with (
            pooler(directory, url) as server,
            started(server.url, directory, {"DATABASE_POOLER": 1}) as product,
        ):
            yield product, server, url


@pytest.fixture
def behind(running: tuple[Product, PgBouncer, str]) -> tuple[Live, PgBouncer, str]:
    product, server, url = running
    return Live(product), server, url


def submissions(site: Live, count: int) -> list[str]:
    with ThreadPoolExecutor(8) as clients:
        vins = [VINS[number % 5] for number in range(count)]
        return list(clients.map(site.submit, vins))


def test_many_commands_share_few_sessions(behind: tuple[Live, PgBouncer, str]) -> None:
    site, _, _ = behind
    assert site.token
    for command_id in submissions(site, 40):
        site.follow(command_id)


def test_lists_pages_and_exports_need_no_session_of_their_own(
    behind: tuple[Live, PgBouncer, str],
) -> None:
    site, _, _ = behind
    command_id = site.submit()
    for path in ("commands/", "vehicles/", "dashboard/", "batches/"):
        assert site.get(f"/api/v1/{path}")
    status, text = ask(site.port, "GET", "/api/v1/commands/export/?type=jsonl", token=site.token)
    assert (status, command_id in text) == (200, True)


ASK = """
import django, json; django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.db import connection, transaction
def said(_):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.01)")
        answers = []
        for name in ("timezone", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SHOW {name}")
            answers += cursor.fetchone()
    connection.close()
    return tuple(answers)
with ThreadPoolExecutor(8) as threads:
    print(json.dumps(sorted(set(threads.map(said, range(40))))))
connection.close_pool()
"""


def test_every_transaction_has_its_limits_and_utc(behind: tuple[Live, PgBouncer, str]) -> None:
    site, _, _ = behind
    ended = run("-c", ASK, **site.environment)
    assert ended.exit_code == 0, ended.errors
    assert json.loads(ended.output) == [["UTC", "5s", "10s"]]


def test_a_lock_is_waited_for_as_long_as_without_a_pooler(
    behind: tuple[Live, PgBouncer, str],
) -> None:
    site, _, url = behind
    body = read_dtc(site)
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE commands_event IN SHARE MODE")
        status, text = ask(site.port, "POST", "/api/v1/commands/", body, site.token)
    assert (status, json.loads(text)["code"]) == (503, "busy")
    assert "nothing was done" in text


def test_a_restart_of_the_pooler_is_over_without_one_of_ours(
    behind: tuple[Live, PgBouncer, str],
) -> None:
    site, server, _ = behind
    body = read_dtc(site)
    server.stop()
    until(lambda: ask(site.port, "GET", "/readyz")[0] == 503)
    server.start()
    until(lambda: ask(site.port, "GET", "/readyz")[0] == 200)
    path = "/api/v1/commands/"
    until(lambda: ask(site.port, "POST", path, body, site.token)[0] == 201)
    until(lambda: {each["status"] for each in site.get(path)["results"]} == {"completed"})


def read_dtc(site: Live) -> dict[str, Any]:
    (vehicle,) = site.get(f"/api/v1/vehicles/?search={VINS[0]}")["results"]
    return {"vehicle_id": vehicle["vehicle_id"], **ReadDTC}
