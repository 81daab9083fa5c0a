"""Starts safe or not at all, with one line that says what to do."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sovd.tests.processes import Ended, run, run_all
from sovd.tests.test_processes import own_database

WORKER = ("manage.py", "runworker", "--drain")
SERVE = ("-m", "daphne", "sovd.asgi:application")
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
        yield {
            "DATABASE_URL": url,
            "REDIS_URL": urlsplit(os.environ["REDIS_URL"])._replace(path="/3").geturl(),
            "SECRET_KEY": "0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdef",
            "ALLOWED_HOSTS": "sovd.example.com",
            "PROMETHEUS_MULTIPROC_DIR": tmp_path_factory.mktemp("start") / "metrics",
        }


def refused(ended: Ended) -> str:
    assert (ended.exit_code, ended.output, len(ended.errors)) == (1, "", 1), ended.errors
    assert ended.errors[0].startswith("sovd: will not start: ")
    return ended.errors[0]


def test_demo_users_of_a_laptop_do_not_get_into_production(production: dict[str, object]) -> None:
    """The database was made under DEBUG, where everybody knows their password."""
    assert run(*SEED, **production | {"DEBUG": 1}).exit_code == 0
    for ended in run_all((WORKER, production), (SERVE, production)):
        assert "admin and operator and viewer" in refused(ended)
        assert "--allow-demo-users" in refused(ended)
    assert run(*WORKER, **production | {"DEBUG": 1}).exit_code == 0
    assert run(*ALLOW, **production).exit_code == 0
    assert run(*WORKER, **production).exit_code == 0
    assert run(*SEED, **production | {"DEBUG": 1}).exit_code == 0
    assert run(*WORKER, **production).exit_code == 1
    assert run(*CHANGE, **production).exit_code == 0
    assert run(*WORKER, **production).exit_code == 0


def test_in_memory_layer_in_production(production: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "forgetful.py").write_text(
        "from sovd.settings import *\n"
        "CHANNEL_LAYERS = {'default': {'BACKEND': 'channels.layers.InMemoryChannelLayer'}}\n"
    )
    given = production | {"DJANGO_SETTINGS_MODULE": "forgetful", "PYTHONPATH": tmp_path}
    for ended in run_all((WORKER, given), (SERVE, given)):
        assert "set REDIS_URL" in refused(ended)


def test_a_database_that_is_away_keeps_nobody_from_starting(production: dict[str, object]) -> None:
    """It will be back; without it nobody can log in either."""
    given = production | {"DATABASE_URL": "postgres://sovd@127.0.0.1:1/sovd"}
    code = "import django; django.setup(); from sovd import start; start.refuse_unsafe()"
    ended = run("-c", f"{code}; print('starts')", **given)
    assert (ended.exit_code, ended.output) == (0, "starts\n")


def test_ready_to_deploy(production: dict[str, object]) -> None:
    """With the required settings alone, and behind a proxy that ends TLS."""
    behind = production | {"SECURE_PROXY_SSL_HEADER": "X-Forwarded-Proto"}
    for ended in run_all((DEPLOY, production), (DEPLOY, behind)):
        assert (ended.exit_code, ended.errors) == (0, [])
