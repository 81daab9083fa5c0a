"""What a process looks at before it serves or works: it starts safe or not at all."""

import sys
from contextlib import closing
from pathlib import Path

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.db import DatabaseError, connection

from commands import demo_users

ASK_SECONDS = 2
SERVERS = {"daphne", "uvicorn", "hypercorn", "granian"}


def refuse_unsafe() -> None:
    """Ends the process, with one line that says what to do."""
    if settings.DEBUG:
        return
    if isinstance(get_channel_layer(), InMemoryChannelLayer):
        refuse("the in-memory channel layer connects no processes; set REDIS_URL")
    if known := _users_with_known_password():
        refuse(
            f"the password of {' and '.join(known)} is the one of the demo users, which everybody "
            "knows: change it (manage.py changepassword), or say `manage.py demo_data "
            "--allow-demo-users` if that is what you want"
        )


def refuse(message: str) -> None:
    raise SystemExit(f"sovd: will not start: {message}")


def is_server() -> bool:
    """Whether an ASGI server imports us, by its command or by `python -m`."""
    return not SERVERS.isdisjoint(Path(sys.argv[0]).parts[-2:])


def _users_with_known_password() -> list[str]:
    """None while the database does not answer or has no tables: then nobody can log in either."""
    found = demo_users.not_for_production().values_list("username", "password")
    probe = connection.copy()
    options = probe.settings_dict["OPTIONS"]
    if options.pop("pool", None):  # which would wait for long
        options["connect_timeout"] = ASK_SECONDS
    try:
        with closing(probe), probe.cursor() as cursor:
            cursor.execute(*found.query.sql_with_params())
            rows = cursor.fetchall()
    except DatabaseError:
        return []
    return [name for name, password in rows if check_password(demo_users.PASSWORD, password)]
