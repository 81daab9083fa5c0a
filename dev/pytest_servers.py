"""Plugin of pytest: start Postgres and Valkey before Django reads its settings.

With `-n 2` (pytest-xdist) each process of tests has servers of its own.

DATABASE_URL and REDIS_URL in the environment are used as they are; `--embedded` starts nothing.
"""

import argparse
import contextlib
import os
import secrets
import sqlite3
from pathlib import Path

import pytest

from dev.servers import (
    ServerError,
    address,
    database_version,
    redis_version,
    scratch_directory,
    servers,
)

HEADER = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--embedded",
        action="store_true",
        help="test the embedded mode: SQLite and the in-memory channel layer, no servers",
    )


# First, since pytest-django loads the settings in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    stack = contextlib.ExitStack()
    early_config.add_cleanup(stack.close)
    os.environ |= environment(stack.enter_context(scratch_directory()))
    options = early_config.known_args_namespace
    if options.embedded or options.help or options.version or shares_out(options):
        early_config.stash[HEADER] = embedded()
        return
    try:
        early_config.stash[HEADER] = production(stack)
    except ServerError as error:
        raise pytest.UsageError(str(error)) from error


def shares_out(options: argparse.Namespace) -> bool:
    """Whether other processes (`-n 2`) run the tests, each of which starts servers of its own."""
    return bool(getattr(options, "numprocesses", None)) and "PYTEST_XDIST_WORKER" not in os.environ


def pytest_report_header(config: pytest.Config) -> str:
    return f"servers: {config.stash[HEADER]}"


def environment(scratch: Path) -> dict[str, str]:
    metrics = scratch / "metrics"
    metrics.mkdir()
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
        "DEBUG": "",
        "SOVD_VAR_DIR": str(scratch),
        "STATIC_ROOT": str(scratch / "static"),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "MOCK_VEHICLE_LATENCY_SECONDS": "0",
        "THROTTLE_LOGIN": "",
        "THROTTLE_COMMANDS": "",
    }


def embedded() -> str:
    # Empty and not absent: a .env file fills in what is absent.
    os.environ |= {"DATABASE_URL": "", "REDIS_URL": ""}
    return f"embedded: SQLite {sqlite3.sqlite_version}, in-memory channel layer"


def production(stack: contextlib.ExitStack) -> str:
    given = [name for name in ("DATABASE_URL", "REDIS_URL") if os.environ.get(name)]
    if len(given) == 1:
        raise ServerError(f"only {given[0]} is set; set both DATABASE_URL and REDIS_URL, or none")
    if not given:
        postgres, valkey = stack.enter_context(servers())
        os.environ |= {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url}
    return ", ".join(
        f"{version(url)} on {address(url)}"
        for version, url in (
            (database_version, os.environ["DATABASE_URL"]),
            (redis_version, os.environ["REDIS_URL"]),
        )
    )
