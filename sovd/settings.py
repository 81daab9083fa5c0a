"""Settings of the SOVD command console, read from the environment alone.

Two modes, one code path. Embedded: neither DATABASE_URL nor REDIS_URL is set, and SQLite and the
in-memory channel layer serve one process. Production: both are set. Anything between refuses to
start, with one line that says what to set.
"""

import hmac
import logging
import os
import re
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NoReturn
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.management.utils import get_random_secret_key

from sovd import logs

BASE_DIR = Path(__file__).resolve().parent.parent
if (BASE_DIR / ".env").exists():
    environ.Env.read_env(BASE_DIR / ".env")


def refuse(message: str) -> NoReturn:
    raise SystemExit(f"sovd: will not start: {message}")


def text(name: str, default: str = "") -> str:
    """Empty counts as not set. (`env.str` would take a leading $ for another variable's name.)"""
    return os.environ.get(name, "").strip() or default


def secret(name: str) -> str:
    """From the variable, or from the file that the variable with _FILE behind its name names."""
    file = text(f"{name}_FILE")
    if text(name) or not file:
        return text(name)
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeError) as error:
        refuse(f"{name}_FILE={file} cannot be read ({error})")


def listed(name: str) -> list[str]:
    return [item.strip() for item in text(name).split(",") if item.strip()]


def number(name: str, default: float, least: float = 0, most: float = 1e9) -> float:
    given = text(name)
    try:
        value = float(given or default)
    except ValueError:
        refuse(f"{name}={given!r} is not a number")
    if not least <= value <= most:
        refuse(f"{name}={given} must lie between {least:g} and {most:g}")
    return value


def whole(name: str, default: int, least: int = 0, most: int = 10**9) -> int:
    value = number(name, default, least, most)
    if value != int(value):
        refuse(f"{name}={value:g} must be a whole number")
    return int(value)


def rate(name: str, default: str) -> str:
    """A number in a time. Here empty does not count as not set: it turns the limit off."""
    given = os.environ.get(name, default).strip()
    if given and not re.fullmatch("[1-9][0-9]{0,8}/(s|sec|m|min|h|hour|d|day)", given):
        refuse(f"{name}={given!r} must be a number in a time, such as 5/min, or empty for no limit")
    return given


def switch(name: str, default: bool) -> bool:
    given = text(name).lower()
    if given not in ("", "0", "1", "true", "false", "yes", "no", "on", "off"):
        refuse(f"{name}={given!r} is neither 1 nor 0")
    return given in ("1", "true", "yes", "on") if given else default


def address(name: str, schemes: set[str], form: str) -> str:
    url = secret(name)
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in schemes and parts.port != 0
    except ValueError:  # so says `port` of a port that is no number
        is_good = False
    if url and not is_good:
        refuse(f"{name} must be {form}")
    return url


def make_directory(name: str, path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(f"{name}={path} cannot be made ({error.strerror})")


# --- Mode

DATABASE_URL = address(
    "DATABASE_URL", {"postgres", "postgresql"}, "postgres://user:password@host:port/name"
)
REDIS_URL = address("REDIS_URL", {"redis", "rediss", "unix"}, "redis://host:port/0")
EMBEDDED = not DATABASE_URL and not REDIS_URL
DEBUG = switch("DEBUG", EMBEDDED)

if not EMBEDDED and not (DATABASE_URL and REDIS_URL):
    missing = "REDIS_URL" if DATABASE_URL else "DATABASE_URL"
    refuse(f"{missing} is not set; set both DATABASE_URL and REDIS_URL, or neither (embedded mode)")
if not DEBUG and EMBEDDED:
    refuse("DEBUG=0 needs DATABASE_URL and REDIS_URL")

VAR_DIR = Path(text("SOVD_VAR_DIR", str(BASE_DIR / "var")))
if EMBEDDED:
    make_directory("SOVD_VAR_DIR", VAR_DIR)


def kept_secret_key(path: Path) -> str:
    """A key made once, so that sessions and tokens outlive a restart of the embedded mode."""
    if not path.exists():
        with NamedTemporaryFile("w", dir=path.parent) as draft:  # has mode 0600
            draft.write(get_random_secret_key())
            draft.flush()
            with suppress(FileExistsError):  # another process was faster: its key is the key
                os.link(draft.name, path)
    return path.read_text()


EXAMPLES = ("django-insecure-", "change-me", "changeme", "change_me")
SECRET_KEY = secret("SECRET_KEY")
ALLOWED_HOSTS = listed("ALLOWED_HOSTS")
if not SECRET_KEY and EMBEDDED:
    SECRET_KEY = kept_secret_key(VAR_DIR / "secret_key")
if not EMBEDDED and not DEBUG and len(SECRET_KEY) < 32:
    refuse("SECRET_KEY must be set, to at least 32 random characters")
if not SECRET_KEY:
    refuse("SECRET_KEY is not set")
if not DEBUG and SECRET_KEY.lower().startswith(EXAMPLES):
    refuse("SECRET_KEY is an example; set it to at least 32 random characters")

# What signs the tokens is not what signs the sessions: neither is worth anything for the other.
TOKEN_SIGNING_KEY = secret("TOKEN_SIGNING_KEY")
if TOKEN_SIGNING_KEY and len(TOKEN_SIGNING_KEY) < 32:
    refuse("TOKEN_SIGNING_KEY must have at least 32 random characters, or not be set")
if not TOKEN_SIGNING_KEY:
    TOKEN_SIGNING_KEY = hmac.new(SECRET_KEY.encode(), b"sovd tokens", "sha256").hexdigest()
if not DEBUG and not ALLOWED_HOSTS:
    refuse("ALLOWED_HOSTS is not set; name the hosts that people type, separated by commas")
CSRF_TRUSTED_ORIGINS = listed("CSRF_TRUSTED_ORIGINS")

# --- Transport, and what browsers may do with our pages

# By http everything works: on a laptop, in `make stack`, for health checks. What comes by https is
# told to stay there, and its cookies are marked so (`sovd.middleware.SecureCookies`). That a
# request came by https is what a proxy says in this header; then plain http is redirected, too.
SECURE_HSTS_SECONDS = 365 * 24 * 3600
if proxy_header := text("SECURE_PROXY_SSL_HEADER"):
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{proxy_header.upper().replace('-', '_')}", "https")
    SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]  # asked by machines, inside
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # subdomains are not ours to speak for,
    "security.W021",  # nor are browsers' preload lists
    "security.W008",  # the redirect: above
    "security.W012",  # the cookies: above
    "security.W016",
]
TRUSTED_PROXIES = whole("TRUSTED_PROXIES", 0, most=10)

# Pages with forms say `same-origin` in themselves: without a referrer a browser sends the form
# with `Origin: null`, which the protection against forged requests refuses.
SECURE_REFERRER_POLICY = "no-referrer"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- Applications

# `commands` before `channels`: both have a command named runworker (a system check watches).
# `daphne` before `staticfiles`: so that runserver speaks WebSocket.
INSTALLED_APPS = [
    "daphne",
    "django_prometheus",
    "vehicles",
    "commands",
    "sovd.apps.AdminConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "axes",
    "csp",
]
MIDDLEWARE = [
    "sovd.middleware.probes",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "sovd.middleware.SecureCookies",
    "csp.middleware.CSPMiddleware",
    "sovd.compression.Gzip",  # pages too: the only secret in them, the CSRF token, is masked
    "sovd.compression.StaticFiles",
    "sovd.middleware.RefuseNul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "sovd.middleware.DatabaseAway",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "sovd.urls"
ASGI_APPLICATION = "sovd.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
SERVESTATIC_USE_FINDERS = True  # no collectstatic step: the files are served from their apps
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_ALLOW_ALL_ORIGINS = False  # no other site has any business with them
SERVESTATIC_MAX_AGE = 0  # asked for again, by ETag: no page of today runs a module of yesterday
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: who failed too often is not even looked at
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = "sovd.formats"

# --- Database and channel layer

# Under ASGI each request runs in a thread of its own, where a persistent connection does not
# persist: Django's pool takes its place.
DATABASE_POOL_SIZE = whole("DATABASE_POOL_SIZE", 20, least=2)
if EMBEDDED:
    DATABASES: dict[str, dict[str, Any]] = {
        "default": {
            "ENGINE": "sovd.sqlite",
            "NAME": VAR_DIR / "sovd.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
            "TEST": {"NAME": VAR_DIR / "test.sqlite3"},
        }
    }
    CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"capacity": 10_000},  # its own 100 dropped 400 of 500 messages
        }
    }
else:
    database = environ.Env.db_url_config(DATABASE_URL, engine="sovd.postgres")
    if not database["NAME"]:
        refuse("DATABASE_URL names no database: it must end with /name")
    pool = {
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        # Its own are 30 and 300 seconds, the latter with ever longer pauses: after an outage of
        # a minute it would not look again for another minute. And a socket whose opening takes
        # longer than the server has patience with is dropped without a word.
        "timeout": 4,
        "reconnect_timeout": 10,
    }
    asked = database.get("OPTIONS", {})  # the query of the URL, such as ?sslmode=require
    # A process that is frozen or unplugged between UPDATE and COMMIT holds its row locks: no
    # other may wait for it for long.
    limits = "-c idle_in_transaction_session_timeout=10s -c lock_timeout=5s"
    network = {"keepalives_idle": 10, "keepalives_interval": 5, "tcp_user_timeout": 20_000}
    options = {"options": f"{limits} {asked.get('options', '')}".strip(), "pool": pool}
    DATABASES = {
        "default": {
            **database,
            "CONN_MAX_AGE": 0,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {**network, **asked, **options},
        }
    }
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
    }

# --- API

ACCESS_TOKEN_SECONDS = whole("ACCESS_TOKEN_SECONDS", 900, least=1)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(seconds=ACCESS_TOKEN_SECONDS),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "SIGNING_KEY": TOKEN_SIGNING_KEY,
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "commands.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["sovd.parsers.PlainJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "sovd.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "sovd.errors.explain",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SOVD command console",
    "DESCRIPTION": "Send diagnostic commands to vehicles and follow their answers.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "OAS_VERSION": "3.1.0",  # whose schemas are those of the catalogue
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "sovd.schema.complete",
    ],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- Limits

REQUEST_SECONDS = number("REQUEST_SECONDS", 30, least=1)
THROTTLE_LOGIN = rate("THROTTLE_LOGIN", "5/min")
THROTTLE_COMMANDS = rate("THROTTLE_COMMANDS", "60/min")
HANDSHAKE_SECONDS = number("HANDSHAKE_SECONDS", 10, least=1)
CLIENT_FRAME_BYTES = whole("CLIENT_FRAME_BYTES", 65_536)
CLIENT_FRAMES_PER_MINUTE = whole("CLIENT_FRAMES_PER_MINUTE", 60)
STREAMS_PER_USER = whole("STREAMS_PER_USER", 2_000, least=1)
STREAMS_PER_PROCESS = whole("STREAMS_PER_PROCESS", 10_000, least=1)
EXPORT_ROWS = whole("EXPORT_ROWS", 100_000, least=1, most=10_000_000)

# django-axes: wrong passwords on the log-in pages.
AXES_ENABLED = bool(THROTTLE_LOGIN)
if AXES_ENABLED:
    failures, _, unit = THROTTLE_LOGIN.partition("/")
    AXES_FAILURE_LIMIT = int(failures)
    AXES_COOLOFF_TIME = timedelta(seconds={"s": 1, "m": 60, "h": 3600, "d": 86400}[unit[0]])
AXES_HANDLER = "commands.lock_out.Handler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_WHITELIST_CALLABLE = "commands.lock_out.is_of_the_api"
AXES_LOCKOUT_CALLABLE = "commands.lock_out.answer"
AXES_CLIENT_IP_CALLABLE = "commands.limits.client_address"

# --- Commands, vehicles, worker

COMMAND_TIMEOUT_SECONDS = number("COMMAND_TIMEOUT_SECONDS", 30, least=0.05)
COMMAND_EXPIRES_SECONDS = number("COMMAND_EXPIRES_SECONDS", 300, least=1)
COMMAND_LEASE_SECONDS = number("COMMAND_LEASE_SECONDS", 30, least=1)
STREAM_POLL_SECONDS = number("STREAM_POLL_SECONDS", 3, least=0.05)
WORKER_CONCURRENCY = whole("WORKER_CONCURRENCY", 32, least=1, most=10_000)
WORKER_METRICS_PORT = whole("WORKER_METRICS_PORT", 0, most=65_535)
WEB_METRICS_PORT = whole("WEB_METRICS_PORT", 0, most=65_535)
METRICS_TOKEN = secret("METRICS_TOKEN")
VEHICLE_PRESENCE_SECONDS = number("VEHICLE_PRESENCE_SECONDS", 30, least=1)
MOCK_VEHICLE_LATENCY_SECONDS = number("MOCK_VEHICLE_LATENCY_SECONDS", 0.5)
MOCK_VEHICLE_TIMEOUT_RATE = number("MOCK_VEHICLE_TIMEOUT_RATE", 0, most=1)
MOCK_VEHICLE_UNREACHABLE_RATE = number("MOCK_VEHICLE_UNREACHABLE_RATE", 0, most=1)
MOCK_VEHICLE_MALFORMED_RATE = number("MOCK_VEHICLE_MALFORMED_RATE", 0, most=1)
MOCK_VEHICLE_SEED = whole("MOCK_VEHICLE_SEED", 0)


# --- For tests alone

FAILPOINT = "(before_send|after_send|before_commit|after_commit|after_publish)=(kill|cut)@([0-9]+)"


def failpoints(name: str) -> dict[tuple[str, int], str]:
    """The action at a point, and at which time: see commands/failpoints.py."""
    given = [re.fullmatch(FAILPOINT, item) for item in listed(name)]
    if None in given:
        refuse(f"{name} must be a list of such as after_commit=kill@2; leave it unset")
    return {(match[1], int(match[3])): match[2] for match in given if match}


FAILPOINTS = failpoints("FAILPOINTS")
VEHICLE_JOURNAL_DIR = text("VEHICLE_JOURNAL_DIR")

# --- Metrics and logs

LONG_RUNNING = (["serve"], ["runserver"], ["runworker"])

# The processes of one host meet in one directory (prometheus_client's multiprocess mode), so that
# the web server's /metrics shows the worker's counters too. It has to be named before
# prometheus_client is imported for the first time. One-shot commands leave nothing there.
METRICS_DIR = Path(text("PROMETHEUS_MULTIPROC_DIR", str(VAR_DIR / "metrics")))
if Path(sys.argv[0]).name != "manage.py" or sys.argv[1:2] in LONG_RUNNING:
    make_directory("PROMETHEUS_MULTIPROC_DIR", METRICS_DIR)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING = logs.configuration(readable=DEBUG)
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG  # one line a request: when it has finished
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_USER_ID_FIELD = ""  # it would ask the database for it: see sovd.middleware
