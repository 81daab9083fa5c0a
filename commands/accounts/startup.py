"""Checks of a process before it serves or works: it starts safe or not at all."""

import os
import sys
from pathlib import Path
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from commands.accounts import demo_users
from commands.database.probe import encoding_problem, probe
from commands.start_refusal import refuse

SERVERS = {"daphne", "uvicorn", "hypercorn", "granian", "gunicorn"}


def refuse_unsafe() -> None:
    """End the process with one line that says what to do.

    A database that is away, or not migrated yet, is checked on the first connection that works.
    """
    if not settings.DEBUG and isinstance(get_channel_layer(), InMemoryChannelLayer):
        refuse("the in-memory channel layer connects no processes; set REDIS_URL")
    try:
        with probe() as connection:
            _check_database(connection)
    except DatabaseError as error:
        if "startup parameter" in str(error):
            refuse("DATABASE_URL leads to a pooler in transaction mode; set DATABASE_POOLER=1")
        connection_created.connect(_check_late, dispatch_uid="startup")


def is_server() -> bool:
    """Return whether a server imports us: by its command, by `python -m`, or by `manage.py`."""
    is_command = sys.argv[1:2] in (["runserver"], ["runweb"])
    return is_command or not SERVERS.isdisjoint(Path(sys.argv[0]).parts[-2:])


def _check_late(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    try:
        _check_database(connection)
    except DatabaseError:
        return  # still without tables
    except SystemExit as refusal:
        # In any thread, which would end alone. Nothing else was done with the database yet.
        sys.stderr.write(f"{refusal}\n")
        os._exit(1)
    connection_created.disconnect(dispatch_uid="startup")


def _check_database(connection: BaseDatabaseWrapper) -> None:
    if problem := encoding_problem(connection):
        refuse(problem)
    if connection.vendor == "postgresql":
        _check_limits(connection)
    if not settings.DEBUG:
        _check_passwords(connection)


def _check_limits(connection: BaseDatabaseWrapper) -> None:
    """Refuse sessions without limits, in which a frozen process would hold its locks for ever."""
    user, database = connection.settings_dict["USER"], connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        for name, value in settings.DATABASE_LIMITS.items():
            cursor.execute(f"SHOW {name}")
            if cursor.fetchone() == ("0",):
                refuse(
                    f"the sessions of the database have no {name} (a pooler does not pass it on); "
                    f"run: ALTER ROLE {user} IN DATABASE {database} SET {name} = '{value}'"
                )


def _check_passwords(connection: BaseDatabaseWrapper) -> None:
    users = demo_users.not_for_production().values_list("username", "password")
    with connection.cursor() as cursor:
        cursor.execute(*users.query.sql_with_params())
        rows = cursor.fetchall()
    known = [name for name, password in rows if check_password(demo_users.PASSWORD, password)]
    if known:
        refuse(
            f"the password of {' and '.join(known)} is the one of the demo users, which everybody "
            "knows: change it (manage.py changepassword), or allow it "
            "(manage.py demo_data --allow-demo-users)"
        )
