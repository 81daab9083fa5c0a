"""Questions to the database on a connection of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

CONNECT_SECONDS = 2


@contextmanager
def probe() -> Iterator[BaseDatabaseWrapper]:
    """Give a new connection: the pool waits too long for a database that is away."""
    own = connection.copy()
    options = own.settings_dict["OPTIONS"]
    if options.pop("pool", None):
        options["connect_timeout"] = CONNECT_SECONDS
    try:
        yield own
    finally:
        own.close()


def encoding_problem(connection: BaseDatabaseWrapper) -> str:
    """Return a sentence if the database cannot hold every text, as with SQL_ASCII or LATIN1."""
    if connection.vendor != "postgresql":
        return ""
    connection.ensure_connection()
    encoding = connection.connection.info.parameter_status("server_encoding")
    if encoding == "UTF8":
        return ""
    return (
        f"the database has the encoding {encoding}, which cannot hold every text; "
        "create it again with ENCODING 'UTF8' TEMPLATE template0"
    )
