"""Django's Postgres backend, counted by django-prometheus, with a pool that recovers faster."""

from datetime import UTC, datetime
from functools import cache
from select import POLLIN, poll
from time import monotonic
from typing import Any

from django_prometheus.db.backends.postgresql import base
from psycopg import OperationalError
from psycopg.adapt import AdaptersMap
from psycopg.types.datetime import TimestamptzLoader
from psycopg_pool import ConnectionPool

CANNOT_CONNECT = "08001"
TOO_MANY_CONNECTIONS = "53300"
RENEWAL_SECONDS = 1.0  # between two renewals of all sessions: the database may remain read-only


class InstantLoader(TimestamptzLoader):
    """Loader of instants, all in UTC as the sessions are. Django's takes five times as long."""

    timezone = UTC  # for Django, which else registers its own

    def load(self, data: Any) -> datetime:
        try:
            return datetime.fromisoformat(str(data, "ascii"))
        except ValueError:  # beyond Python's calendar
            return super().load(data)


@cache
def _with_instant_loader(context: AdaptersMap) -> AdaptersMap:
    context = AdaptersMap(context)
    context.register_loader("timestamptz", InstantLoader)
    return context


class DatabaseWrapper(base.DatabaseWrapper):
    _errors_before = 0  # failed and ended connections of the pool up to the last success
    _renew_at = 0.0

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        return params | {"context": _with_instant_loader(params["context"])}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, or raise an error with the SQLSTATE that libpq and the pool do not give.

        After a restart of Postgres all sessions of the pool are dead. It would notice one after
        the other, with ever longer pauses between.
        """
        try:
            connection = self._living_connection(conn_params)
        except OperationalError as error:
            error.sqlstate = TOO_MANY_CONNECTIONS if self._is_pool_empty() else CANNOT_CONNECT
            if self.pool:
                self.pool.check()
            raise
        if self.pool:
            DatabaseWrapper._errors_before = self._connection_errors()
        return connection

    def _living_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a session that its server has not ended."""
        connection = super().get_new_connection(conn_params)
        while self.pool and not _is_alive(connection):
            connection.close()
            self.pool.putconn(connection)  # which replaces it
            connection = super().get_new_connection(conn_params)
        return connection

    def _close(self) -> None:
        """Release the session. A read-only one is not lent again: its server may be no primary."""
        if self.pool and self._is_read_only() and monotonic() > self._renew_at:
            DatabaseWrapper._renew_at = monotonic() + RENEWAL_SECONDS
            self.pool.drain()  # this session, too, is replaced when it comes back
        super()._close()

    def _is_read_only(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        status = self.connection.info.parameter_status
        return "on" in (status("in_hot_standby"), status("default_transaction_read_only"))

    def _is_pool_empty(self) -> bool:
        """Return whether all sessions are lent: none failed or was lost since one was lent last."""
        return bool(self.pool) and self._connection_errors() == DatabaseWrapper._errors_before

    def _connection_errors(self) -> int:
        stats = self.pool.get_stats()
        return sum(stats.get(name, 0) for name in ("connections_errors", "returns_bad"))


def _is_alive(connection: Any) -> bool:
    """Ask the server only if it has sent something: to an idle session it says when it ends it.

    Django's own check is a round trip for each request, which costs as much as a query.
    """
    socket = poll()
    socket.register(connection.fileno(), POLLIN)
    if socket.poll(0):
        try:
            ConnectionPool.check_connection(connection)
        except OperationalError:
            return False
    return True
