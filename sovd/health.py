"""What machines ask a web process: is it alive, is it ready, how does it do."""

import asyncio
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from ipaddress import IPv6Address, ip_address
from uuid import uuid4

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST

from commands import scrape

CHECK_SECONDS = 2
RESEND_SECONDS = 0.1
FORWARDED = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"]


def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """503 with what is not ready, by name, in words."""
    problems = {name: problem for name, check in CHECKS.items() if (problem := _problem(check))}
    body = {"status": "unavailable" if problems else "ok", "problems": problems}
    return JsonResponse(body, status=503 if problems else 200)


def metrics(request: HttpRequest) -> HttpResponse:
    if may_scrape(request):
        return HttpResponse(scrape.page(), content_type=CONTENT_TYPE_LATEST)
    problem = "Metrics are for this host alone, or for those who send METRICS_TOKEN as Bearer.\n"
    return HttpResponse(problem, content_type="text/plain", status=403)


def may_scrape(request: HttpRequest) -> bool:
    """With the token, where there is one; else from this host, and not through a proxy on it."""
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


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}

# --- Ready


def _problem(check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return str(error).strip().splitlines()[0] if str(error) else type(error).__name__
    return ""


@contextmanager
def _probe() -> Iterator[BaseDatabaseWrapper]:
    """A connection of its own: the pool waits too long for a database that is away."""
    probe = connection.copy()
    options = probe.settings_dict["OPTIONS"]
    if options.pop("pool", None):
        options["connect_timeout"] = CHECK_SECONDS
    try:
        yield probe
    finally:
        probe.close()


def _database() -> None:
    with _probe() as probe, probe.cursor() as cursor:
        cursor.execute("SELECT 1")


class NotMigrated(Exception):
    """The tables are not yet those of this version."""


def _migrations() -> None:
    with suppress(DatabaseError):  # which is the other check's matter
        check_migrated()


@cache  # what was applied stays applied, and what raises is asked again
def check_migrated() -> None:
    newest = set(MigrationLoader(None).graph.leaf_nodes())
    with _probe() as probe:
        missing = newest - _applied(probe)
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in sorted(missing))
        raise NotMigrated(f"Run manage.py migrate; not applied: {names}")


def _applied(probe: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    """Django's own way to ask would not ask by this connection."""
    if "django_migrations" not in probe.introspection.table_names():
        return set()
    with probe.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        return set(cursor.fetchall())


_one_at_a_time = asyncio.Lock()
_mailbox = f"readyz.{uuid4().hex}"


@async_to_sync
async def _channel_layer() -> None:
    """A message to ourselves, sent until it arrives: nothing says when a subscription stands."""
    message = {"type": "readyz", "nonce": uuid4().hex}
    async with asyncio.timeout(CHECK_SECONDS), _one_at_a_time:
        arrival = asyncio.ensure_future(_arrival_of(message))
        try:
            while not arrival.done():
                await get_channel_layer().send(_mailbox, message)
                await asyncio.wait([arrival], timeout=RESEND_SECONDS)
            arrival.result()
        finally:
            arrival.cancel()


async def _arrival_of(message: dict[str, str]) -> None:
    while await get_channel_layer().receive(_mailbox) != message:
        pass


CHECKS: dict[str, Callable[[], object]] = {
    "database": _database,
    "migrations": _migrations,
    "channel_layer": _channel_layer,
}
