"""Indexes that a migration builds while others write: it waits for them, and can be repeated."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError, connection, connections, models, transaction
from django.db.migrations.state import ProjectState

from commands.database.indexes import AddIndexConcurrently
from commands.models import Command
from conftest import until_blocked

INDEX = "index_of_a_test"
STATEMENT = f"CREATE INDEX CONCURRENTLY {INDEX} ON commands_command (error_code)"
VALID = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{INDEX}'::regclass"  # noqa: S608


@pytest.fixture(autouse=True)
def no_index(transactional_db: None) -> Iterator[None]:
    yield
    ask(f"DROP INDEX IF EXISTS {INDEX}")


def ask(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def build() -> str:
    """Build the index as a migration does. Return the limit of the connection afterwards."""
    ask("SET lock_timeout = '1ms'")
    operation = AddIndexConcurrently("command", models.Index(name=INDEX, fields=["error_code"]))
    before = ProjectState.from_apps(apps)
    after = before.clone()
    operation.state_forwards("commands", after)
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("commands", editor, before, after)
    return str(ask("SHOW lock_timeout"))


def test_an_index_waits_for_those_who_write_longer_than_others_wait_for_a_lock() -> None:
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            Command.objects.update(error_code="")
            building = thread.submit(build)
            until_blocked()
        assert building.result() == "5s"
        thread.submit(connections.close_all).result()
    assert ask(VALID)


def test_an_index_whose_build_was_interrupted_is_built_again() -> None:
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            Command.objects.update(error_code="")
            thread.submit(ask, "SET lock_timeout = '1ms'").result()
            with pytest.raises(OperationalError):
                thread.submit(ask, STATEMENT).result()
        thread.submit(connections.close_all).result()
    assert not ask(VALID)
    build()
    assert ask(VALID)
