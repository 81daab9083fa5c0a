"""What starts, and what refuses to: with one line that names the variable and says what to do."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

from sovd.tests.processes import Ended, run, run_all

POSTGRES = {"DATABASE_URL": "postgres://sovd@localhost/sovd"}
REDIS = {"REDIS_URL": "redis://localhost:6379/0"}
PRODUCTION = POSTGRES | REDIS | {"SECRET_KEY": "k" * 40, "ALLOWED_HOSTS": "localhost"}

CHECK = ("manage.py", "check")
SHOW = (
    "-c",
    "import json; from django.conf import settings as s;"
    "options = s.DATABASES['default']['OPTIONS'];"
    "print(json.dumps([s.DEBUG, s.SECRET_KEY, s.ALLOWED_HOSTS, options]))",
)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("REDIS_URL", POSTGRES),
        ("DATABASE_URL", REDIS),
        ("DEBUG", {"DEBUG": "0"}),
        ("DEBUG", {"DEBUG": "maybe"}),
        ("SECRET_KEY", PRODUCTION | {"SECRET_KEY": ""}),
        ("SECRET_KEY", PRODUCTION | {"SECRET_KEY": "k" * 31}),
        ("SECRET_KEY", PRODUCTION | {"SECRET_KEY": "", "DEBUG": "1"}),
        ("SECRET_KEY", PRODUCTION | {"SECRET_KEY": "django-insecure-" + "k" * 40}),
        ("SECRET_KEY", PRODUCTION | {"SECRET_KEY": "Change-me-" + "k" * 40}),
        ("TOKEN_SIGNING_KEY", PRODUCTION | {"TOKEN_SIGNING_KEY": "k" * 31}),
        ("ALLOWED_HOSTS", PRODUCTION | {"ALLOWED_HOSTS": ""}),
        ("ALLOWED_HOSTS", PRODUCTION | {"ALLOWED_HOSTS": " , "}),
        ("DATABASE_URL", PRODUCTION | {"DATABASE_URL": "mysql://localhost/sovd"}),
        ("DATABASE_URL", PRODUCTION | {"DATABASE_URL": "postgres://localhost:port/sovd"}),
        ("DATABASE_URL", PRODUCTION | {"DATABASE_URL": "postgres://localhost"}),
        ("DATABASE_URL", PRODUCTION | {"DATABASE_URL": "localhost:5432"}),
        ("REDIS_URL", PRODUCTION | {"REDIS_URL": "http://localhost"}),
        ("REDIS_URL", PRODUCTION | {"REDIS_URL": "redis://localhost:99999/0"}),
        ("COMMAND_TIMEOUT_SECONDS", {"COMMAND_TIMEOUT_SECONDS": "soon"}),
        ("COMMAND_TIMEOUT_SECONDS", {"COMMAND_TIMEOUT_SECONDS": "0"}),
        ("COMMAND_LEASE_SECONDS", {"COMMAND_LEASE_SECONDS": "nan"}),
        ("COMMAND_EXPIRES_SECONDS", {"COMMAND_EXPIRES_SECONDS": "-1"}),
        ("MOCK_VEHICLE_TIMEOUT_RATE", {"MOCK_VEHICLE_TIMEOUT_RATE": "1.5"}),
        ("WORKER_METRICS_PORT", {"WORKER_METRICS_PORT": "65536"}),
        ("WORKER_CONCURRENCY", {"WORKER_CONCURRENCY": "2.5"}),
        ("THROTTLE_LOGIN", {"THROTTLE_LOGIN": "often"}),
        ("THROTTLE_LOGIN", {"THROTTLE_LOGIN": "5"}),
        ("THROTTLE_COMMANDS", {"THROTTLE_COMMANDS": "0/min"}),
        ("THROTTLE_COMMANDS", {"THROTTLE_COMMANDS": "5/fortnight"}),
        ("TRUSTED_PROXIES", {"TRUSTED_PROXIES": "-1"}),
        ("SECRET_KEY_FILE", PRODUCTION | {"SECRET_KEY": "", "SECRET_KEY_FILE": "/nowhere"}),
        ("SOVD_VAR_DIR", {"SOVD_VAR_DIR": "/dev/null/var"}),
    ],
)
def test_refuses_to_start(name: str, given: dict[str, str], tmp_path: Path) -> None:
    exit_code, output, errors = run(*CHECK, **{"SOVD_VAR_DIR": str(tmp_path)} | given)
    assert (exit_code, output, len(errors)) == (1, "", 1), errors
    assert errors[0].startswith("sovd: will not start: ")
    assert name in errors[0]


def test_a_long_running_process_names_a_metrics_directory_that_cannot_be(tmp_path: Path) -> None:
    given = {"SOVD_VAR_DIR": str(tmp_path), "PROMETHEUS_MULTIPROC_DIR": "/dev/null/metrics"}
    exit_code, _, errors = run("manage.py", "runworker", **given)
    assert (exit_code, len(errors)) == (1, 1)
    assert "PROMETHEUS_MULTIPROC_DIR=/dev/null/metrics" in errors[0]


def shown(ended: Ended) -> tuple[bool, str, list[str], dict[str, Any]]:
    assert (ended.exit_code, ended.errors) == (0, [])
    debug, secret_key, allowed_hosts, options = json.loads(ended.output)
    return debug, secret_key, allowed_hosts, options


def test_embedded_mode_needs_nothing_and_keeps_one_secret_key(tmp_path: Path) -> None:
    var = tmp_path / "var"
    # Two at once, as `runserver` and `runworker` may be, and one later.
    given = {"SOVD_VAR_DIR": var}
    at_once = run_all((SHOW, given), (SHOW, given))
    starts = [shown(ended) for ended in [*at_once, run(*SHOW, **given)]]
    assert [debug for debug, *_ in starts] == [True, True, True]
    kept = var / "secret_key"
    assert {secret_key for _, secret_key, *_ in starts} == {kept.read_text()}
    assert len(kept.read_text()) >= 32
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(path.name for path in var.iterdir()) == ["metrics", "secret_key"]


def test_production(tmp_path: Path) -> None:
    given = {
        # A leading $ is no reference to another variable.
        "SECRET_KEY": "$" + "k" * 39,
        "ALLOWED_HOSTS": "sovd.example.com, localhost",
        "DATABASE_URL": "postgres://sovd@localhost/sovd?sslmode=require",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    debug, secret_key, allowed_hosts, options = shown(run(*SHOW, **PRODUCTION | given))
    assert debug is False
    assert secret_key == given["SECRET_KEY"]
    assert allowed_hosts == ["sovd.example.com", "localhost"]
    assert options["sslmode"] == "require"
    assert options["pool"]["max_size"] == 20


def test_secrets_from_files(tmp_path: Path) -> None:
    given = dict(PRODUCTION)
    for name in ("SECRET_KEY", "DATABASE_URL"):
        (tmp_path / name).write_text(given.pop(name) + "\n")
        given[f"{name}_FILE"] = str(tmp_path / name)
    _, secret_key, _, options = shown(run(*SHOW, **given))
    assert secret_key == PRODUCTION["SECRET_KEY"]
    assert "pool" in options


LIMITS = (
    "-c",
    "import json; from django.conf import settings as s;"
    "print(json.dumps([s.THROTTLE_LOGIN, s.THROTTLE_COMMANDS, s.AXES_ENABLED]))",
)


def test_an_empty_limit_is_off_and_an_absent_one_is_not(
    tmp_path: Path,
) -> None:
    given = {"SOVD_VAR_DIR": str(tmp_path)}
    off = run(*LIMITS, **given | {"THROTTLE_LOGIN": "", "THROTTLE_COMMANDS": " "})
    code = "import os; [os.environ.pop(name) for name in ('THROTTLE_LOGIN', 'THROTTLE_COMMANDS')];"
    absent = run("-c", code + LIMITS[1], **given)
    assert json.loads(off.output) == ["", "", False]
    assert json.loads(absent.output) == ["5/min", "60/min", True]


KEYS = (
    "-c",
    "import json; from django.conf import settings as s;"
    "print(json.dumps([s.SECRET_KEY, s.SIMPLE_JWT['SIGNING_KEY']]))",
)


def test_tokens_have_a_key_of_their_own() -> None:
    """The same in every process, and at every start."""
    given = {"TOKEN_SIGNING_KEY": "t" * 32}
    one, other, set_ = (
        json.loads(ended.output)
        for ended in run_all((KEYS, PRODUCTION), (KEYS, PRODUCTION), (KEYS, PRODUCTION | given))
    )
    assert one == other
    assert one[0] != one[1]
    assert len(one[1]) == 64
    assert set_[1] == "t" * 32


def test_a_short_command_leaves_nothing_in_the_metrics_directory(tmp_path: Path) -> None:
    given = {"SOVD_VAR_DIR": tmp_path, "PROMETHEUS_MULTIPROC_DIR": tmp_path / "metrics"}
    assert run(*CHECK, **given).exit_code == 0
    assert not (tmp_path / "metrics").exists()


def test_runworker_of_channels_must_not_win(tmp_path: Path) -> None:
    (tmp_path / "reordered.py").write_text(
        "from sovd.settings import *\n"
        "INSTALLED_APPS.remove('channels')\n"
        "INSTALLED_APPS.insert(0, 'channels')\n"
    )
    given = {
        "DJANGO_SETTINGS_MODULE": "reordered",
        "PYTHONPATH": tmp_path,
        "SOVD_VAR_DIR": tmp_path,
    }
    exit_code, _, errors = run(*CHECK, **given)
    assert exit_code == 1
    assert "commands.E001" in "\n".join(errors)
    assert "HINT: Put 'commands' before 'channels' in INSTALLED_APPS." in "\n".join(errors)


def test_runworker_is_ours() -> None:
    assert get_commands()["runworker"] == "commands"


def test_a_library_that_shows_its_stack_is_one_line() -> None:
    """Of a server that is away; what else it shows is worth its lines."""
    code = (
        "import django, logging, sys; django.setup()\n"
        "log = logging.getLogger('channels_redis.pubsub')\n"
        "try: open('/nowhere')\n"
        "except OSError: log.exception('%s', 7)\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.exception('%s', 8)"
    )
    away, bug, *stack = run("-c", code, DJANGO_SETTINGS_MODULE="sovd.settings").errors
    assert "7 (FileNotFoundError(2, 'No such file or directory'))" in away
    assert "ERROR" in bug.upper()
    assert stack[-1] == "ZeroDivisionError: division by zero"
