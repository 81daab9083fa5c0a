"""Processes that start safe or not at all, with one line that says what to do."""

import os
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from dev.processes import WORKER, web
from dev.processes import production as production_settings
from dev.servers import Postgres, free_port, scratch_directory
from sovd.tests.processes import SECONDS, Ended, own_database, run, run_all, running, until
from sovd.tests.site import ask

DRAIN = (*WORKER, "--drain")
SERVE = ("manage.py", "runweb")
RUNSERVER = ("manage.py", "runserver", "--noreload", "127.0.0.1:0")
SEED = (
    "-c",
    "import django; django.setup(); from django.core.management import call_command as call;"
    "call('migrate', verbosity=0); call('demo_data')",
)
ALLOW = ("manage.py", "demo_data", "--allow-demo-users")
CHANGE = (
    "-c",
    "import django; django.setup(); from django.contrib.auth.models import User\n"
    "for user in User.objects.all(): user.set_password('another one'); user.save()",
)
DEPLOY = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    with own_database("start") as url:
        directory = tmp_path_factory.mktemp("start")
        yield production_settings(url, os.environ["REDIS_URL"], directory)


def refused(ended: Ended) -> str:
    assert (ended.exit_code, ended.output, len(ended.errors)) == (1, "", 1), ended.errors
    assert ended.errors[0].startswith("sovd: will not start: ")
    return ended.errors[0]


def test_demo_users_of_a_laptop_are_refused_in_production(production: dict[str, object]) -> None:
    """The database was made under DEBUG, where everybody knows their password."""
    assert run(*SEED, **production | {"DEBUG": 1}).exit_code == 0
    worker, web, runserver = run_all(*((each, production) for each in (DRAIN, SERVE, RUNSERVER)))
    assert refused(worker) in runserver.errors
    for ended in (worker, web):
        assert "admin and operator and viewer" in refused(ended)
        assert "--allow-demo-users" in refused(ended)
    assert run(*DRAIN, **production | {"DEBUG": 1}).exit_code == 0
    assert run(*ALLOW, **production).exit_code == 0
    assert run(*DRAIN, **production).exit_code == 0
    assert run(*SEED, **production | {"DEBUG": 1}).exit_code == 0
    assert run(*DRAIN, **production).exit_code == 1
    assert run(*CHANGE, **production).exit_code == 0
    assert run(*DRAIN, **production).exit_code == 0


def test_the_in_memory_layer_is_refused_in_production(
    production: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "forgetful.py").write_text(
        "from sovd.settings import *\n"
        "CHANNEL_LAYERS = {'default': {'BACKEND': 'channels.layers.InMemoryChannelLayer'}}\n"
    )
    given = production | {"DJANGO_SETTINGS_MODULE": "forgetful", "PYTHONPATH": tmp_path}
    for ended in run_all((DRAIN, given), (SERVE, given)):
        assert "set REDIS_URL" in refused(ended)


def test_a_process_starts_without_its_database(production: dict[str, object]) -> None:
    given = production | {"DATABASE_URL": "postgres://sovd@127.0.0.1:1/sovd"}
    code = (
        "import django; django.setup(); from commands.accounts import startup;"
        "startup.refuse_unsafe(); print('starts')"
    )
    ended = run("-c", code, **given)
    assert (ended.exit_code, ended.output) == (0, "starts\n")


def test_a_known_password_ends_a_process_that_started_before_its_database(
    production: dict[str, object],
) -> None:
    """Web and worker check when the database answers for the first time."""
    port = free_port()
    with scratch_directory() as directory:
        postgres = Postgres(directory)
        given = production | {"DATABASE_URL": postgres.url}
        postgres.start()
        assert run(*SEED, **given | {"DEBUG": 1}).exit_code == 0
        postgres.stop()
        with running(*web(port), **given) as site, running(*WORKER, **given) as worker:
            until(lambda: ask(port, "GET", "/readyz")[0] == 503)
            assert worker.poll() is None
            postgres.start()
            until(lambda: has_hung_up(port))
            assert (site.wait(SECONDS), worker.wait(SECONDS)) == (1, 1)
        postgres.stop()


def has_hung_up(port: int) -> bool:
    try:
        ask(port, "GET", "/readyz")
    except (ConnectionError, HTTPException):
        return True
    return False


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused(
    production: dict[str, object], encoding: str
) -> None:
    with own_database("encoding", f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0") as url:
        given = production | {"DATABASE_URL": url}
        migrate, worker, server = run_all(
            (("manage.py", "migrate"), given), (DRAIN, given), (SERVE, given)
        )
    for message in ("\n".join(migrate.errors), refused(worker), refused(server)):
        assert f"the database has the encoding {encoding}" in message
        assert "ENCODING 'UTF8'" in message
    assert migrate.exit_code == 1


@pytest.mark.parametrize("guard", ["lock_timeout", "idle_in_transaction_session_timeout"])
def test_sessions_without_their_limits_are_refused(
    production: dict[str, object], guard: str
) -> None:
    """A pooler may drop the limits silently."""
    given = production | {"DATABASE_URL": f"{production['DATABASE_URL']}?options=-c%20{guard}=0"}
    for ended in run_all((DRAIN, given), (SERVE, given)):
        assert f"SET {guard} = " in refused(ended)


def test_the_required_settings_pass_the_deployment_check(production: dict[str, object]) -> None:
    """The check passes without a proxy, and behind a proxy that ends TLS."""
    behind = production | {"SECURE_PROXY_SSL_HEADER": "X-Forwarded-Proto"}
    for ended in run_all((DEPLOY, production), (DEPLOY, behind)):
        assert (ended.exit_code, ended.errors) == (0, [])
