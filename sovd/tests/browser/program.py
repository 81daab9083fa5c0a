"""A program that uses the API with a user's rights, while a page is open."""

from contextlib import suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from commands.accounts.demo_users import PASSWORD
from commands.management.commands.demo_data import VEHICLES

OFFLINE = VEHICLES[-1][0]
EVENT_SECONDS = 60


def vin(n: int) -> str:
    """Return a VIN of the demo site. Numbers 3, 8, 13 … are offline and have no commands."""
    return f"WVWZZZ1KZ6W{n:06}"


class Program:
    def __init__(self, address: str, who: str) -> None:
        self._streams = f"{address.replace('http', 'ws', 1)}/ws/responses"
        self._http = httpx.Client(base_url=f"{address}/api/v1/", timeout=30)
        self._token = self._post("token/", username=who, password=PASSWORD)["access"]
        self._http.headers["Authorization"] = f"Bearer {self._token}"

    def close(self) -> None:
        self._http.close()

    def vehicle(self, vin: str) -> str:
        """Return the ID of the vehicle."""
        return str(self._get("vehicles/", search=vin)["results"][0]["vehicle_id"])

    def tag(self, vin: str, **change: list[str]) -> None:
        self._post("vehicles/tags/", vehicle_ids=[self.vehicle(vin)], **change)

    def submit(self, vin: str, command_name: str = "ReadDTC", **params: str) -> str:
        """Submit a command and return its ID."""
        command = self._post(
            "commands/",
            vehicle_id=self.vehicle(vin),
            command_name=command_name,
            command_params=params or {"ecuAddress": "0x10"},
        )
        return str(command["command_id"])

    def command(self, command_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._get(f"commands/{command_id}/")
        return found

    def commands(self, **filters: str) -> list[dict[str, Any]]:
        """Return the newest commands that match the filters."""
        found: list[dict[str, Any]] = self._get("commands/", **filters)["results"]
        return found

    def wait_for_end(self, command_id: str) -> None:
        """Read the events of the command until its stream ends."""
        address = f"{self._streams}/{command_id}?token={self._token}"
        with connect(address, proxy=None) as stream, suppress(ConnectionClosedOK):
            while True:
                stream.recv(EVENT_SECONDS)

    def cancel(self, command_id: str) -> None:
        self._post(f"commands/{command_id}/cancel/")

    def _get(self, path: str, **query: str) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()

    def _post(self, path: str, **body: object) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()
