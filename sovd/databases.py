"""Django's settings of the two databases: SQLite in the embedded mode, Postgres in production."""

from pathlib import Path
from typing import Any

from sovd.local_files import check_database_file

# The pool's own values are 30 and 300 seconds, the latter with ever longer pauses: after an outage
# of a minute it would not look again for another minute. And a socket that takes longer to open
# than the server waits is dropped without a message.
POOL_SECONDS = {"timeout": 4, "reconnect_timeout": 10}
NETWORK = {"keepalives_idle": 10, "keepalives_interval": 5, "tcp_user_timeout": 20_000}
# A process that is frozen or unplugged between UPDATE and COMMIT holds its row locks: no other may
# wait for it for long.
LIMITS = {"idle_in_transaction_session_timeout": "10s", "lock_timeout": "5s"}


def sqlite(directory: Path) -> dict[str, Any]:
    file = directory / "sovd.sqlite3"
    check_database_file(file)
    return {
        "ENGINE": "sovd.sqlite",
        "NAME": file,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
        "TEST": {"NAME": directory / "test.sqlite3"},
    }


def postgres(address: dict[str, Any], pool_size: int, has_pooler: bool) -> dict[str, Any]:
    """Return the settings for an address as `env_database` returns it.

    The threads of asynchronous views come and go, so a persistent connection does not persist:
    Django's pool takes its place.
    """
    query = address["OPTIONS"]  # the query of the URL, such as ?sslmode=require
    options: dict[str, Any] = {"pool": {"min_size": 1, "max_size": pool_size, **POOL_SECONDS}}
    # A pooler in transaction mode takes no session's options: the limits are then those of the
    # role, and a process checks them when it starts.
    if not has_pooler:
        limits = " ".join(f"-c {name}={value}" for name, value in LIMITS.items())
        options["options"] = f"{limits} {query.get('options', '')}".strip()
    return {
        **address,
        "ENGINE": "sovd.postgres",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,  # sovd.postgres looks at each session that it is lent
        "DISABLE_SERVER_SIDE_CURSORS": has_pooler,
        "OPTIONS": {**NETWORK, **query, **options},
    }


def limit_statements(database: dict[str, Any], seconds: float) -> None:
    """End the statements of a web process after this time: migrations and workers may take longer.

    It is longer than any page takes: a client that has given up leaves no query behind for hours.

    An export reads in pages, each of which is a statement. The query of DATABASE_URL comes later in
    `options`, and so wins. A pooler has no way to tell web processes from workers.
    """
    options = database["OPTIONS"]
    if "options" in options:
        limit = f"-c statement_timeout={round(seconds * 1_000)}"
        options["options"] = f"{limit} {options['options']}"
