"""A person or a program at one web process of the product: requests, commands and streams."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from commands.accounts.demo_users import PASSWORD
from commands.management.commands.demo_data import VEHICLES
from dev.servers import free_port
from sovd.tests.processes import SECONDS

VINS = [vin for vin, *_ in VEHICLES]
OFFLINE = VINS[-1]
READ_DTC = {"command_name": "ReadDTC", "command_params": {"ecuAddress": "0x10"}}

COMPLETED = 'commands_executed_total{status="completed"}'
DURATIONS = "command_execution_duration_seconds_count"
STREAMS = "websocket_connections_active"
CONNECTED = "vehicle_connections_active"
WORKERS = "sovd_workers_active"
HEARTBEAT = "sovd_worker_heartbeat_timestamp_seconds"


def ask(port: int, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metrics_at(port: int) -> dict[str, float]:
    status, page = ask(port, "GET", "/metrics")
    assert status == 200, page
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


class Site:
    """A demo user at one web process."""

    def __init__(self, port: int = 0, username: str = "operator") -> None:
        self.port = port or free_port()
        self._username = username
        self._token = ""

    def is_up(self) -> bool:
        return ask(self.port, "GET", "/accounts/login/")[0] == 200

    def get(self, path: str) -> Any:
        status, text = ask(self.port, "GET", path, token=self.token)
        assert status == 200, text
        return json.loads(text)

    @property
    def token(self) -> str:
        if not self._token:
            body = {"username": self._username, "password": PASSWORD}
            status, text = ask(self.port, "POST", "/api/v1/token/", body)
            assert status == 200, text
            self._token = json.loads(text)["access"]
        return self._token

    def submit(self, vin: str = VINS[0]) -> str:
        (vehicle,) = self.get(f"/api/v1/vehicles/?search={vin}")["results"]
        body = {"vehicle_id": vehicle["vehicle_id"], **READ_DTC}
        status, text = ask(self.port, "POST", "/api/v1/commands/", body, self.token)
        assert status == 201, text
        return str(json.loads(text)["command_id"])

    def status_of(self, command_id: str) -> str:
        return str(self.get(f"/api/v1/commands/{command_id}/")["status"])

    def cancel(self, command_id: str) -> int:
        return ask(self.port, "POST", f"/api/v1/commands/{command_id}/cancel/", token=self.token)[0]

    def stream(self, command_id: str) -> ClientConnection:
        address = f"ws://127.0.0.1:{self.port}/ws/responses/{command_id}?token={self.token}"
        return connect(address, proxy=None, open_timeout=SECONDS)

    def handshake(self, command_id: str) -> bytes:
        lines = [
            f"GET /ws/responses/{command_id}?token={self.token} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def follow(self, command_id: str) -> None:
        with self.stream(command_id) as stream:
            self.check(command_id, [*frames_of(stream)], stream.close_code)

    def check(self, command_id: str, frames: list[Any], close_code: int | None) -> None:
        """Check that the frames are the whole log of a completed command."""
        assert frames == self.get(f"/api/v1/commands/{command_id}/events/")["results"]
        assert [frame["sequence_number"] for frame in frames] == list(range(1, len(frames) + 1))
        moves = [frame["status"] for frame in frames if frame["event"] == "status"]
        assert moves == ["pending", "in_progress", "completed"]
        assert close_code == 1000


def frames_of(stream: ClientConnection) -> Iterator[Any]:
    while True:
        try:
            yield json.loads(stream.recv(SECONDS))
        except ConnectionClosed:
            return
