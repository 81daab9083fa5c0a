"""A fleet and batches for it, as users submit and see them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import connection

from commands import lifecycle
from commands.models import Batch, Command
from conftest import (
    ClearDTC,
    ReadDTC,
    api,
    mark_seen,
)
from vehicles.models import Vehicle

BATCHES = "/api/v1/batches/"
COMMANDS = "/api/v1/commands/"
UNKNOWN = "00000000-0000-4000-8000-000000000000"  # the same in each process of tests
KEY = "9f1c3a5e-batch"


def make_fleet(count: int, **fields: Any) -> list[Vehicle]:
    vehicles = [
        Vehicle(vin=f"1HGCM82623A{n:06}", make="Honda", connection_status="connected", **fields)
        for n in range(count)
    ]
    return Vehicle.objects.bulk_create(vehicles)


def ids(vehicles: list[Vehicle]) -> list[str]:
    return [str(vehicle.pk) for vehicle in vehicles]


def post(user: User, body: dict[str, Any], key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return api(user).post(BATCHES, ReadDTC | body, headers=headers)


def submitted(user: User, vehicles: list[Vehicle], **more: Any) -> Batch:
    response = post(user, {"vehicle_ids": ids(vehicles), **more})
    assert response.status_code == 201, response.content
    batch: Batch = Batch.objects.get(pk=response.json()["batch_id"])
    return batch


def seen(user: User, batch: Batch) -> dict[str, Any]:
    response = api(user).get(f"{BATCHES}{batch.pk}/")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def counted(user: User, batch: Batch) -> dict[str, int]:
    return {status: count for status, count in seen(user, batch)["counts"].items() if count}


def results(user: User, batch: Batch, query: str = "") -> list[dict[str, Any]]:
    response = api(user).get(f"{BATCHES}{batch.pk}/results/?{query}")
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = response.json()["results"]
    return rows


def complaints(response: Any) -> dict[str, list[str]]:
    assert (response.status_code, response.json()["code"]) == (400, "invalid"), response.content
    fields: dict[str, list[str]] = response.json()["fields"]
    return fields


def claim(count: int) -> list[Command]:
    mark_seen()
    claimed = lifecycle.claim(count)
    assert len(claimed) == count
    return claimed


def fail(command: Command) -> None:
    lifecycle.fail(command, "vehicle_refused", "No.")


def told(command: Command) -> list[str]:
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status") or event.kind for event in log]


def allow_unsafe(user: User) -> User:
    user.user_permissions.add(Permission.objects.get(codename="send_unsafe_to_many"))
    return user


def at_once(*works: Callable[[], Any]) -> list[Any]:
    ready = Barrier(len(works))

    def one(work: Callable[[], Any]) -> Any:
        ready.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return [*threads.map(one, works)]


def clear(user: User, vehicles: list[Vehicle], **more: Any) -> Any:
    return post(user, ClearDTC | {"vehicle_ids": ids(vehicles), **more})


def respond(command: Command, count: int) -> None:
    for n in range(count):
        lifecycle.respond(command, {"n": n})
