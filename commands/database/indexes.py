"""Indexes that a migration builds while others write to the table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres import operations
from django.db import migrations


class AddIndexConcurrently(operations.AddIndexConcurrently):
    """Operation of a migration that is not atomic. On SQLite it builds the index as usual.

    A build that is interrupted leaves an invalid index, which the next attempt replaces.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        if not _is_postgres(schema_editor):
            migrations.AddIndex.database_forwards(self, app_label, schema_editor, *states)
            return
        name = schema_editor.quote_name(self.index.name)
        with _waiting_for_others(schema_editor):
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            super().database_forwards(app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        kind = (
            operations.AddIndexConcurrently if _is_postgres(schema_editor) else migrations.AddIndex
        )
        kind.database_backwards(self, app_label, schema_editor, *states)


@contextmanager
def _waiting_for_others(schema_editor: Any) -> Iterator[None]:
    """Wait without a limit: a build waits for each transaction that is older, and blocks nobody."""
    schema_editor.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        schema_editor.execute("RESET lock_timeout")


def _is_postgres(schema_editor: Any) -> bool:
    return bool(schema_editor.connection.vendor == "postgresql")
