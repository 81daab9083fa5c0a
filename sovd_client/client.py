import asyncio
import json
import random
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Self, TypedDict, cast

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

ENDED = frozenset({"completed", "failed", "timed_out", "cancelled", "expired"})
ATTEMPTS = 6  # of one request, while the server is away or asks to wait
LONGEST_PAUSE_SECONDS = 10.0
TRY_AGAIN = {429, 502, 503, 504}


class Command(TypedDict):
    """As the API shows it; the fields that a program needs most."""

    command_id: str
    vehicle_id: str
    command_name: str
    command_params: dict[str, Any]
    status: str
    error_code: str
    error_message: str


class _Event(TypedDict):
    event: str
    command_id: str
    sequence_number: int
    timestamp: str


class Event(_Event, total=False):
    """One frame of a stream; which of these fields it has, `event` says."""

    status: str
    response: dict[str, Any]
    is_final: bool
    error_code: str
    error_message: str


class Refused(Exception):
    """The server will not do this, and asking again will not help. `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """One user at one server. Logs in when it has to, and again when a token has expired."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._credentials = {"username": username, "password": password}
        self._http = httpx.AsyncClient(base_url=f"{self._url}/api/v1/", timeout=30)
        self._token = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def submit(self, vehicle: str, command_name: str, **params: Any) -> Command:
        """Send a command once, however often the connection breaks. `vehicle`: its VIN or id."""
        body = {
            "vehicle_id": await self._vehicle_id(vehicle),
            "command_name": command_name,
            "command_params": params,
        }
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return cast(Command, await self._ask("POST", "commands/", json=body, headers=key))

    async def command(self, command_id: str) -> Command:
        return cast(Command, await self._ask("GET", f"commands/{command_id}/"))

    async def cancel(self, command_id: str) -> Command:
        return cast(Command, await self._ask("POST", f"commands/{command_id}/cancel/"))

    async def vehicles(self, search: str = "") -> list[dict[str, Any]]:
        page = await self._ask("GET", "vehicles/", params={"search": search, "page_size": 500})
        return list(page["results"])

    async def stream(self, command_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """Every event beyond `after`, once and in order, up to the one that ends the command.

        However often the connection breaks: it connects again and goes on.
        """
        failures = 0
        while True:
            try:
                async with aclosing(self._one_socket(command_id, after)) as events:
                    async for event in events:
                        after, failures = event["sequence_number"], 0
                        yield event
                        if event.get("status") in ENDED:
                            return
            except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake):
                pass  # what follows does not depend on why
            failures += 1
            await asyncio.sleep(_pause(failures))

    async def _one_socket(self, command_id: str, after: int) -> AsyncGenerator[Event, None]:
        address = f"{self._url.replace('http', 'ws', 1)}/ws/responses/{command_id}?after={after}"
        headers = {"Authorization": f"Bearer {await self._access()}"}
        async with connect(address, additional_headers=headers) as socket:
            async for text in socket:
                event = cast(Event, json.loads(text))
                if event["sequence_number"]:
                    yield event
                else:
                    self._heed(event)

    def _heed(self, error: Event) -> None:
        """An error of the socket, which closes now."""
        if error["error_code"] in ("not_found", "bad_request"):
            raise Refused(error["error_code"], error["error_message"])
        if error["error_code"] in ("unauthenticated", "token_expired"):
            self._token = ""

    async def _vehicle_id(self, vehicle: str) -> str:
        if len(vehicle) == 36:
            return vehicle
        for found in await self.vehicles(vehicle):
            if found["vin"] == vehicle.upper():
                return str(found["vehicle_id"])
        raise Refused("not_found", f"There is no vehicle with the VIN {vehicle}.")

    async def _access(self) -> str:
        if not self._token:
            tokens = await self._send("POST", "token/", json=self._credentials)
            self._token = _read(tokens)["access"]
        return self._token

    async def _ask(self, method: str, path: str, **given: Any) -> Any:
        response = await self._with_token(method, path, **given)
        if response.status_code == 401:  # the token has expired
            self._token = ""
            response = await self._with_token(method, path, **given)
        return _read(response)

    async def _with_token(self, method: str, path: str, **given: Any) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {await self._access()}"}
        return await self._send(
            method, path, **given | {"headers": given.get("headers", {}) | bearer}
        )

    async def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Again and again, while the server is away or asks to wait."""
        for failures in range(1, ATTEMPTS):
            try:
                response = await self._http.request(method, path, **given)
            except httpx.TransportError:
                await asyncio.sleep(_pause(failures))
                continue
            if response.status_code not in TRY_AGAIN:
                return response
            await asyncio.sleep(float(response.headers.get("Retry-After", _pause(failures))))
        return await self._http.request(method, path, **given)


def _read(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json()
    try:
        error = response.json()
        raise Refused(error["code"], error["detail"])
    except (ValueError, KeyError) as problem:
        raise Refused(f"http_{response.status_code}", response.text[:200]) from problem


def _pause(failures: int) -> float:
    longest: float = min(LONGEST_PAUSE_SECONDS, 0.25 * 2 ** min(failures, 10))
    return random.uniform(0.5, 1) * longest  # noqa: S311 - that not all come back at once
