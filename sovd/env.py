"""Readers of settings from the environment. Each refuses a wrong value with one line.

All but `load_env_file` are pure functions of a mapping from names to values. Empty counts as not
set, except for rates, where it means "no limit". A secret is never part of a message.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dotenv.parser import Binding, parse_stream
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from commands.start_refusal import refuse

HOST = r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
OTHER_PROGRAMS = re.compile(
    r"(COMPOSE|DOCKER|DJANGO|PYTHON|PG|SSL|LC|GF)_?[A-Z]|(?i:https?|no|all)_(?i:proxy)$|(TZ|LANG)$"
)
SIMILAR = 0.88  # DATABSE_URL, but not the TEST_DATABASE_URL or REDIS_TLS_URL of another program
DATABASE_FORM = (
    "must be postgres://user:password@host:port/name?sslmode=require, with options of libpq only; "
    "in the password write / as %2F, % as %25 and a blank as %20"
)
REDIS_FORM = (
    "must be redis://:password@host:port/0 or unix:///path; "
    "in the password write # as %23, / as %2F, ? as %3F and % as %25"
)
MAIL_FORM = (
    "must be smtp://user:password@host:25, smtps:// (TLS from the beginning) or smtp+tls:// "
    "(STARTTLS); in the password write / as %2F, @ as %40, # as %23 and % as %25"
)


class Environment(Mapping[str, str]):
    """A mapping that remembers the names that it was asked for, which are those of settings."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def reason(error: OSError | UnicodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8 text"


# --- Values


def env_str(env: Mapping[str, str], name: str, default: str = "") -> str:
    value = env.get(name, "").strip()
    if CONTROL.search(value):
        refuse(f"{name} must be one line without control characters")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        refuse(f"{name} is in quotes, which would be part of its value: set it without them")
    return value or default


def env_secret(env: Mapping[str, str], name: str) -> str:
    """Return the variable, or the content of the file that the variable NAME_FILE names."""
    value, file = env_str(env, name), env_str(env, f"{name}_FILE")
    if value or not file:
        return value
    try:
        content = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        refuse(f"{name}_FILE={file} cannot be read ({reason(error)})")
    return env_str({name: content}, name) or refuse(f"{name}_FILE={file} is empty")


def env_list(env: Mapping[str, str], name: str) -> list[str]:
    return [item.strip() for item in env_str(env, name).split(",") if item.strip()]


def env_bool(env: Mapping[str, str], name: str, default: bool) -> bool:
    value = env_str(env, name).lower()
    if value not in ("", "0", "1", "true", "false", "yes", "no", "on", "off"):
        refuse(f"{name}={value!r} must be 1 or 0")
    return value in ("1", "true", "yes", "on") if value else default


def env_float(
    env: Mapping[str, str], name: str, default: float, minimum: float = 0, maximum: float = 10**9
) -> float:
    value = env_str(env, name, str(default))
    try:
        number = float(value)
    except ValueError:
        refuse(f"{name}={value!r} is not a number")
    if not minimum <= number <= maximum:  # nor is NaN
        refuse(f"{name}={value} must be from {minimum:,} to {maximum:,}")
    return number


def env_int(
    env: Mapping[str, str], name: str, default: int, minimum: int = 0, maximum: int = 10**9
) -> int:
    number = env_float(env, name, default, minimum, maximum)
    if not number.is_integer():
        refuse(f"{name}={number} must be a whole number")
    return int(number)


def env_port(env: Mapping[str, str], name: str, default: int, minimum: int = 0) -> int:
    return env_int(env, name, default, minimum, 65_535)


def env_rate(env: Mapping[str, str], name: str, default: str) -> str:
    """Return a number per time, such as 5/min. Empty is no limit here, and absent the default."""
    value = env_str(env, name) if name in env else default
    if value and not re.fullmatch("[1-9][0-9]{0,8}/(s|sec|m|min|h|hour|d|day)", value):
        refuse(f"{name}={value!r} must be a number per time, such as 5/min, or empty for no limit")
    return value


def env_path(env: Mapping[str, str], name: str, default: Path, base: Path) -> Path:
    """Return a path. A relative one is below `base`, wherever the process was started."""
    return base / Path(env_str(env, name, str(default))).expanduser()


# --- Hosts, origins, headers


def env_hosts(env: Mapping[str, str], name: str) -> list[str]:
    hosts = env_list(env, name)
    for host in hosts:
        if not re.fullmatch(rf"\*|\.?{HOST}", host, re.IGNORECASE):
            refuse(
                f"{name}: {host!r} is not a host name: write console.example.com, "
                "without scheme, port and path, and commas between several"
            )
    return hosts


def env_networks(env: Mapping[str, str], name: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(item) for item in env_list(env, name)]
    except ValueError as error:
        refuse(f"{name}: {error}; write networks such as 10.20.0.0/16, and commas between several")


def env_origins(env: Mapping[str, str], name: str) -> list[str]:
    """Return origins as browsers write them: in small letters, without the default port."""
    return [_origin(name, given) for given in env_list(env, name)]


def _origin(name: str, given: str) -> str:
    origin = re.sub(r"(?<=^http)(://.*):80$|(?<=^https)(://.*):443$", r"\1\2", given.rstrip("/"))
    match = re.fullmatch(rf"https?://(?:\*\.)?{HOST}(?::([0-9]+))?", origin, re.IGNORECASE)
    if not match or not 0 < int(match[1] or 1) < 65_536:
        refuse(
            f"{name}: {given!r} is not an origin: write https://console.example.com, "
            "with scheme and without path, and commas between several"
        )
    return origin.lower()


def env_https_header(env: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """Return Django's pair for a header such as X-Forwarded-Proto, which may also be given in
    Django's own spelling: HTTP_X_FORWARDED_PROTO, alone or with ",https"."""
    value = env_str(env, name)
    words = re.sub(r"[\s()'\"]", "", value).rstrip(",").upper().replace("-", "_").split(",")
    header, is_secure = words[0].removeprefix("HTTP_"), words[1:] in ([], ["HTTPS"])
    if value and not (is_secure and re.fullmatch("[A-Z][A-Z0-9_]*", header)):
        refuse(f"{name}={value!r} must be the name of a header, such as X-Forwarded-Proto")
    return (f"HTTP_{header}", "https") if value else None


# --- Addresses of servers


def env_database(env: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return Django's settings of the Postgres database that a URL names, read by libpq."""
    url = env_secret(env, name)
    if not url:
        return {}
    # libpq takes the first @ as the end of the password, and wants a = in a value as %3D.
    url = re.sub(r"(?<=://)[^/?]*(?=@)", lambda match: match[0].replace("@", "%40"), url)
    url = re.sub(r"([?&]\w+=)([^&]*)", lambda m: m[1] + m[2].replace("=", "%3D"), url)
    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
    except ProgrammingError:  # its message may hold the password
        refuse(f"{name} {DATABASE_FORM}")
    database = {
        setting: parts.pop(part, "")
        for setting, part in [
            ("NAME", "dbname"),
            ("USER", "user"),
            ("PASSWORD", "password"),
            ("HOST", "host"),
            ("PORT", "port"),
        ]
    }
    is_url = re.match("postgres(ql)?://", url)
    if not is_url or not all(_is_port(port) for port in database["PORT"].split(",")):
        refuse(f"{name} {DATABASE_FORM}")
    if not database["NAME"]:
        refuse(f"{name} names no database: it must end with /name")
    if re.search("[/@]", database["NAME"]):
        refuse(f"{name} {DATABASE_FORM}")
    return database | {"OPTIONS": parts}


def _is_port(text: str) -> bool:
    return not text or (text.isdecimal() and 0 < int(text) < 65_536)


def env_redis(env: Mapping[str, str], name: str) -> str:
    url = env_secret(env, name)
    try:
        parts = urlsplit(url)
        is_good = parts.port != 0 and not parts.fragment and "@" not in parts.path + parts.query
    except ValueError:  # a port that is no number
        refuse(f"{name} {REDIS_FORM}")
    path = "/.+" if parts.scheme == "unix" else "/?|/[0-9]+"
    if url and not (
        is_good and parts.scheme in ("redis", "rediss", "unix") and re.fullmatch(path, parts.path)
    ):
        refuse(f"{name} {REDIS_FORM}")
    return url


MAIL_PORTS = {"smtp": 25, "smtps": 465, "smtp+tls": 587}


def env_email(env: Mapping[str, str], name: str) -> tuple[str, int, str, str, bool, bool]:
    """Return the host, the port, the user and the password of a mail server, and whether the
    connection begins with TLS, or turns to it. Without a URL the host is empty."""
    url = env_secret(env, name)
    try:
        parts = urlsplit(url or "smtp:")
        port = parts.port or MAIL_PORTS[parts.scheme]
    except (KeyError, ValueError):  # another scheme, or a port that is no number
        refuse(f"{name} {MAIL_FORM}")
    rest = parts.path.strip("/") or parts.query or parts.fragment
    if url and (not parts.hostname or parts.port == 0 or rest):
        refuse(f"{name} {MAIL_FORM}")
    login = [unquote(text or "") for text in (parts.username, parts.password)]
    is_tls = [parts.scheme == scheme for scheme in ("smtps", "smtp+tls")]
    return (parts.hostname or "", port, login[0], login[1], is_tls[0], is_tls[1])


# --- .env


def load_env_file(path: Path, environ: MutableMapping[str, str]) -> set[str]:
    """Set the variables of the file that the environment does not set; return all their names."""
    values = read_env_file(path) if path.exists() or path.is_symlink() else {}
    for name, value in values.items():
        environ.setdefault(name, value)
    return set(values)


def read_env_file(path: Path) -> dict[str, str]:
    """Return the values of a .env file, written as docker compose reads it."""
    values: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            bindings = list(parse_stream(file))
    except (OSError, UnicodeError) as error:
        refuse(f"{path} cannot be read ({reason(error)})")
    for binding in bindings:
        if binding.error or binding.key:
            _add_binding(values, path, binding)
    return values


def _add_binding(values: dict[str, str], path: Path, binding: Binding) -> None:
    """The line itself, which may hold a password, is never shown."""
    place = f"{path}, line {binding.original.line}"
    name, value = binding.key, binding.value
    if binding.error or name is None or value is None:
        refuse(f"{place}: write NAME=value, or # before a comment")
    if CONTROL.search(value):
        refuse(f"{place}: {name} must be one line without control characters")
    if name in values:
        refuse(f"{place}: {name} is set a second time: leave one of the lines")
    values[name] = value


# --- Names


def refuse_unknown(in_file: Iterable[str], names: set[str]) -> None:
    """Refuse a name in .env that is no setting, and no variable of another program."""
    for name in sorted(in_file):
        if name not in names and not OTHER_PROGRAMS.match(name):
            refuse(f"{name} in .env is not a setting: {_advice(name, names)}")


def refuse_misspelt(given: Iterable[str], names: set[str]) -> None:
    """Refuse a name in the environment, much like the name of a setting that is not set.

    The environment holds names of many other programs: only a close match is refused.
    """
    unset = {name for name in names if len(name) > 7} - set(given)
    for name in sorted(set(given) - names):
        if get_close_matches(_spelling(name), unset, 1, SIMILAR):
            refuse(f"{name} is not a setting: {_advice(name, names)}")


def _advice(name: str, names: set[str]) -> str:
    similar = get_close_matches(_spelling(name), sorted(names), 1)
    return f"do you mean {similar[0]}?" if similar else "see .env.example, or remove it"


def _spelling(name: str) -> str:
    return name.upper().replace("-", "_")
