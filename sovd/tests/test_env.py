"""Readers of settings: the right value for each good spelling, one line for each wrong one."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from sovd import env

GOOD: list[tuple[Any, str, object]] = [
    (env.env_str, "  text ", "text"),
    (env.env_str, "$text", "$text"),
    (env.env_list, "a, b,,c,", ["a", "b", "c"]),
    (env.env_hosts, "*", ["*"]),
    (env.env_hosts, ".example.com, LOCALHOST,10.0.0.7,", [".example.com", "LOCALHOST", "10.0.0.7"]),
    (env.env_hosts, "[::1]", ["[::1]"]),
    (env.env_networks, "", []),
    (env.env_networks, "10.20.0.0/16, ::1", [ip_network("10.20.0.0/16"), ip_network("::1/128")]),
    (env.env_origins, "https://Example.com/", ["https://example.com"]),
    (env.env_origins, "https://a.com:443,http://b.com:80", ["https://a.com", "http://b.com"]),
    (
        env.env_origins,
        "https://a.com:8443,http://[::1]:443",
        ["https://a.com:8443", "http://[::1]:443"],
    ),
    (env.env_origins, "https://*.example.com", ["https://*.example.com"]),
    (env.env_https_header, "", None),
    (env.env_https_header, "X-Forwarded-Proto", ("HTTP_X_FORWARDED_PROTO", "https")),
    (env.env_https_header, "HTTP_X_FORWARDED_PROTO", ("HTTP_X_FORWARDED_PROTO", "https")),
    (env.env_https_header, "HTTP_X_FORWARDED_PROTO,https", ("HTTP_X_FORWARDED_PROTO", "https")),
    (
        env.env_https_header,
        "('HTTP_X_FORWARDED_PROTO', 'https')",
        ("HTTP_X_FORWARDED_PROTO", "https"),
    ),
    (env.env_redis, "redis://user:p%23ss@host:6379/1", "redis://user:p%23ss@host:6379/1"),
    (env.env_redis, "unix:///run/redis.sock", "unix:///run/redis.sock"),
    (env.env_redis, "rediss://host", "rediss://host"),
    (env.env_email, "", ("", 25, "", "", False, False)),
    (env.env_email, "smtp://host", ("host", 25, "", "", False, False)),
    (env.env_email, "smtps://u:p%40ss@host/", ("host", 465, "u", "p@ss", True, False)),
    (env.env_email, "smtp+tls://u:p@host:2525", ("host", 2525, "u", "p", False, True)),
]


@pytest.mark.parametrize(("read", "given", "value"), GOOD)
def test_a_good_value_is_read(read: Any, given: str, value: object) -> None:
    assert read({"NAME": given}, "NAME") == value


@pytest.mark.parametrize("given", ["1", "true", "YES", " on "])
def test_a_switch_is_on(given: str) -> None:
    assert env.env_bool({"NAME": given}, "NAME", False) is True


@pytest.mark.parametrize(("given", "value"), [("", 7), ("  ", 7), ("3", 3), ("1e3", 1000)])
def test_an_integer_has_a_default(given: str, value: int) -> None:
    assert env.env_int({"NAME": given}, "NAME", 7) == value


@pytest.mark.parametrize(("given", "value"), [({}, "5/min"), ({"NAME": " "}, "")])
def test_an_empty_rate_is_off_and_an_absent_one_is_not(given: Any, value: str) -> None:
    assert env.env_rate(given, "NAME", "5/min") == value


def test_a_relative_path_is_the_same_directory_wherever_a_process_starts() -> None:
    base, default = Path("/srv/sovd"), Path("var")
    assert env.env_path({}, "NAME", default, base) == Path("/srv/sovd/var")
    assert env.env_path({"NAME": "data"}, "NAME", default, base) == Path("/srv/sovd/data")
    assert env.env_path({"NAME": "/data"}, "NAME", default, base) == Path("/data")
    assert env.env_path({"NAME": "~/data"}, "NAME", default, base) == Path.home() / "data"


def float_of(given: Mapping[str, str], name: str) -> float:
    return env.env_float(given, name, 1, minimum=0.5, maximum=10)


def int_of(given: Mapping[str, str], name: str) -> int:
    return env.env_int(given, name, 1)


def bool_of(given: Mapping[str, str], name: str) -> bool:
    return env.env_bool(given, name, False)


def port_of(given: Mapping[str, str], name: str) -> int:
    return env.env_port(given, name, 0)


def rate_of(given: Mapping[str, str], name: str) -> str:
    return env.env_rate(given, name, "5/min")


WRONG: list[tuple[Any, list[str]]] = [
    (env.env_str, ["two\nlines", "nul\x00", "'quoted'", '"quoted"']),
    (bool_of, ["maybe", "2", "TRUE!"]),
    (float_of, ["soon", "30s", "0,5", "nan", "inf", "-inf", "-1", "0", "11", "1 0"]),
    (int_of, ["2.5", "-1", "nan", "inf", "1e10", "0x10"]),
    (port_of, ["65536", "-1", "http", "tcp://10.0.0.1:80", "8000-8002"]),
    (rate_of, ["often", "5", "0/min", "5/fortnight", "-5/min", "5 per min"]),
    (env.env_hosts, ["https://a.com", "a.com:8000", "a.com/x", "*.a.com", "a.com b.com"]),
    (env.env_hosts, ["a.com;b.com", "::1", "a.com.", "under_score.com", "['a.com']", "http:"]),
    (env.env_origins, ["a.com", "//a.com", "ws://a.com", "https://a.com/x", "https://", "*"]),
    (env.env_origins, ["https://a.com:0", "https://a.com:70000", "https://a.com b.com"]),
    (env.env_networks, ["10.20.0.1/16", "all", "10.20.0.0/33", "10.20.0.0-10.20.0.9", "::1/200"]),
    (env.env_https_header, ["X-Forwarded-Proto: https", "HTTP_X_SSL,on", "https,X-Proto", "1"]),
    (env.env_redis, ["http://host", "host:6379", "redis://host:99999/0", "redis://host:0"]),
    (env.env_redis, ["redis://host:port/0", "redis://host/name", "unix://"]),
    (env.env_redis, ["redis://:p#ss@host/0", "redis://:p/ss@host/0", "redis://:p?ss@host/0"]),
    (env.env_email, ["mail.example.com:25", "https://host", "smtp://host:port", "smtp://:25"]),
    (env.env_email, ["smtp://host:0", "smtp://host/path", "smtp://u:p/ss@host", "smtp://host?a=1"]),
    (env.env_database, ["mysql://host/name", "host:5432", "postgres://host:port/name"]),
    (env.env_database, ["postgres://host", "postgres://host/", "postgres://host:99999/name"]),
    (env.env_database, ["postgres://host:0/name", "postgres://host/name?sslmod=require"]),
    (env.env_database, ["postgres://u:p/ss@host/name", "postgres://u:1/ss@host/name"]),
    (env.env_database, ["postgres://u:p%ss@host/name", "postgres://u:p ss@host/name"]),
]


@pytest.mark.parametrize(
    ("read", "given"), [(read, given) for read, values in WRONG for given in values]
)
def test_a_wrong_value_is_refused_with_one_line(read: Any, given: str) -> None:
    with pytest.raises(SystemExit) as refused:
        read({"NAME": given}, "NAME")
    message = str(refused.value)
    assert message.startswith("sovd: will not start: NAME")
    assert "\n" not in message
    assert "ss@host" not in message


@pytest.mark.parametrize("password", ["p#ss", "p@ss", "p?ss", "p:ss", "p[ss]", "p%23ss", "p=ss"])
def test_a_database_password_may_hold_special_characters(password: str) -> None:
    database = env.env_database({"NAME": f"postgres://user:{password}@host:5433/name"}, "NAME")
    assert database == {
        "NAME": "name",
        "USER": "user",
        "PASSWORD": password.replace("%23", "#"),
        "HOST": "host",
        "PORT": "5433",
        "OPTIONS": {},
    }


def test_a_database_url_holds_what_libpq_knows() -> None:
    url = "postgresql://a:1,b:2/name?sslmode=require&options=-c%20x=y&application_name=a@b"
    database = env.env_database({"NAME": url}, "NAME")
    assert (database["HOST"], database["PORT"]) == ("a,b", "1,2")
    assert database["OPTIONS"] == {
        "sslmode": "require",
        "options": "-c x=y",
        "application_name": "a@b",
    }


# --- Files of secrets


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\ufeffsecret\r\n", encoding="utf-8")
    given = {"KEY_FILE": str(tmp_path / "key")}
    assert env.env_secret(given, "KEY") == "secret"
    assert env.env_secret(given | {"KEY": "other"}, "KEY") == "other"


@pytest.mark.parametrize("content", [b"", b" \n", b"two\nlines", b"\xff\xfe"])
def test_a_file_that_holds_no_secret_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SystemExit, match="KEY"):
        env.env_secret({"KEY_FILE": str(tmp_path / "key")}, "KEY")


@pytest.mark.parametrize("file", ["/nowhere", "/"])
def test_a_file_that_cannot_be_read_is_refused(file: str) -> None:
    with pytest.raises(SystemExit, match=f"KEY_FILE={file} cannot be read"):
        env.env_secret({"KEY_FILE": file}, "KEY")


# --- .env


def env_file(directory: Path, content: str, encoding: str = "utf-8") -> Path:
    file = directory / ".env"
    file.write_text(content, encoding=encoding, newline="")
    return file


@pytest.mark.parametrize(
    "line",
    [
        "NAME=a#b",
        "NAME = a#b ",
        "NAME= a#b",
        "  NAME=a#b",
        "export NAME=a#b",
        "NAME='a#b'",
        'NAME="a#b"',
        'NAME = "a#b"  # a comment',
        "NAME=a#b # a comment",
        "\ufeffNAME=a#b\r\n\r\n# a comment\r\n",
    ],
)
def test_a_line_of_the_env_file_is_read(line: str, tmp_path: Path) -> None:
    assert env.read_env_file(env_file(tmp_path, line)) == {"NAME": "a#b"}


@pytest.mark.parametrize(
    "content",
    [
        "NAME",
        "NAME secret",
        "NAME: secret",
        "- NAME=secret",
        "NAME='secret",
        "NAME='secret'x",
        "=secret",
        'NAME="secret\nOTHER=b"',
        "NAME=secret\nOTHER=b\nNAME=secret",
    ],
)
def test_a_wrong_line_of_the_env_file_is_refused_unseen(content: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"\.env, line [0-9]+: ") as refused:
        env.read_env_file(env_file(tmp_path, content))
    assert "secret" not in str(refused.value)


def test_an_env_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("/nowhere")
    for path in (tmp_path, tmp_path / "dangling", env_file(tmp_path, "NAME=a", "utf-16")):
        with pytest.raises(SystemExit, match="cannot be read"):
            env.load_env_file(path, {})


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    given = {"A": "1", "B": ""}
    names = env.load_env_file(env_file(tmp_path, "A=2\nB=2\nC=2"), given)
    assert names == {"A", "B", "C"}
    assert given == {"A": "1", "B": "", "C": "2"}


# --- Names

NAMES = {"DATABASE_URL", "REDIS_URL", "COMMAND_TIMEOUT_SECONDS", "SECRET_KEY", "PORT", "DEBUG"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATABSE_URL", "DATABASE_URL"),
        ("database_url", "DATABASE_URL"),
        ("DATABASE-URL", "DATABASE_URL"),
        ("COMAND_TIMEOUT_SECONDS", "COMMAND_TIMEOUT_SECONDS"),
        ("COMMAND_TIMEOUT_SECOND", "COMMAND_TIMEOUT_SECONDS"),
        ("REDIS_URI", "REDIS_URL"),
    ],
)
def test_a_misspelt_name_is_refused_wherever_it_stands(name: str, meant: str) -> None:
    with pytest.raises(SystemExit, match=f"{name} is not a setting: do you mean {meant}"):
        env.refuse_misspelt([name], NAMES)
    with pytest.raises(SystemExit, match=f"{name} in .env is not a setting: do you mean {meant}"):
        env.refuse_unknown([name], NAMES)


def test_names_of_other_programs_are_left_alone() -> None:
    given = ["REDIS_TLS_URL", "TEST_DATABASE_URL", "SECRET_KEY_BASE", "POST", "DEBUGGER", "PATH"]
    env.refuse_misspelt(given, NAMES)
    env.refuse_misspelt(["REDIS_URI", "REDIS_URL"], NAMES)
    env.refuse_unknown(
        ["COMPOSE_FILE", "PGSSLROOTCERT", "http_proxy", "NO_PROXY", "TZ", "PORT"], NAMES
    )


@pytest.mark.parametrize("name", ["COMMAND_TIMEOUT", "TIMEOUT", "FOO"])
def test_an_unknown_name_in_the_env_file_is_refused(name: str) -> None:
    with pytest.raises(SystemExit, match=f"{name} in .env is not a setting"):
        env.refuse_unknown([name], NAMES)
