"""A SOVD server that answers anything, right or wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from vehicles.tests.http_peer import Answer, HttpPeer, Request, reply
from vehicles.tests.targets import VIN, Target, TargetEcu

ECU = {"ecuAddress": "0x10"}
BASE, ENGINE = "/v1", "/v1/components/engine"
VERSION = {"sovd_info": [{"version": "1.1.0", "base_uri": BASE}]}
ROOT = {"id": "car", "vin": VIN, "components": f"{BASE}/components"}
CAPABILITIES = {
    "id": "engine",
    "name": "Engine",
    **{name: f"{ENGINE}/{name}" for name in ("faults", "data", "operations", "status", "locks")},
}
DOCUMENTS: dict[str, Any] = {
    "/version-info": VERSION,
    f"{BASE}/": ROOT,
    f"{BASE}/components": {"items": [{"id": "engine", "name": "Engine", "href": ENGINE}]},
    ENGINE: CAPABILITIES,
}
LOCK = reply(201, {"id": "1"}, Location=f"{ENGINE}/locks/1")
FAULT = {"code": "042013", "fault_name": "Catalyst", "status": {"confirmedDTC": "1"}}
FAULTS = reply(200, {"items": [FAULT]})


def target(origin: str, **settings: Any) -> Target:
    return Target(
        connector="sovd",
        connector_settings={"url": origin} | settings,
        configured_ecus=[TargetEcu("0x10", "Engine", component="engine")],
    )


@asynccontextmanager
async def peer(answer: Answer) -> AsyncIterator[HttpPeer]:
    made = HttpPeer(answer).start()
    try:
        yield made
    finally:
        await made.stop()


def documents(changes: dict[str, bytes | None]) -> Answer:
    """Return the answer of a healthy server, with some answers by method and path in their place.

    None closes the connection.
    """

    async def answer(request: Request) -> bytes | None:
        if str(request) in changes:
            return changes[str(request)]
        if request.path in DOCUMENTS:
            return reply(200, DOCUMENTS[request.path])
        return {f"POST {ENGINE}/locks": LOCK, f"GET {ENGINE}/faults": FAULTS}.get(
            str(request), reply(204)
        )

    return answer


def raw(body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body
