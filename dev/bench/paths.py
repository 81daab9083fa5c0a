"""Every path whose work could grow with the past, timed inside the product.

python -m dev.with_django dev.bench.paths past|queue FILE [--plans]
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from commands import batches, lifecycle
from commands.accounts.tokens import AccessToken
from commands.metrics import scrape
from commands.models import Batch, Command
from commands.stream.connection_manager import missed_lines
from commands.stream.subscription import read_log
from dev.bench.load import PARAMS
from vehicles.models import Vehicle

RUNS = 3
API = "/api/v1/"
Path_ = Callable[[], object]


def api(client: Client, token: str, path: str) -> Path_:
    def get() -> Any:
        answer = client.get(API + path, HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_HOST="localhost")
        if answer.status_code != 200:
            sys.exit(f"{path}: {answer.status_code} {answer.content!r}")
        return answer

    return get


def page(client: Client, path: str) -> Path_:
    def get() -> Any:
        answer = client.get(path, HTTP_HOST="localhost")
        if answer.status_code != 200:
            sys.exit(f"{path}: {answer.status_code}")
        return answer

    return get


def first_row(get: Path_) -> Path_:
    """Read an export up to its first rows, and close it."""

    async def read(answer: Any) -> None:
        content = answer.streaming_content
        await anext(content)
        await anext(content)

    def export() -> None:
        answer: Any = get()
        asyncio.run(read(answer))
        answer.close()

    return export


def filters() -> Iterator[tuple[str, str]]:
    """Yield the queries of the list: each filter, and the combinations that people use."""
    hot = _hot_vehicle()
    vin = Vehicle.objects.get(pk=hot).vin
    middle = Command.objects.order_by("submitted_at").values_list("submitted_at", flat=True)
    instant = middle[Command.objects.count() // 2].isoformat().replace("+00:00", "Z")
    batch = Batch.objects.earliest("submitted_at").pk
    one = str(Command.objects.earliest("submitted_at").pk)
    alone = {
        "no filter": "",
        "status=completed": "status=completed",
        "status=failed": "status=failed",
        "status=pending (none)": "status=pending",
        "status=failed,cancelled": "status=failed&status=cancelled",
        "name": "command_name=ReadDTC",
        "name never used": "command_name=ECUReset",
        "hot vehicle": f"vehicle_id={hot}",
        "user": "submitted_by=operator-3",
        "unknown user": "submitted_by=nobody",
        "user without commands": "submitted_by=viewer",
        "batch": f"batch_id={batch}",
        "before the middle": f"submitted_before={instant}",
        "search: VIN": f"search={vin}",
        "search: many vehicles": "search=honda",
        "search: nothing": "search=zzzz",
        "search: ID": f"search={one[:13]}",
    }
    both = [
        ("hot vehicle", "name never used"),
        ("hot vehicle", "status=failed"),
        ("hot vehicle", "user without commands"),
        ("status=failed", "name"),
        ("status=failed", "name never used"),
        ("status=failed", "user"),
        ("status=completed", "name never used"),
        ("name", "user"),
        ("name never used", "user"),
        ("batch", "status=failed"),
        ("before the middle", "status=failed"),
        ("search: many vehicles", "status=failed"),
        ("search: many vehicles", "name never used"),
        ("search: many vehicles", "user without commands"),
        ("search: many vehicles", "before the middle"),
        ("search: VIN", "name never used"),
    ]
    yield from alone.items()
    yield from ((" + ".join(pair), "&".join(alone[name] for name in pair)) for pair in both)


def past() -> Iterator[tuple[str, Path_]]:
    client = Client()
    viewer = str(AccessToken.for_user(User.objects.get(username="viewer")))
    operator = str(AccessToken.for_user(User.objects.get(username="operator")))
    hot, batch = _hot_vehicle(), Batch.objects.earliest("submitted_at")
    command = Command.objects.filter(command_name="ReadDTC").earliest("submitted_at")

    for name, query in filters():
        yield f"list: {name}", api(client, viewer, f"commands/?{query}")
    yield "list: own", api(client, operator, "commands/")
    for name in ("status=failed", "command_name=ECUReset", "search=honda"):
        yield f"list: own, {name}", api(client, operator, f"commands/?{name}")
    yield "list: oldest first", api(client, viewer, "commands/?ordering=submitted_at")
    yield "list: deep page", _deep(client, viewer)
    yield "command", api(client, viewer, f"commands/{command.pk}/")
    yield "events of a command", api(client, viewer, f"commands/{command.pk}/events/")
    yield "responses of a command", api(client, viewer, f"commands/{command.pk}/responses/")
    yield "exchanges of a command", api(client, viewer, f"commands/{command.pk}/exchanges/")
    yield "replay of a stream", lambda: read_log(command.pk, 0)
    yield "poll of 1,000 streams", _poll()
    yield "dashboard", api(client, viewer, "dashboard/")
    yield "dashboard: own", api(client, operator, "dashboard/")
    yield "vehicles", api(client, viewer, "vehicles/")
    yield "vehicles: search", api(client, viewer, "vehicles/?search=honda")
    yield "vehicle", api(client, viewer, f"vehicles/{hot}/")
    yield "trouble codes", api(client, viewer, f"vehicles/{hot}/trouble-codes/")
    yield "batches", api(client, viewer, "batches/")
    yield "batches: own", api(client, operator, "batches/")
    yield "batches: unknown user", api(client, viewer, "batches/?submitted_by=nobody")
    yield "batches: name never used", api(client, viewer, "batches/?command_name=ECUReset")
    yield "batch", api(client, viewer, f"batches/{batch.pk}/")
    yield "results of a batch", api(client, viewer, f"batches/{batch.pk}/results/")
    failed = f"batches/{batch.pk}/results/?status=failed"
    yield "results of a batch: failed", api(client, viewer, failed)
    since = timezone.now() - timedelta(hours=1)
    recent = f"submitted_after={since.isoformat().replace('+00:00', 'Z')}"
    yield "export: first rows", first_row(api(client, viewer, f"commands/export/?{recent}"))
    yield "scrape", scrape._ask
    yield "sweep", lifecycle.sweep
    yield "sweep of batches", batches.sweep
    yield from pages(command, batch)


def pages(command: Command, batch: Batch) -> Iterator[tuple[str, Path_]]:
    """Yield the pages of the admin."""
    admin, hot = Client(), _hot_vehicle()
    admin.force_login(User.objects.get(username="admin"))
    for table in ("command", "event", "batch", "auditentry"):
        address = f"/admin/commands/{table}/"
        yield f"admin: {table}", page(admin, address)
        if table != "batch":  # they are few
            yield f"admin: {table}, page 50", page(admin, f"{address}?p=50")
        yield f"admin: {table}, search nothing", page(admin, f"{address}?q=nobody-at-all")
    yield "admin: command, search many", page(admin, "/admin/commands/command/?q=honda")
    for query in ("status__exact=failed", "command_name=ECUReset", "submitted=month"):
        yield f"admin: command, {query}", page(admin, f"/admin/commands/command/?{query}")
    yield "admin: command, vehicle=hot", page(admin, f"/admin/commands/command/?vehicle={hot}")
    error = "error_code=wrong_vehicle"
    yield f"admin: command, {error}", page(admin, f"/admin/commands/command/?{error}")
    yield "admin: one command", page(admin, f"/admin/commands/command/{command.pk}/change/")
    yield "admin: one batch", page(admin, f"/admin/commands/batch/{batch.pk}/change/")
    yield (
        "admin: audit, one action",
        page(admin, "/admin/commands/auditentry/?action__exact=export"),
    )
    yield "admin: audit, one user", page(admin, "/admin/commands/auditentry/?q=operator")
    yield "admin: vehicle", page(admin, f"/admin/vehicles/vehicle/{hot}/change/")


def queue() -> Iterator[tuple[str, Path_]]:
    """Yield the paths of the queue, first with statistics that know of no pending command."""
    user, vehicle = User.objects.get(username="operator"), Vehicle.objects.earliest("vin")
    client, viewer = Client(), str(AccessToken.for_user(User.objects.get(username="viewer")))
    for state in ("stale", "fresh"):
        if state == "fresh":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE commands_command")
        yield f"queue, {state}: claim", _undone(lambda: lifecycle.claim(16))
        yield (
            f"queue, {state}: submit",
            _undone(lambda: lifecycle.submit(user, vehicle, "ReadDataByID", PARAMS)),
        )
        yield f"queue, {state}: sweep", _undone(lifecycle.sweep)
        yield f"queue, {state}: scrape", scrape._ask
        yield f"queue, {state}: list of pending", api(client, viewer, "commands/?status=pending")
        yield f"queue, {state}: vehicles", api(client, viewer, "vehicles/")
        yield f"queue, {state}: dashboard", api(client, viewer, "dashboard/")


def _undone(work: Path_) -> Path_:
    def run() -> None:
        with transaction.atomic():
            work()
            transaction.set_rollback(True)

    return run


def _hot_vehicle() -> str:
    newest = Command.objects.order_by("-submitted_at")[:1_000].values_list("vehicle_id", flat=True)
    ids = list(newest)
    return str(max(set(ids), key=ids.count))


def _deep(client: Client, token: str) -> Path_:
    """Follow the links to the next page up to the fortieth."""
    path = "commands/?page_size=200"
    for _ in range(40):
        answer: Any = api(client, token, path)()
        path = answer.json()["next"].partition(API)[2]
    return api(client, token, path)


def _poll() -> Path_:
    ids = Command.objects.order_by("-submitted_at").values_list("pk", flat=True)[:1_000]
    known = dict.fromkeys(ids, 5)
    return lambda: missed_lines(known)


class Statements:
    """The statements of one path; the slowest is explained."""

    def __init__(self) -> None:
        self.slowest: tuple[float, str, Any] = (0.0, "", ())

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took = time.perf_counter() - start
            if not many and sql.lstrip()[:6].upper() in ("SELECT", "UPDATE", "DELETE", "INSERT"):
                self.slowest = max(
                    self.slowest, (took, sql, params or ()), key=lambda each: each[0]
                )


def timed(run: Path_, *, with_plan: bool) -> dict[str, Any]:
    """Return the least of some CPU times, of this process and of Postgres."""
    run()
    times = []
    statements = Statements()
    backends = _backends()
    with connection.execute_wrapper(statements):
        for _ in range(RUNS):
            start = _cpu_ms(backends)
            run()
            times.append(_cpu_ms(backends) - start)
    _, sql, params = statements.slowest
    plan = _plan(sql, params) if with_plan and sql else ""
    return {"ms": min(times), "statement": sql[:2_000], "plan": plan}


def _backends() -> list[Path]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return [Path(f"/proc/{pid}/schedstat") for (pid,) in cursor.fetchall()]


def _cpu_ms(backends: list[Path]) -> float:
    """Return the CPU time so far. The first figure of a `schedstat` is in nanoseconds."""
    postgres = sum(int(path.read_text().split()[0]) for path in backends if path.exists())
    return time.process_time() * 1e3 + postgres / 1e6


def _plan(sql: str, params: Any) -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
        lines = [line for (line,) in cursor.fetchall()]
        transaction.set_rollback(True)
    return "\n".join(lines)


def main() -> None:
    what, file, *options = sys.argv[1:]
    paths = {"past": past, "queue": queue}[what]()
    found = {}
    for name, run in paths:
        print(name, flush=True)
        found[name] = timed(run, with_plan="--plans" in options)
    Path(file).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
