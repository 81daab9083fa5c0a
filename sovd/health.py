"""Health, readiness and metrics of a web process."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from ipaddress import IPv6Address, ip_address
from time import monotonic

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST

from commands.api.exceptions import refused_writes
from commands.database.errors import READ_ONLY
from commands.database.probe import probe
from commands.metrics import scrape

logger = logging.getLogger(__name__)

LAYER_SECONDS = 2
ANSWER_SECONDS = 1  # a result of the checks is used for so long
FORWARDED = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"]


async def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


async def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 503 if requests fail; 200 if all is well, or if only live messages are late."""
    problems = await readiness.problems()
    is_ready = problems.keys() <= DELAYING
    status = "unavailable" if not is_ready else "degraded" if problems else "ok"
    body = {"status": status, "problems": problems}
    return JsonResponse(body, status=200 if is_ready else 503)


async def metrics(request: HttpRequest) -> HttpResponse:
    if may_scrape(request):
        page = await sync_to_async(scrape.page, thread_sensitive=False)()
        return HttpResponse(page, content_type=CONTENT_TYPE_LATEST)
    problem = "Metrics are for this host, or for requests with METRICS_TOKEN as Bearer token.\n"
    return HttpResponse(problem, content_type="text/plain", status=403)


def may_scrape(request: HttpRequest) -> bool:
    """Return whether the request has the token, or, if none is set, comes from this host."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    return _is_loopback(request.META.get("REMOTE_ADDR", "")) and not any(
        name in request.headers for name in FORWARDED
    )


def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:  # a Unix socket has none
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


PROBES: dict[str, Callable[[HttpRequest], Awaitable[HttpResponse]]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}

# --- Ready


class NotReady(Exception):
    """Failed check. Its message is for everybody, and names no host."""


class Readiness:
    """Runner of the checks, one run at a time. Its result is used for a second."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readyz")
        self._problems: dict[str, str] = {}
        self._valid_until = 0.0

    async def problems(self) -> dict[str, str]:
        """Return a sentence for each thing that does not work, by its name."""
        return await asyncio.wrap_future(self._thread.submit(self._check))

    def _check(self) -> dict[str, str]:
        if monotonic() > self._valid_until:
            found = {name: self._problem(name) for name in CHECKS}
            self._problems = {name: problem for name, problem in found.items() if problem}
            self._valid_until = monotonic() + ANSWER_SECONDS
        return self._problems

    def _problem(self, name: str) -> str:
        check, sentence = CHECKS[name]
        try:
            check()
        except NotReady as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - any error means that it is not ready
            if name not in self._problems:
                logger.warning("Not ready: %s (%s)", name, str(error).strip() or repr(error))
            return sentence
        return ""


readiness = Readiness()


def _database() -> None:
    with probe() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        if connection.vendor == "postgresql":
            cursor.execute("SHOW transaction_read_only")
            if cursor.fetchone() == ("on",):
                raise NotReady(f"{READ_ONLY}.")
    if reason := refused_writes.reason():
        raise NotReady(f"{reason}.")


def _migrations() -> None:
    with suppress(DatabaseError):  # the check of the database reports it
        check_migrated()


@cache  # migrations that were applied stay applied; an exception is not cached
def check_migrated() -> None:
    newest = set(MigrationLoader(None).graph.leaf_nodes())
    with probe() as connection:
        missing = newest - _applied(connection)
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in sorted(missing))
        raise NotReady(f"Run manage.py migrate; not applied: {names}")


def _applied(connection: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    """Return the applied migrations; Django's own recorder would use another connection."""
    if "django_migrations" not in connection.introspection.table_names():
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        return set(cursor.fetchall())


def _channel_layer() -> None:
    asyncio.run(_publish())


async def _publish() -> None:
    async with asyncio.timeout(LAYER_SECONDS):
        await get_channel_layer().group_send("readyz", {"type": "readyz"})


CHECKS: dict[str, tuple[Callable[[], None], str]] = {
    "database": (_database, "The database does not answer."),
    "migrations": (_migrations, "The migrations cannot be read."),
    "channel_layer": (
        _channel_layer,
        "Redis takes no messages: everything works, but events and commands arrive seconds later.",
    ),
}
DELAYING = {"channel_layer"}
