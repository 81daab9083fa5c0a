"""Limits of exports, and what the audit keeps of them."""

import asyncio
import gc
import threading
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from commands import export
from commands.database.threads import in_thread
from commands.models import AuditEntry, Command
from commands.tests.api.exports import EXPORT, as_rows, exported, read
from commands.tests.api.listing import make_command
from conftest import api, submit
from sovd.tests.processes import SECONDS
from vehicles.models import Vehicle

# --- How many commands


def test_more_commands_than_the_limit_are_not_exported(
    operator: User, vehicle: Vehicle, settings: Any
) -> None:
    settings.EXPORT_ROWS = 2
    for _ in range(2):
        make_command(operator, vehicle)
    assert len(as_rows(operator)) == 2
    make_command(operator, vehicle)
    response = api(operator).get(EXPORT)
    assert response.status_code == 400
    assert "More than 2 commands" in response.json()["detail"]
    assert "Narrow the filters" in response.json()["detail"]
    assert len(as_rows(operator, "submitted_after=2030-01-01T00:00:00Z")) == 0


# --- How many exports at once


async def test_a_third_export_at_once_is_refused(operator: User, vehicle: Vehicle) -> None:
    """Two exports are read slowly, and a third is refused until one of them has ended."""
    client = await in_thread(api, operator)
    slow: list[Any] = [await in_thread(client.get, EXPORT) for _ in range(2)]
    reading = [aiter(response) for response in slow]
    assert all([await anext(each) for each in reading])
    for path in (EXPORT, f"{EXPORT}?format=jsonl"):
        response = await in_thread(client.get, path)
        assert (response.status_code, response.json()["code"]) == (429, "throttled")
        assert response.json()["detail"] == (
            "2 exports are already running, which is the limit. Try again in 10 seconds."
        )
        assert int(response.headers["Retry-After"]) > 0
    assert await in_thread(AuditEntry.objects.count) == 2
    await in_thread(slow[0].close)
    await read(await in_thread(client.get, EXPORT))
    assert [part async for part in reading[1]] == []
    await read(await in_thread(client.get, EXPORT))


def test_a_client_that_is_gone_before_the_response_holds_no_place(
    operator: User, vehicle: Vehicle
) -> None:
    """The response to a client that is gone is neither read nor closed."""
    for _ in range(3):
        assert export.file_of(Command.objects.all(), "csv").status_code == 200
        gc.collect()


async def test_an_export_waits_for_no_thread_of_streams_and_workers(
    operator: User, vehicle: Vehicle
) -> None:
    """All other threads are busy here."""
    await in_thread(submit, operator, vehicle)
    all_of_them = settings.DATABASE_POOL_SIZE // 2
    busy = threading.Barrier(all_of_them + 1)
    held = [asyncio.ensure_future(in_thread(busy.wait, SECONDS)) for _ in range(all_of_them)]
    try:
        parts = read(export.file_of(Command.objects.all(), "jsonl"))
        assert '"status":"pending"' in await asyncio.wait_for(parts, SECONDS / 2)
    finally:
        await asyncio.to_thread(busy.wait, SECONDS)
        await asyncio.gather(*held)


# --- What is kept of it


def test_a_head_request_exports_nothing(operator: User, vehicle: Vehicle) -> None:
    for _ in range(3):
        response = api(operator).head(EXPORT)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert response.headers["Content-Disposition"].startswith("attachment")
    assert not AuditEntry.objects.exists()


def test_an_export_is_audited(operator: User, vehicle: Vehicle) -> None:
    make_command(operator, vehicle)
    exported(operator, "format=jsonl&status=completed&status=failed&nonsense=1")
    entry = AuditEntry.objects.get()
    assert (entry.username, entry.action, entry.subject) == ("operator", "export", "")
    assert entry.details == {
        "format": "jsonl",
        "rows": 1,
        "filters": {"status": ["completed", "failed"]},
    }
