"""A stateful SOVD server in another dialect than the product's own, with faults on demand.

It has booleans in snake case with a `mask`, wrapped lists, a relative `base_uri`, locks that it
demands, raw UDS under a name of its own, and answers 200 with a body where the standard has 204.
"""

import asyncio
from typing import Any

from vehicles.connectors.dtc import STATUS_BITS, STORED, text_of
from vehicles.tests.http_peer import HttpPeer, Request, reply
from vehicles.tests.targets import Target, TargetEcu

BASE = "/vehicle/v15"
ENGINE = f"{BASE}/components/engine"
CODES = {0x042013: 0x2F, 0x042000: 0x28, 0x017100: 0x24, 0x030000: 0x50}
CLIENT_ID, CLIENT_SECRET = "console", "s3cret-of-the-client"
HELD_BY_ANOTHER = "workshop-7"


class SovdVehicle:
    """Vehicle with two ECUs, of which the engine's keeps state."""

    def __init__(self, vin: str, tls: Any = None) -> None:
        self.vin = vin
        self.peer = HttpPeer(self._answer, tls)
        self.codes = dict(CODES)
        self.names = {code: f"Fault {code:06X}" for code in CODES}
        self.data = {0xF190: b"", 0xF187: b"8K0907115", 0xF198: b"SHOP1"}
        self.fault = ""
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.locks: dict[str, str] = {}  # holder by lock
        self.lock_expirations: list[int] = []
        self.locks_given = 0
        self.executions: dict[str, dict[str, Any]] = {}
        self.polls_until_done = 2
        self.tokens: set[str] | None = None  # None: no token is needed
        self.tokens_given = 0
        self.may_clear_one = True
        self.carried_out: list[str] = []
        """Requests that changed the vehicle, in their order."""

    @property
    def origin(self) -> str:
        return self.peer.origin

    def target(self, **settings: Any) -> Target:
        secrets: dict[str, Any] = {
            name: settings.pop(name) for name in ("token", "client_secret") if name in settings
        }
        return Target(
            vin=self.vin,
            connector="sovd",
            connector_settings={"url": self.origin} | settings,
            connector_secrets=secrets,
            configured_ecus=(
                TargetEcu("0x10", "Engine", component="engine"),
                TargetEcu("0x18", "Transmission", component="transmission"),
            ),
        )

    def arrived(self, method: str, path: str = ENGINE) -> int:
        """Return how many such requests arrived, with a valid token."""
        return sum(
            request.method == method
            and request.path.startswith(path)
            and "locks" not in request.path
            and self._is_authorized(request)
            for request in self.peer.requests
        )

    def stored(self) -> list[str]:
        return [text_of(code) for code, status in self.codes.items() if status & STORED]

    # --- Faults

    async def _answer(self, request: Request) -> bytes | None:
        self.is_asked.set()
        is_change = request.method in {"DELETE", "PUT", "POST"} and not any(
            part in request.path for part in ("locks", "token")
        )
        if self.fault == "cut before" or (self.fault == "cut before a clear" and is_change):
            return None
        if self.fault == "malformed":
            return reply(200, b"\x00\x01\x02")
        if self.fault == "silent":
            await self.may_answer.wait()
        answer = self._answer_of(request)
        if is_change and self.fault == "cut after a clear":
            return None
        if is_change and self.fault == "malformed clear":
            return b"\x00\x01\x02\r\n\r\n"
        if is_change and self.fault == "silent after a clear":
            await self.may_answer.wait()
        return answer

    def _answer_of(self, request: Request) -> bytes:
        if request.path == "/token":
            return self._give_token(request)
        if not self._is_authorized(request):
            return reply(401)
        if request.path == "/version-info":
            return self._version_info()
        path = request.path.removeprefix(BASE)
        for prefix, answer in (
            ("/components/engine/faults", self._faults),
            ("/components/engine/locks", self._locks),
            ("/components/engine/genericservice", self._raw),
            ("/components/engine/operations", self._operations),
            ("/components/engine/status", self._status),
            ("/components/transmission/faults", self._silent_ecu),
        ):
            if path.startswith(prefix):
                return answer(request, path.removeprefix(prefix).strip("/"))
        found = self._documents().get(path)
        if path == "/":
            return reply(307, Location=f"{self.origin}{BASE}")
        return reply(200, found) if found else error(404, "vendor-specific", "not found")

    # --- Tokens

    def _is_authorized(self, request: Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self.tokens is None or token in self.tokens

    def _give_token(self, request: Request) -> bytes:
        if b"client_secret=" + CLIENT_SECRET.encode() not in request.body:
            return reply(401, {"error": "invalid_client"})
        self.tokens_given += 1
        self.tokens = {f"token-{self.tokens_given}"}
        [token] = self.tokens
        return reply(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    # --- Documents

    def _version_info(self) -> bytes:
        old = {"version": "1.0.0", "base_uri": "/vehicle/v1"}
        return reply(200, {"items": [old, {"version": "1.1.0", "base_uri": BASE.strip("/")}]})

    def _documents(self) -> dict[str, Any]:
        engine, transmission = ENGINE, f"{BASE}/components/transmission"
        return {
            "": {
                "id": "car",
                "name": "Car",
                "components": f"{self.origin}{BASE}/components",
                "data": f"{BASE}/data",
            },
            "/data/vin": {"id": "vin", "data": {"VIN": self.vin}, "errors": []},
            "/components": {
                "items": [
                    {"id": "engine", "name": "Engine", "href": "components/engine"},
                    {"id": "transmission", "name": "Transmission"},
                ]
            },
            "/components/engine": {
                "id": "engine",
                "name": "Engine",
                "faults": f"{engine}/faults",
                "data": f"{engine}/data",
                "operations": f"{engine}/operations",
                "locks": f"{engine}/locks",
                "status": f"{engine}/status",
                "x-maker-genericservice": f"{engine}/genericservice",
            },
            "/components/transmission": {
                "id": "transmission",
                "name": "Transmission",
                "faults": f"{transmission}/faults",
            },
            "/components/engine/data": {"items": [{"id": "speed", "name": "Speed"}]},
            "/components/engine/data/speed": {"id": "speed", "data": {"Speed": 12.5}},
        }

    # --- The engine

    def _faults(self, request: Request, code: str) -> bytes:
        if request.method == "DELETE":
            return self._clear(code)
        if code:
            raw = int(code, 16)
            return reply(200, {"item": self._item(raw), "environment_data": ENVIRONMENT})
        return reply(200, {"items": [self._item(code) for code in self.codes]})

    def _item(self, raw: int) -> dict[str, Any]:
        status = self.codes[raw]
        names = ["".join(f"_{c.lower()}" if c.isupper() else c for c in n) for n in STATUS_BITS]
        names = [name.replace("_d_t_c", "_dtc") for name in names]
        bits = {name: bool(status >> bit & 1) for bit, name in enumerate(names)}
        return {
            "code": f"{raw:06X}",
            "display_code": text_of(raw)[:5],
            "fault_name": self.names[raw],
            "status": bits | {"mask": f"{status:02X}"},
        }

    def _clear(self, code: str) -> bytes:
        if "own" not in self.locks.values():
            return error(403, "insufficient-access-rights", "A lock is required")
        if code and not self.may_clear_one:
            return error(501, "vendor-specific", "Clear them all")
        self.carried_out.append(f"clear {code}".strip())
        for raw in [int(code, 16)] if code else list(self.codes):
            del self.codes[raw]
        return reply(200, {"cleared": True})

    def _locks(self, request: Request, lock_id: str) -> bytes:
        if request.method == "POST":
            if HELD_BY_ANOTHER in self.locks.values():
                parameters = {"current_holder": HELD_BY_ANOTHER}
                return error(423, "precondition-not-fulfilled", "It is locked", **parameters)
            self.locks_given += 1
            self.lock_expirations.append(request.json["lock_expiration"])
            lock_id = f"lock {self.locks_given}"
            self.locks[lock_id] = "own"
            return reply(200, {"id": lock_id}, Location=f"locks/lock%20{self.locks_given}")
        self.locks.pop(lock_id.replace("%20", " "), None)
        return reply(200, {})

    def _raw(self, request: Request, _rest: str) -> bytes:
        """Carry out raw UDS: 22, 2E and 31."""
        service, did = request.body[0], int.from_bytes(request.body[1:3])
        if service == 0x22 and did in self.data:
            data = self.vin.encode() if did == 0xF190 else self.data[did]
            return reply(200, b"\x62" + request.body[1:3] + data)
        if service == 0x2E and did in self.data:
            self.carried_out.append("write")
            self.data[did] = request.body[3:]
            return reply(200, b"\x6e" + request.body[1:3])
        if service == 0x31 and request.body[2:4] == b"\xff\x00":
            self.carried_out.append("routine")
            return reply(200, b"\x71" + request.body[1:4] + b"\x10")
        refused = {"NRC": "31", "SID": f"{service:02X}"}
        return error(502, "error-response", "requestOutOfRange", **refused)

    def _operations(self, request: Request, rest: str) -> bytes:
        operation, _, execution_id = rest.partition("/executions")
        execution_id = execution_id.strip("/")
        if not operation:
            items = [{"id": "0203", "name": "Self test", "proximity_proof_required": False}]
            return reply(200, {"items": items})
        if operation != "0203":
            return error(404, "vendor-specific", "No such operation")
        if request.method == "POST":
            return self._start(request, operation)
        if not execution_id:
            return reply(200, {"items": list(self.executions)})
        return self._execution(request, self.executions[execution_id])

    def _start(self, request: Request, operation: str) -> bytes:
        self.carried_out.append("operation")
        execution_id = str(len(self.executions) + 77)
        self.executions[execution_id] = {"polls": 0, "given": request.json["parameters"]}
        location = f"{ENGINE}/operations/{operation}/executions/{execution_id}"
        return reply(202, {"id": execution_id, "status": "running"}, Location=location)

    def _execution(self, request: Request, execution: dict[str, Any]) -> bytes:
        if request.method == "PUT":
            self.carried_out.append(request.json["capability"])
            execution["status"] = "stopped"
            return reply(202, {"status": "running"})
        execution["polls"] += 1
        if execution["polls"] < self.polls_until_done:
            return reply(200, {"status": "x-maker-warming-up", "capability": "execute"})
        about = {
            "status": execution.get("status", "completed"),
            "capability": "execute",
            "parameters": {"raw": "1f", "given": execution["given"]},
            "error": execution.get("error", []),
        }
        return reply(200, about)

    def _status(self, request: Request, rest: str) -> bytes:
        if request.method == "PUT":
            self.carried_out.append(f"{rest} {request.json['parameters']['ResetType']}")
            return reply(202, Location=f"{ENGINE}/status")
        return reply(200, {"status": "ready", "restart": f"{ENGINE}/status/restart"})

    def _silent_ecu(self, _request: Request, _rest: str) -> bytes:
        return error(504, "not-responding", "The ECU did not answer")


ENVIRONMENT = {
    "snapshots": {
        "data": {
            "1": {
                "DTCSnapshotRecordNumberOfIdentifiers": 2,
                "DTCSnapshotRecord": [
                    {"id": "speed", "data": {"value": 12.5, "unit": "km/h"}},
                    {"id": "temperature", "data": 80},
                ],
            },
            "2": {"DTCSnapshotRecord": [{"id": "speed", "data": {"value": 0, "unit": "km/h"}}]},
        }
    },
    "extended_data_records": {"data": {}},
}


def error(status: int, code: str, message: str, **parameters: Any) -> bytes:
    return reply(status, {"error_code": code, "message": message, "parameters": parameters})
