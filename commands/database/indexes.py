"""Indexes that a migration builds while others write to the table."""

from typing import Any

from django.contrib.postgres import operations
from django.db import migrations


class AddIndexConcurrently(operations.AddIndexConcurrently):
    """Operation of a migration that is not atomic. On SQLite it builds the index as usual."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        _chosen(schema_editor).database_forwards(self, app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        _chosen(schema_editor).database_backwards(self, app_label, schema_editor, *states)


def _chosen(schema_editor: Any) -> Any:
    is_postgres = schema_editor.connection.vendor == "postgresql"
    return operations.AddIndexConcurrently if is_postgres else migrations.AddIndex
