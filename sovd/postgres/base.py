"""Django's Postgres backend, counted by django-prometheus, with a pool that learns faster."""

from typing import Any

from django_prometheus.db.backends.postgresql import base
from psycopg_pool import PoolTimeout


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """When Postgres is restarted all connections of the pool are dead at once. It would find
        out of one after the other, with ever longer pauses between."""
        try:
            return super().get_new_connection(conn_params)
        except PoolTimeout:
            self.pool.check()
            raise
