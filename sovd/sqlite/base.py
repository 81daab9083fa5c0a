"""Django's SQLite backend, counted by django-prometheus, with one spelling for every instant."""

from datetime import datetime
from typing import Any

from django_prometheus.db.backends.sqlite3 import base


class DatabaseOperations(base.DatabaseWrapper.ops_class):
    def adapt_datetimefield_value(self, value: datetime | None) -> Any:
        """Return it in milliseconds, like SQLite's own clock `Now()`.

        Instants are compared as texts, and Python would write six digits or none.
        """
        text = super().adapt_datetimefield_value(value)
        return text and f"{text}.000"[: len("2026-03-01 12:00:00.000")]


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations
