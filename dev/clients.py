"""Well-behaved clients of the API and of the streams, which write down what they see."""

import asyncio
import json
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
from psycopg.types.json import Jsonb
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from dev.processes import PASSWORD, Installation

REQUEST_SECONDS = 15.0
SILENT_SECONDS = 8.0  # above several poll intervals of a stream
ENDED = {"completed", "failed", "timed_out", "cancelled", "expired"}

Body = dict[str, Any]


@dataclass
class Vehicle:
    vehicle_id: str
    vin: str
    is_online: bool


# A copy of a demo vehicle, whatever columns there are.
COPY_VEHICLE = """
INSERT INTO vehicles_vehicle
SELECT (jsonb_populate_record(vehicle, %s)).* FROM vehicles_vehicle AS vehicle
WHERE vehicle_id = (SELECT vehicle_id FROM vehicles_vehicle WHERE connector = 'mock' LIMIT 1)
"""


def make_vehicles(database_url: str, number: int) -> list[Vehicle]:
    """Make mocked vehicles, most of them online; they are connected once they were probed."""
    vehicles = [Vehicle(str(uuid.uuid4()), f"WVWZZZ1KZ{n:08}", n % 40 != 7) for n in range(number)]
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.executemany(COPY_VEHICLE, [(Jsonb(_columns(vehicle)),) for vehicle in vehicles])
    return vehicles


def _columns(vehicle: Vehicle) -> dict[str, Any]:
    return {
        "vehicle_id": vehicle.vehicle_id,
        "vin": vehicle.vin,
        "connector_settings": {"online": vehicle.is_online},
    }


@dataclass
class Submission:
    """One command, told from all others by its vehicle, its name and its parameters."""

    vehicle: Vehicle
    command_name: str
    command_params: dict[str, str]
    cancel_after: float | None = None

    @property
    def key(self) -> str:
        return key_of(self.vehicle.vin, self.command_name, self.command_params)


def key_of(vin: str, command_name: str, command_params: dict[str, Any]) -> str:
    return f"{vin} {command_name} {json.dumps(command_params, sort_keys=True)}"


@dataclass
class Recording:
    """The frames that one subscriber received, over however many connections."""

    command_id: str
    frames: list[str] = field(default_factory=list)
    closes: list[int] = field(default_factory=list)
    connects: int = 0
    position: int = 0
    """The highest sequence number so far."""
    times_stuck: int = 0
    has_ended: bool = False

    def add(self, text: str, frame: Body) -> None:
        self.frames.append(text)
        self.position = max(self.position, frame["sequence_number"])
        self.has_ended = frame.get("status") in ENDED


@dataclass
class Observations:
    """All that the clients saw; nothing is judged here."""

    attempts: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    """Key of each submission that was answered 201 → its command ID."""
    unknown: set[str] = field(default_factory=set)
    """Keys of submissions that got no response, or none that tells whether it was accepted."""
    cancels: dict[str, int] = field(default_factory=dict)
    """Command ID → status code of the response; 0 without a response."""
    recordings: list[Recording] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


Habit = Callable[[ClientConnection, int], Awaitable[None]]
OnFrame = Callable[[Body, str], Awaitable[None]]


async def keeps_reading(socket: ClientConnection, position: int) -> None:
    pass


async def ignore(frame: Body, text: str) -> None:
    pass


class Clients:
    """Any number of clients with one login. Each request goes to the next web process in turn."""

    def __init__(self, product: Installation, observations: Observations) -> None:
        self._product = product
        self._seen = observations
        self._turn = count()

    async def __aenter__(self) -> "Clients":
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(timeout=REQUEST_SECONDS, limits=limits)
        body = {"username": "operator", "password": PASSWORD}
        response = await self._until_answered("POST", "token/", body)
        self.token = response.json()["access"]
        self._http.headers["Authorization"] = f"Bearer {self.token}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @property
    def recordings(self) -> list[Recording]:
        return self._seen.recordings

    # --- Requests

    async def submit(self, submission: Submission) -> str:
        """Return the command ID; empty when the outcome is not known and cannot be found out."""
        body = {
            "vehicle_id": submission.vehicle.vehicle_id,
            "command_name": submission.command_name,
            "command_params": submission.command_params,
        }
        self._seen.attempts += 1
        response = await self._request("POST", "commands/", body)
        if response is not None and response.status_code == 201:
            command_id = str(response.json()["command_id"])
            self._seen.accepted[submission.key] = command_id
            return command_id
        self._seen.unknown.add(submission.key)
        return await self._find(submission)

    async def _find(self, submission: Submission) -> str:
        query = f"vehicle_id={submission.vehicle.vehicle_id}&command_name={submission.command_name}"
        response = await self._until_answered("GET", f"commands/?{query}")
        for found in response.json()["results"]:
            if found["command_params"] == submission.command_params:
                return str(found["command_id"])
        return ""

    async def cancel(self, command_id: str, web: str = "") -> None:
        response = await self._request("POST", f"commands/{command_id}/cancel/", web=web)
        self._seen.cancels[command_id] = response.status_code if response is not None else 0

    async def wait_for_database(self, web: str) -> None:
        await self._until_answered("GET", "commands/", web=web)

    async def is_up(self, web: str) -> bool:
        return await self._request("GET", "command-types/", web=web) is not None

    async def _until_answered(
        self, method: str, path: str, body: Body | None = None, web: str = ""
    ) -> httpx.Response:
        while True:
            response = await self._request(method, path, body, web)
            if response is not None and response.status_code < 500:
                return response
            await asyncio.sleep(0.5)

    async def _request(
        self, method: str, path: str, body: Body | None = None, web: str = ""
    ) -> httpx.Response | None:
        """Return None when the connection broke, or could not be made."""
        url = f"{self._product.url(web or self._next_web())}/api/v1/{path}"
        try:
            response = await self._http.request(method, url, json=body)
        except httpx.TransportError:
            return None
        if response.status_code in (400, 401, 403, 404, 500, 502):
            self._seen.problems.append(f"{method} {path}: {response.status_code} {response.text}")
        return response

    def _next_web(self) -> str:
        return self._product.web[next(self._turn) % len(self._product.web)]

    # --- Streams

    async def follow(
        self,
        command_id: str,
        habit: Habit = keeps_reading,
        on_frame: OnFrame = ignore,
        web: str = "",
    ) -> Recording:
        """Record a stream up to its terminal event, over however many connections."""
        recording = Recording(command_id)
        self._seen.recordings.append(recording)
        pause = 0.2
        while not recording.has_ended:
            before = recording.position
            await self._connect(recording, habit, on_frame, web or self._next_web())
            pause = 0.2 if recording.position > before else min(2.0, pause * 2)
            if not recording.has_ended:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        return recording

    async def come_back(self, recording: Recording) -> None:
        """Connect after the end: the server must close at once."""
        await self._connect(recording, keeps_reading, ignore, self._next_web())

    async def _connect(
        self, recording: Recording, habit: Habit, on_frame: OnFrame, web: str
    ) -> None:
        query = f"token={quote(self.token)}&after={recording.position}"
        address = self._product.url(web).replace("http", "ws", 1)
        url = f"{address}/ws/responses/{recording.command_id}?{query}"
        try:
            async with connect(
                url, proxy=None, open_timeout=REQUEST_SECONDS, max_queue=4
            ) as socket:
                recording.connects += 1
                while text := await self._next_text(socket, recording, web):
                    frame = json.loads(text)
                    if frame["sequence_number"] == 0:  # about the socket; its close follows
                        continue
                    recording.add(text, frame)
                    await on_frame(frame, text)
                    await habit(socket, recording.position)
        except ConnectionClosed as closed:
            recording.closes.append(closed.rcvd.code if closed.rcvd else 1006)
        except (OSError, InvalidHandshake, TimeoutError, EOFError):
            recording.closes.append(1006)

    async def _next_text(self, socket: ClientConnection, recording: Recording, web: str) -> str:
        """Return the next frame.

        Empty when none comes although the log, as the same process reads it, has more; or when the
        socket is not closed although the log has no more.
        """
        while not recording.has_ended:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    return str(await socket.recv())
            except TimeoutError:
                if await self._has_more(recording, web):
                    break
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                return str(await socket.recv())
        except TimeoutError:
            recording.times_stuck += recording.has_ended or await self._has_more(recording, web)
            return ""

    async def _has_more(self, recording: Recording, web: str) -> bool:
        response = await self._request("GET", f"commands/{recording.command_id}/", web=web)
        if response is None or response.status_code != 200:
            return False
        return bool(response.json()["last_sequence_number"] > recording.position)
