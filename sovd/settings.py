"""Settings of the SOVD command console, read from the environment and from `.env`.

Two modes, one code path. Embedded: neither DATABASE_URL nor REDIS_URL is set, and SQLite and the
in-memory channel layer serve one process. Production: both are set. Anything between refuses to
start, with one line that says what to set.
"""

import hmac
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.conf import global_settings

from commands.start_refusal import refuse
from sovd import databases, logs
from sovd.env import (
    Environment,
    env_bool,
    env_database,
    env_email,
    env_float,
    env_hosts,
    env_https_header,
    env_int,
    env_networks,
    env_origins,
    env_path,
    env_port,
    env_rate,
    env_redis,
    env_secret,
    env_str,
    load_env_file,
    refuse_misspelt,
    refuse_unknown,
)
from sovd.local_files import kept_secret_key, make_directory

BASE_DIR = Path(__file__).resolve().parent.parent
names_in_file = load_env_file(BASE_DIR / ".env", os.environ)
env = Environment(os.environ)

# --- Mode

DATABASE = env_database(env, "DATABASE_URL")
REDIS_URL = env_redis(env, "REDIS_URL")
EMBEDDED = not DATABASE and not REDIS_URL
DEBUG = env_bool(env, "DEBUG", EMBEDDED)

if not EMBEDDED and not (DATABASE and REDIS_URL):
    missing = "REDIS_URL" if DATABASE else "DATABASE_URL"
    refuse(f"{missing} is not set; set both DATABASE_URL and REDIS_URL, or neither (embedded mode)")
if not DEBUG and EMBEDDED:
    refuse("DEBUG=0 needs DATABASE_URL and REDIS_URL")

VAR_DIR = env_path(env, "SOVD_VAR_DIR", Path("var"), BASE_DIR)
if EMBEDDED:
    make_directory("SOVD_VAR_DIR", VAR_DIR)

EXAMPLES = ("django-insecure-", "change-me", "changeme", "change_me")
SECRET_KEY = env_secret(env, "SECRET_KEY")
if not SECRET_KEY and EMBEDDED:
    SECRET_KEY = kept_secret_key(VAR_DIR / "secret_key")
if len(SECRET_KEY) < (1 if DEBUG else 32):
    refuse("SECRET_KEY must be set, to at least 32 random characters")
if not DEBUG and SECRET_KEY.lower().startswith(EXAMPLES):
    refuse("SECRET_KEY is an example; set it to at least 32 random characters")

# Tokens and sessions are signed by different keys: neither key can be used for the other.
TOKEN_SIGNING_KEY = env_secret(env, "TOKEN_SIGNING_KEY")
if TOKEN_SIGNING_KEY and len(TOKEN_SIGNING_KEY) < 32:
    refuse("TOKEN_SIGNING_KEY must have at least 32 random characters, or not be set")
if not TOKEN_SIGNING_KEY:
    TOKEN_SIGNING_KEY = hmac.new(SECRET_KEY.encode(), b"sovd tokens", "sha256").hexdigest()
ALLOWED_HOSTS = env_hosts(env, "ALLOWED_HOSTS")
if not DEBUG and not ALLOWED_HOSTS:
    refuse("ALLOWED_HOSTS is not set; name the hosts that people type, separated by commas")
CSRF_TRUSTED_ORIGINS = env_origins(env, "CSRF_TRUSTED_ORIGINS")

# --- Transport, and what browsers may do with our pages

# Everything works by http: on a laptop, in `make stack`, for health checks. A browser that came by
# https must stay there, and its cookies are marked so (`sovd.middleware.SecureCookies`). A proxy
# that ends TLS says `https` in this header; with it plain http is redirected, too.
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_PROXY_SSL_HEADER = env_https_header(env, "SECURE_PROXY_SSL_HEADER")
SECURE_SSL_REDIRECT = SECURE_PROXY_SSL_HEADER is not None
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]  # asked by machines, inside
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # subdomains belong to others,
    "security.W021",  # and so do browsers' preload lists
    "security.W008",  # the redirect: above
    "security.W012",  # the cookies: above
    "security.W016",
]
TRUSTED_PROXIES = env_int(env, "TRUSTED_PROXIES", 0, maximum=10)

# Pages with forms set `same-origin` themselves: without a referrer a browser sends the form with
# `Origin: null`, which the protection against forged requests refuses.
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
# `daphne` before `staticfiles`: so that runserver speaks WebSocket. `servestatic` before
# `daphne`: so that runserver leaves the static files to the application, as every other server.
INSTALLED_APPS = [
    "servestatic",
    "daphne",
    "django_prometheus",
    "vehicles",
    "commands",
    "sovd.apps.SovdConfig",  # the commands that start a server
    "sovd.apps.AdminConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "csp",
]
MIDDLEWARE = [
    "sovd.middleware.probes",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "sovd.middleware.SecureCookies",
    "csp.middleware.CSPMiddleware",
    "sovd.middleware.Gzip",  # pages too: the only secret in them, the CSRF token, is masked
    "sovd.middleware.RefuseNul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "commands.accounts.sessions.NoteSessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "sovd.middleware.Unanswerable",
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
STATIC_ROOT = env_path(env, "STATIC_ROOT", Path("var/static"), BASE_DIR)
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if sys.argv[1:2] == ["runserver"]  # an edit is seen at once, without collectstatic
        else "sovd.static_files.HashedStorage"
    }
}
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = ["commands.accounts.passwords.PasswordBackend"]
PASSWORD_HASHERS = [
    "commands.accounts.passwords.BoundedHasher",
    *global_settings.PASSWORD_HASHERS[1:],  # for users from elsewhere
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = "sovd.formats"

# --- Database and channel layer

DATABASE_POOL_SIZE = env_int(env, "DATABASE_POOL_SIZE", 20, minimum=2)
# Most of the pool, so that requests find a connection beside streams and exports. More threads only
# take turns: Python runs one at a time.
HTTP_THREADS = max(2, DATABASE_POOL_SIZE * 3 // 5)
STATEMENT_SECONDS = env_float(env, "STATEMENT_SECONDS", 30, minimum=0.1)
DATABASE_POOLER = env_bool(env, "DATABASE_POOLER", False)
DATABASE_LIMITS = databases.LIMITS
CHANNEL_LAYERS: dict[str, dict[str, Any]]
IN_MEMORY_LAYER = {
    "BACKEND": "channels.layers.InMemoryChannelLayer",
    # Its own capacity of 100 dropped 400 of 500 messages. By its own expiries a process receives
    # nothing more after a day, or after it was suspended for a minute.
    "CONFIG": {"capacity": 10_000, "expiry": 10**9, "group_expiry": 10**9},
}
if EMBEDDED:
    DATABASES = {"default": databases.sqlite(VAR_DIR)}
    CHANNEL_LAYERS = {"default": IN_MEMORY_LAYER}
else:
    DATABASES = {"default": databases.postgres(DATABASE, DATABASE_POOL_SIZE, DATABASE_POOLER)}
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "commands.channel_layer.PubSubLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
    }

# --- API

ACCESS_TOKEN_SECONDS = env_int(env, "ACCESS_TOKEN_SECONDS", 900, minimum=1)
REFRESH_TOKEN_DAYS = env_int(env, "REFRESH_TOKEN_DAYS", 14, minimum=1, maximum=365)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(seconds=ACCESS_TOKEN_SECONDS),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "SIGNING_KEY": TOKEN_SIGNING_KEY,
    "LEEWAY": timedelta(seconds=10),  # the clocks of two hosts differ by seconds
    "AUTH_TOKEN_CLASSES": ["commands.accounts.tokens.AccessToken"],
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "commands.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["commands.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["commands.api.pagination.Filters"],
    "DEFAULT_PAGINATION_CLASS": "commands.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "commands.api.errors.explain",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SOVD command console",
    "DESCRIPTION": "Send diagnostic commands to vehicles and follow their answers.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "OAS_VERSION": "3.1.0",  # its schemas are those of the catalogue
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "commands.api.schema.document.complete",
    ],
    "ENUM_NAME_OVERRIDES": {  # for fields that have the same name
        "StopReasonEnum": "commands.models.batch.StopReason",
        "CampaignStopReasonEnum": "commands.models.campaign.CampaignStop",
        "CampaignStateEnum": "commands.models.campaign.CampaignState",
        "DescriptionStateEnum": "vehicles.descriptions.models.State",
        "DeliveryStateEnum": "commands.models.webhook.DeliveryState",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Limits

REQUEST_SECONDS = env_float(env, "REQUEST_SECONDS", 30, minimum=1)
THROTTLE_LOGIN = env_rate(env, "THROTTLE_LOGIN", "5/min")
THROTTLE_COMMANDS = env_rate(env, "THROTTLE_COMMANDS", "60/min")
HANDSHAKE_SECONDS = env_float(env, "HANDSHAKE_SECONDS", 10, minimum=1)
STREAM_PING_SECONDS = env_float(env, "STREAM_PING_SECONDS", 20, minimum=0.1)
HANDSHAKES_AT_ONCE = env_int(env, "HANDSHAKES_AT_ONCE", 50, minimum=1)
CLIENT_FRAME_BYTES = env_int(env, "CLIENT_FRAME_BYTES", 65_536)
CLIENT_FRAMES_PER_MINUTE = env_int(env, "CLIENT_FRAMES_PER_MINUTE", 60)
REQUESTS_PER_USER = env_int(env, "REQUESTS_PER_USER", 10, minimum=1)
STREAMS_PER_USER = env_int(env, "STREAMS_PER_USER", 2_000, minimum=1)
STREAMS_PER_PROCESS = env_int(env, "STREAMS_PER_PROCESS", 10_000, minimum=1)
EXPORT_ROWS = env_int(env, "EXPORT_ROWS", 100_000, minimum=1, maximum=10_000_000)

# --- Commands, vehicles, worker

HOST = env_str(env, "HOST", "127.0.0.1")  # of `manage.py serve` and `runweb`, and the next
PORT = env_port(env, "PORT", 8000, minimum=1)
COMMAND_TIMEOUT_SECONDS = env_float(env, "COMMAND_TIMEOUT_SECONDS", 30, minimum=0.05)
COMMAND_EXPIRES_SECONDS = env_float(env, "COMMAND_EXPIRES_SECONDS", 300, minimum=1)
COMMAND_LEASE_SECONDS = env_float(env, "COMMAND_LEASE_SECONDS", 30, minimum=1)
COMMAND_MAX_RESPONSES = env_int(env, "COMMAND_MAX_RESPONSES", 10_000, minimum=1)
COMMAND_MAX_RESPONSE_BYTES = env_int(env, "COMMAND_MAX_RESPONSE_BYTES", 4_194_304, minimum=1)
STREAM_POLL_SECONDS = env_float(env, "STREAM_POLL_SECONDS", 3, minimum=0.05)
WORKER_CONCURRENCY = env_int(env, "WORKER_CONCURRENCY", 32, minimum=1, maximum=10_000)
WORKER_METRICS_PORT = env_port(env, "WORKER_METRICS_PORT", 0)
WEB_METRICS_PORT = env_port(env, "WEB_METRICS_PORT", 0)
METRICS_TOKEN = env_secret(env, "METRICS_TOKEN")
if not METRICS_TOKEN.isascii():
    refuse("METRICS_TOKEN must consist of ASCII characters: it is sent in a header")
VEHICLE_PRESENCE_SECONDS = env_float(env, "VEHICLE_PRESENCE_SECONDS", 30, minimum=1)
# Empty stands for every address but link-local ones, where clouds answer with their secrets.
CONNECTOR_ALLOWED_NETWORKS = env_networks(env, "CONNECTOR_ALLOWED_NETWORKS")
VEHICLE_PROBE_SECONDS = env_float(env, "VEHICLE_PROBE_SECONDS", 10, minimum=0.1)
if VEHICLE_PROBE_SECONDS >= VEHICLE_PRESENCE_SECONDS:
    refuse("VEHICLE_PROBE_SECONDS must be shorter than VEHICLE_PRESENCE_SECONDS")
READ_BACK_SECONDS = env_float(env, "READ_BACK_SECONDS", 10, minimum=0.1, maximum=600)
DESCRIPTION_MAX_MB = env_int(env, "DESCRIPTION_MAX_MB", 100, minimum=1, maximum=1_000)
DESCRIPTION_IMPORT_SECONDS = env_int(env, "DESCRIPTION_IMPORT_SECONDS", 600, minimum=1)
DESCRIPTION_IMPORT_MEMORY_MB = env_int(env, "DESCRIPTION_IMPORT_MEMORY_MB", 4_096, minimum=256)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024  # a campaign names up to 100,000 vehicles
RETENTION_DAYS = env_int(env, "RETENTION_DAYS", 0, maximum=36_500)
CAMPAIGN_APPROVAL_VEHICLES = env_int(env, "CAMPAIGN_APPROVAL_VEHICLES", 1_000)
# Beside the addresses of the public internet.
WEBHOOK_ALLOWED_NETWORKS = env_networks(env, "WEBHOOK_ALLOWED_NETWORKS")
WEBHOOK_ALLOW_HTTP = env_bool(env, "WEBHOOK_ALLOW_HTTP", False)
WEBHOOK_MAX_FAILURES = env_int(env, "WEBHOOK_MAX_FAILURES", 30, minimum=1)
WEBHOOK_LOG_DAYS = env_int(env, "WEBHOOK_LOG_DAYS", 7, minimum=1, maximum=3_650)
# Without EMAIL_URL no e-mails are sent, and none are offered.
(
    EMAIL_HOST,
    EMAIL_PORT,
    EMAIL_HOST_USER,
    EMAIL_HOST_PASSWORD,
    EMAIL_USE_SSL,
    EMAIL_USE_TLS,
) = env_email(env, "EMAIL_URL")
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env_str(env, "EMAIL_FROM", "sovd@localhost")
MAIL_AFTER_SECONDS = env_float(env, "MAIL_AFTER_SECONDS", 60)
SITE_URL = next(iter(env_origins(env, "SITE_URL")), "")  # of links in e-mails
PENDING_COMMANDS_PER_USER = env_int(env, "PENDING_COMMANDS_PER_USER", 10_000, minimum=1)
MOCK_VEHICLE_LATENCY_SECONDS = env_float(env, "MOCK_VEHICLE_LATENCY_SECONDS", 0.5)
MOCK_VEHICLE_TIMEOUT_RATE = env_float(env, "MOCK_VEHICLE_TIMEOUT_RATE", 0, maximum=1)
MOCK_VEHICLE_UNREACHABLE_RATE = env_float(env, "MOCK_VEHICLE_UNREACHABLE_RATE", 0, maximum=1)
MOCK_VEHICLE_MALFORMED_RATE = env_float(env, "MOCK_VEHICLE_MALFORMED_RATE", 0, maximum=1)
MOCK_VEHICLE_SEED = env_int(env, "MOCK_VEHICLE_SEED", 0)

# --- Metrics and logs

LONG_RUNNING = (["serve"], ["runweb"], ["runserver"], ["runworker"])

# The processes of one host share one directory (prometheus_client's multiprocess mode), so that
# the web server's /metrics shows the worker's counters too. prometheus_client reads the name when
# it is first imported. Commands that end by themselves leave nothing there.
METRICS_DIR = env_path(env, "PROMETHEUS_MULTIPROC_DIR", VAR_DIR / "metrics", BASE_DIR)
if Path(sys.argv[0]).name != "manage.py" or sys.argv[1:2] in LONG_RUNNING:
    make_directory("PROMETHEUS_MULTIPROC_DIR", METRICS_DIR)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING = logs.configuration(readable=DEBUG)
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG  # one line for each request: its end
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_USER_ID_FIELD = ""  # needs a query: see sovd.middleware

# --- Names: at the end, when every setting has been read

COMPOSE = {"POSTGRES_PASSWORD", "WEB_PORT"}  # Docker compose reads the same file
refuse_unknown(names_in_file, env.asked | COMPOSE)
refuse_misspelt([name for name in os.environ if os.environ[name]], env.asked | COMPOSE)
