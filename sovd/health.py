"""What machines ask a web process: is it alive, is it ready, how does it do."""

import asyncio
from collections.abc import Callable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from commands.metrics import ConnectedVehicles, registry

CHECK_SECONDS = 2


def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """503 with what is not ready, by name, in words."""
    problems = {name: problem for name, check in CHECKS.items() if (problem := _problem(check))}
    body = {"status": "unavailable" if problems else "ok", "problems": problems}
    return JsonResponse(body, status=503 if problems else 200)


def metrics(request: HttpRequest) -> HttpResponse:
    scrape = registry()
    scrape.register(ConnectedVehicles())
    return HttpResponse(generate_latest(scrape), content_type=CONTENT_TYPE_LATEST)


def _problem(check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return str(error).strip().splitlines()[0] if str(error) else type(error).__name__
    return ""


def _database() -> None:
    """By a connection of its own: the pool waits too long for a database that is away."""
    probe = connection.copy()
    options = probe.settings_dict["OPTIONS"]
    if options.pop("pool", None):
        options["connect_timeout"] = CHECK_SECONDS
    try:
        with probe.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        probe.close()


@async_to_sync
async def _channel_layer() -> None:
    async with asyncio.timeout(CHECK_SECONDS):
        await get_channel_layer().group_send("readyz", {"type": "readyz"})


CHECKS: dict[str, Callable[[], object]] = {
    "database": _database,
    "channel_layer": _channel_layer,
}
