"""Settings that start the product, and settings that refuse to, with one line that says why."""

import re
import runpy
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import get_commands

from commands.accounts.passwords import BoundedHasher
from dev.processes import environment
from sovd.settings import COMPOSE, env
from sovd.tests.processes import run, run_all, tool

BASE: Path = settings.BASE_DIR
POSTGRES = {"DATABASE_URL": "postgres://sovd@localhost/sovd"}
REDIS = {"REDIS_URL": "redis://localhost:6379/0"}
PRODUCTION = POSTGRES | REDIS | {"SECRET_KEY": "k" * 40, "ALLOWED_HOSTS": "localhost"}

CHECK = ("manage.py", "check")
Read = Callable[..., dict[str, Any]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Read:
    """Run the file of settings on a machine where nothing but `given` is set."""
    directories = {"SOVD_VAR_DIR": tmp_path, "PROMETHEUS_MULTIPROC_DIR": tmp_path / "metrics"}

    def read(**given: object) -> dict[str, Any]:
        for name, value in environment(directories | given).items():
            monkeypatch.setenv(name, value)
        for name in ("THROTTLE_LOGIN", "THROTTLE_COMMANDS"):  # empty is not absent
            if name not in given:
                monkeypatch.delenv(name)
        return runpy.run_path(str(BASE / "sovd/settings.py"))

    return read


REFUSED: list[tuple[str, dict[str, str]]] = [
    ("REDIS_URL is not set", POSTGRES),
    ("DATABASE_URL is not set", REDIS),
    ("DEBUG=0 needs DATABASE_URL", {"DEBUG": "0"}),
    ("DEBUG='maybe'", {"DEBUG": "maybe"}),
    ("SECRET_KEY must be set", PRODUCTION | {"SECRET_KEY": ""}),
    ("SECRET_KEY must be set", PRODUCTION | {"SECRET_KEY": "k" * 31}),
    ("SECRET_KEY must be set", PRODUCTION | {"SECRET_KEY": "", "DEBUG": "1"}),
    ("SECRET_KEY is an example", PRODUCTION | {"SECRET_KEY": "django-insecure-" + "k" * 40}),
    ("SECRET_KEY is an example", PRODUCTION | {"SECRET_KEY": "Change-me-" + "k" * 40}),
    ("SECRET_KEY_FILE", PRODUCTION | {"SECRET_KEY": "", "SECRET_KEY_FILE": "/nowhere"}),
    ("TOKEN_SIGNING_KEY", PRODUCTION | {"TOKEN_SIGNING_KEY": "k" * 31}),
    ("ALLOWED_HOSTS is not set", PRODUCTION | {"ALLOWED_HOSTS": ""}),
    ("ALLOWED_HOSTS is not set", PRODUCTION | {"ALLOWED_HOSTS": " , "}),
    ("ALLOWED_HOSTS: 'https://a.com'", PRODUCTION | {"ALLOWED_HOSTS": "https://a.com"}),
    ("CSRF_TRUSTED_ORIGINS: 'a.com'", PRODUCTION | {"CSRF_TRUSTED_ORIGINS": "a.com"}),
    ("SECURE_PROXY_SSL_HEADER", PRODUCTION | {"SECURE_PROXY_SSL_HEADER": "HTTP_X_SSL,on"}),
    ("DATABASE_URL must be", PRODUCTION | {"DATABASE_URL": "mysql://localhost/sovd"}),
    ("REDIS_URL must be", PRODUCTION | {"REDIS_URL": "http://localhost"}),
    ("COMMAND_TIMEOUT_SECONDS=0 must be", {"COMMAND_TIMEOUT_SECONDS": "0"}),
    ("COMMAND_LEASE_SECONDS=nan must be", {"COMMAND_LEASE_SECONDS": "nan"}),
    ("MOCK_VEHICLE_TIMEOUT_RATE=1.5 must", {"MOCK_VEHICLE_TIMEOUT_RATE": "1.5"}),
    ("WORKER_METRICS_PORT=65536 must be", {"WORKER_METRICS_PORT": "65536"}),
    ("PORT=0 must be", {"PORT": "0"}),
    ("METRICS_TOKEN must consist", {"METRICS_TOKEN": "schlüssel"}),
    ("WORKER_CONCURRENCY=2.5 must be", {"WORKER_CONCURRENCY": "2.5"}),
    ("THROTTLE_LOGIN='often'", {"THROTTLE_LOGIN": "often"}),
    ("TRUSTED_PROXIES=-1 must be", {"TRUSTED_PROXIES": "-1"}),
    ("EMAIL_URL must be smtp://", {"EMAIL_URL": "mail.example.com"}),
    ("SITE_URL: 'console'", {"SITE_URL": "console"}),
    ("SOVD_VAR_DIR=/dev/null/var", {"SOVD_VAR_DIR": "/dev/null/var"}),
    ("SOVD_VAR_DIR=/proc cannot be used", {"SOVD_VAR_DIR": "/proc"}),
    ("PROMETHEUS_MULTIPROC_DIR=/proc", {"PROMETHEUS_MULTIPROC_DIR": "/proc"}),
    ("DATABSE_URL is not a setting", {"DATABSE_URL": "postgres://sovd@localhost/sovd"}),
    ("COMAND_TIMEOUT_SECONDS is not a", {"COMAND_TIMEOUT_SECONDS": "5"}),
]


@pytest.mark.parametrize(("line", "given"), REFUSED)
def test_wrong_settings_are_refused(line: str, given: dict[str, str], read: Read) -> None:
    with pytest.raises(SystemExit) as refused:
        read(**given)
    assert str(refused.value).startswith(f"sovd: will not start: {line}")
    assert "\n" not in str(refused.value)


def test_a_process_with_a_wrong_setting_refuses_to_start(tmp_path: Path) -> None:
    given = PRODUCTION | {"SOVD_VAR_DIR": str(tmp_path), "ALLOWED_HOSTS": "https://a.com"}
    exit_code, output, errors = run(*CHECK, **given)
    assert (exit_code, output, len(errors)) == (1, "", 1), errors
    assert errors[0].startswith("sovd: will not start: ALLOWED_HOSTS")


def test_a_worker_refuses_a_metrics_directory_that_cannot_be_made(tmp_path: Path) -> None:
    given = {"SOVD_VAR_DIR": str(tmp_path), "PROMETHEUS_MULTIPROC_DIR": "/dev/null/metrics"}
    exit_code, _, errors = run("manage.py", "runworker", **given)
    assert (exit_code, len(errors)) == (1, 1)
    assert "PROMETHEUS_MULTIPROC_DIR=/dev/null/metrics" in errors[0]


SHOW = ("-c", "from django.conf import settings; print(settings.SECRET_KEY)")


def test_embedded_mode_needs_nothing_and_keeps_one_secret_key(tmp_path: Path) -> None:
    var = tmp_path / "var"
    # Two at once, as `runserver` and `runworker` may be, and one later.
    given = {"SOVD_VAR_DIR": var}
    at_once = run_all((SHOW, given), (SHOW, given))
    keys = {ended.output for ended in [*at_once, run(*SHOW, **given)]}
    kept = var / "secret_key"
    assert keys == {kept.read_text() + "\n"}
    assert len(kept.read_text()) >= 32
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(path.name for path in var.iterdir()) == ["metrics", "secret_key"]


@pytest.mark.parametrize("name", ["secret_key", "sovd.sqlite3"])
def test_a_file_of_the_embedded_mode_that_cannot_be_read_is_named(
    name: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SystemExit, match=f"{tmp_path / name} cannot be read"):
        read()


def test_an_empty_secret_key_file_is_named(read: Read, tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    with pytest.raises(SystemExit, match="secret_key is empty: delete it"):
        read()


def test_production_reads_its_settings(read: Read) -> None:
    values = read(
        **PRODUCTION
        | {
            "SECRET_KEY": "$" + "k" * 39,
            "ALLOWED_HOSTS": "sovd.example.com, localhost",
            "DATABASE_URL": "postgres://sovd@localhost/sovd?sslmode=require",
            "SECURE_PROXY_SSL_HEADER": "HTTP_X_FORWARDED_PROTO",
        }
    )
    assert (values["DEBUG"], values["EMBEDDED"]) == (False, False)
    assert values["SECRET_KEY"] == "$" + "k" * 39
    assert values["ALLOWED_HOSTS"] == ["sovd.example.com", "localhost"]
    assert values["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")
    assert values["SECURE_SSL_REDIRECT"] is True
    database = values["DATABASES"]["default"]
    assert (database["ENGINE"], database["NAME"]) == ("sovd.postgres", "sovd")
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["pool"]["max_size"] == 20


def test_secrets_are_read_from_files(read: Read, tmp_path: Path) -> None:
    given: dict[str, object] = dict(PRODUCTION)
    for name in ("SECRET_KEY", "DATABASE_URL"):
        (tmp_path / name).write_text(f"{given.pop(name)}\n")
        given[f"{name}_FILE"] = tmp_path / name
    values = read(**given)
    assert values["SECRET_KEY"] == PRODUCTION["SECRET_KEY"]
    assert values["DATABASES"]["default"]["USER"] == "sovd"


def test_an_empty_limit_is_off(read: Read) -> None:
    values = read(THROTTLE_LOGIN="", THROTTLE_COMMANDS=" ")
    assert (values["THROTTLE_LOGIN"], values["THROTTLE_COMMANDS"]) == ("", "")


def test_tokens_have_a_key_of_their_own(read: Read) -> None:
    """The key is the same in every process, and at every start."""
    one, other = (read(**PRODUCTION)["TOKEN_SIGNING_KEY"] for _ in range(2))
    assert one == other != PRODUCTION["SECRET_KEY"]
    assert len(one) == 64
    given = PRODUCTION | {"TOKEN_SIGNING_KEY": "t" * 32}
    assert read(**given)["SIMPLE_JWT"]["SIGNING_KEY"] == "t" * 32


def test_passwords_are_hashed_as_django_recommends(read: Read) -> None:
    """The tests themselves hash them in no time."""
    assert read()["PASSWORD_HASHERS"][0] == "commands.accounts.passwords.BoundedHasher"
    assert BoundedHasher.iterations == PBKDF2PasswordHasher.iterations > 100_000


# --- .env


def checkout_with(env_file: str, directory: Path) -> Path:
    """Return a copy of the settings beside a .env file of this content."""
    for package in ("sovd", "commands"):
        ignored = shutil.ignore_patterns("tests", "static")
        shutil.copytree(BASE / package, directory / package, ignore=ignored)
    (directory / ".env").write_text(env_file)
    return directory


def test_blanks_around_the_equals_sign_are_production(tmp_path: Path) -> None:
    lines = [f"{name} = {value}\n" for name, value in PRODUCTION.items()]
    code = "from sovd import settings as s; print(s.DEBUG, s.DATABASE['USER'], s.ALLOWED_HOSTS)"
    ended = tool("python", "-c", code, cwd=checkout_with("".join(lines), tmp_path))
    assert ended == (0, "False sovd ['localhost']\n", [])


def test_an_unknown_name_in_the_env_file_is_refused_and_its_value_not_shown(tmp_path: Path) -> None:
    checkout = checkout_with("DATABSE_URL=postgres://sovd:hidden@localhost/sovd\n", tmp_path)
    ended = tool("python", "-c", "from sovd import settings", cwd=checkout)
    line = "DATABSE_URL in .env is not a setting: do you mean DATABASE_URL?"
    assert ended == (1, "", [f"sovd: will not start: {line}"])


# --- Documents

EXAMPLE = re.findall(r"^#?([A-Z_]+)=(.*)$", (BASE / ".env.example").read_text(), re.MULTILINE)


def test_the_example_lists_exactly_the_settings_that_exist() -> None:
    names = [name for name, _ in EXAMPLE]
    in_files = {name for name in env.asked if name.removesuffix("_FILE") in names}
    assert len(names) == len(set(names))
    assert env.asked | COMPOSE == {*names} | in_files


def test_the_defaults_of_the_example_are_true(read: Read) -> None:
    """Uncomment every line that has a value: nothing changes."""
    here = PRODUCTION | {"SOVD_VAR_DIR": "", "PROMETHEUS_MULTIPROC_DIR": ""}
    example = {name: value for name, value in EXAMPLE if value and name not in PRODUCTION}
    default, uncommented = (
        {name: value for name, value in read(**given).items() if name.isupper()}
        for given in (here, here | example)
    )
    del default["LOGGING"], uncommented["LOGGING"]  # objects that equal themselves alone
    assert uncommented == default


def test_the_table_of_the_readme_has_true_defaults() -> None:
    example = dict(EXAMPLE)
    table = (BASE / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (`[A-Z].*?) \| (.*?) \|", table)
    assert len(rows) > 10
    for names, defaults in rows:
        named = re.findall(r"`(\w+)`", names)
        assert named == [name for name in named if name in env.asked]
        if re.fullmatch(r"(none|[0-9][\w./]*)(, (none|[0-9][\w./]*))*", defaults):
            true = [example[name] if example[name][:1].isdecimal() else "none" for name in named]
            assert defaults.split(", ") == true


# --- Processes


def test_a_short_command_leaves_nothing_in_the_metrics_directory(tmp_path: Path) -> None:
    given = {"SOVD_VAR_DIR": tmp_path, "PROMETHEUS_MULTIPROC_DIR": tmp_path / "metrics"}
    assert run(*CHECK, **given).exit_code == 0
    assert not (tmp_path / "metrics").exists()


def test_channels_before_commands_is_an_error_of_the_system_check(tmp_path: Path) -> None:
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


def test_runworker_is_the_command_of_this_project() -> None:
    assert get_commands()["runworker"] == "commands"


def test_a_server_that_is_away_is_one_line_in_the_log() -> None:
    """A library shows its whole stack for it; other errors keep their stack."""
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
