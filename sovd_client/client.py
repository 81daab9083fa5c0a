"""The client: submit and cancel commands, list vehicles, follow events to the last one."""

import unicodedata
import uuid
from collections.abc import AsyncGenerator
from typing import Any, Self, TypedDict
from urllib.parse import parse_qs

from sovd_client.answers import Command, Event, Page, Refused, Unavailable, Vehicle, checked
from sovd_client.connection import Connection
from sovd_client.stream import Stream


class Timing(TypedDict, total=False):
    """When a command may be sent, each as `POST commands/` takes it."""

    expires_in_seconds: int
    not_before: str
    priority: str


class Client:
    """One user at one server.

    `ca` is a file of PEM certificates to trust. `timeout` is the time in seconds after which one
    request is given up, with all its repetitions.
    """

    def __init__(
        self, url: str, username: str, password: str, *, ca: str = "", timeout: float = 60
    ) -> None:
        self._server = Connection(url, username, password, ca, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.close()

    async def submit(
        self, vehicle: str, command_name: str, timing: Timing | None = None, **params: Any
    ) -> Command:
        """Send a command once, however often the connection breaks. `vehicle`: its VIN or id."""
        body = {
            "vehicle_id": await self._vehicle_id(vehicle),
            "command_name": command_name,
            "command_params": params,
            **(timing or {}),
        }
        await self._server.token()
        try:
            return checked(Command, await self._post("commands/", body))
        except Unavailable as error:
            message = f"{error} The command may have been sent: look before you send it again."
            raise Unavailable(error.code, message) from error

    async def command(self, command_id: str) -> Command:
        return checked(Command, await self._server.ask("GET", f"commands/{_id(command_id)}/"))

    async def cancel(self, command_id: str) -> Command:
        path = f"commands/{_id(command_id)}/cancel/"
        return checked(Command, await self._server.ask("POST", path))

    async def vehicles(self, search: str = "") -> list[Vehicle]:
        """Return all vehicles that the search finds, from all pages."""
        query = {"search": search, "page_size": "500"}
        found: list[Vehicle] = []
        cursors = [""]
        while True:
            page = checked(Page, await self._server.ask("GET", "vehicles/", params=query))
            found += [checked(Vehicle, vehicle) for vehicle in page["results"]]
            if not page.get("next"):
                return found
            query["cursor"] = _cursor(page)
            if query["cursor"] in cursors:
                raise Refused("bad_answer", "A page of the list of vehicles leads to itself.")
            cursors.append(query["cursor"])

    def stream(self, command_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """Iterate over every event beyond `after`, once and in order, up to the terminal one.

        Connects again however often the connection breaks. Polls where no WebSocket gets through,
        and logs a warning then.
        """
        return Stream(self._server, _id(command_id), after).events()

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._server.ask("POST", path, json=body, headers=key)

    async def _vehicle_id(self, vehicle: str) -> str:
        try:
            return str(uuid.UUID(vehicle.strip()))
        except ValueError:
            vin = _vin(vehicle)
        for found in await self.vehicles(vin) if vin else []:
            if found["vin"] == vin:
                return found["vehicle_id"]
        raise Refused("not_found", f"There is no vehicle with the VIN {vehicle}.")


def _vin(text: str) -> str:
    """Return the VIN without blanks, dashes and lower case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text))).upper()


def _id(text: str) -> str:
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        raise Refused("not_found", f"{text!r} is no command's id.") from None


def _cursor(page: Page) -> str:
    """Return the cursor of the next page: of its address only the query is used."""
    query = str(page.get("next")).partition("?")[2]
    return parse_qs(query).get("cursor", [""])[0]
