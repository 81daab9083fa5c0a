"""What others do while somebody looks at a page: a program with their rights, over the API."""

from typing import Any

import httpx

from commands.demo_users import PASSWORD
from commands.management.commands.demo_data import VEHICLES

OFFLINE = VEHICLES[-1][0]


def vin(n: int) -> str:
    """Of the showroom's fleet. Where n is 3, 8, 13 … it is offline and has no past."""
    return f"WVWZZZ1KZ6W{n:06}"


class Program:
    def __init__(self, address: str, who: str) -> None:
        self._http = httpx.Client(base_url=f"{address}/api/v1/", timeout=30)
        token = self._post("token/", username=who, password=PASSWORD)["access"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._http.close()

    def vehicle(self, vin: str) -> str:
        """Its ID."""
        return str(self._get("vehicles/", search=vin)["results"][0]["vehicle_id"])

    def submit(self, vin: str, command_name: str = "ReadDTC", **params: str) -> str:
        """The ID of the command."""
        command = self._post(
            "commands/",
            vehicle_id=self.vehicle(vin),
            command_name=command_name,
            command_params=params or {"ecuAddress": "0x10"},
        )
        return str(command["command_id"])

    def cancel(self, command_id: str) -> None:
        self._post(f"commands/{command_id}/cancel/")

    def _get(self, path: str, **query: str) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()

    def _post(self, path: str, **body: object) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()
