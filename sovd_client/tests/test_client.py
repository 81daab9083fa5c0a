"""The Python client, at a live server, and through a proxy that breaks its connections."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from django.conf import settings

from commands.demo_users import PASSWORD
from dev.servers import spawn
from sovd.tests.live import Live
from sovd.tests.processes import SECONDS
from sovd.tests.test_processes import OFFLINE, VINS
from sovd_client import Client, Refused


def client(port: int, user: str = "operator", password: str = PASSWORD) -> Client:
    return Client(f"http://127.0.0.1:{port}", user, password)


async def test_submit_and_follow(live: Live) -> None:
    async with client(live.port) as operator:
        command = await operator.submit(VINS[0], "ReadDTC", ecuAddress="0x10")
        events = [event async for event in operator.stream(command["command_id"])]
        assert (await operator.command(command["command_id"]))["status"] == "completed"
    assert events == live.get(f"/api/v1/commands/{command['command_id']}/events/")["results"]


async def test_going_on_after_an_event(live: Live) -> None:
    command_id = live.submit()
    live.follow(command_id)
    async with client(live.port) as operator:
        events = [event async for event in operator.stream(command_id, after=2)]
    assert events[0]["sequence_number"] == 3


async def test_cancel(live: Live) -> None:
    async with client(live.port) as operator:
        command = await operator.submit(OFFLINE.lower(), "ReadDTC", ecuAddress="0x10")
        assert (await operator.cancel(command["command_id"]))["status"] == "cancelled"
        events = [event async for event in operator.stream(command["command_id"])]
    assert [event["status"] for event in events] == ["pending", "cancelled"]


async def test_a_token_that_has_expired_is_renewed(live: Live) -> None:
    async with client(live.port) as operator:
        command = await operator.submit(OFFLINE, "ReadDTC", ecuAddress="0x10")
        operator._token = "expired"  # noqa: S105
        await operator.cancel(command["command_id"])
        operator._token = "expired"  # noqa: S105
        assert len([event async for event in operator.stream(command["command_id"])]) == 2


async def refusal(asking: Callable[[], Awaitable[Any]]) -> str:
    with pytest.raises(Refused) as error:
        await asking()
    return error.value.code


async def test_what_is_refused_is_said(live: Live) -> None:
    nothing = "00000000-0000-4000-8000-000000000000"

    async def follow() -> None:
        async for _ in operator.stream(nothing):
            pass

    async with client(live.port) as operator:
        assert await refusal(lambda: operator.submit("NO-SUCH-VIN", "ReadDTC")) == "not_found"
        assert await refusal(lambda: operator.submit(VINS[0], "Reboot")) == "invalid"
        assert await refusal(lambda: operator.command(nothing)) == "not_found"
        assert await refusal(follow) == "not_found"
    async with client(live.port, password="wrong") as stranger:
        assert await refusal(stranger.vehicles) == "no_active_account"


# --- A proxy that breaks what goes through it


class Breaker:
    """Passes on what the server says, and hangs up in the middle of a piece that has a limit."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.limits: list[int | None] = []  # of the next pieces, in bytes
        self.broken = 0
        self.connections: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.create_task(self._connect(reader, writer)))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._live.port)
        ways = [
            asyncio.create_task(self._pass_on(reader, back, lambda: None)),
            asyncio.create_task(self._pass_on(there, writer, self._limit)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (back, writer):
            end.transport.abort()
            with suppress(ConnectionError):
                await end.wait_closed()

    def _limit(self) -> int | None:
        return self.limits.pop(0) if self.limits else None

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        next_limit: Callable[[], int | None],
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                limit = next_limit()
                writer.write(data[:limit])
                await writer.drain()
                if limit is not None:
                    self.broken += 1
                    return


@asynccontextmanager
async def breaking(live: Live) -> AsyncIterator[tuple[Breaker, int]]:
    breaker = Breaker(live)
    async with await asyncio.start_server(breaker.accept, "127.0.0.1", 0) as server:
        yield breaker, server.sockets[0].getsockname()[1]
    await asyncio.wait(breaker.connections, timeout=SECONDS)


async def test_an_answer_that_is_lost_does_not_submit_twice(live: Live) -> None:
    before = len(live.get("/api/v1/commands/?page_size=500")["results"])
    async with breaking(live) as (breaker, port), client(port) as operator:
        vehicle = (await operator.vehicles(OFFLINE))[0]["vehicle_id"]
        breaker.limits = [1, 1]
        await operator.submit(vehicle, "ReadDTC", ecuAddress="0x10")
        assert breaker.broken == 2
    assert len(live.get("/api/v1/commands/?page_size=500")["results"]) == before + 1


async def test_a_stream_that_breaks_goes_on(live: Live) -> None:
    command_id = live.submit()
    live.follow(command_id)
    async with breaking(live) as (breaker, port), client(port) as operator:
        await operator.vehicles()
        breaker.limits = [10, None, 0, None, 200, None, 700]  # every other one is the handshake's
        async with asyncio.timeout(SECONDS):
            events = [event async for event in operator.stream(command_id)]
    assert events == live.get(f"/api/v1/commands/{command_id}/events/")["results"]
    assert breaker.broken >= 2


# --- The command line


def type_(live: Live, *arguments: str, password: str = PASSWORD) -> tuple[int, list[str], str]:
    given = {
        "SOVD_URL": f"http://127.0.0.1:{live.port}",
        "SOVD_USERNAME": "operator",
        "SOVD_PASSWORD": password,
        "PATH": os.environ["PATH"],
    }
    process = spawn(
        [sys.executable, "-m", "sovd_client", *arguments],
        cwd=settings.BASE_DIR,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = process.communicate(timeout=SECONDS)
    return process.returncode, output.decode().splitlines(), errors.decode()


def test_the_command_line(live: Live) -> None:
    code, lines, errors = type_(live, "submit", VINS[0], "ReadDTC", "ecuAddress=0x10", "--follow")
    assert (code, errors) == (0, "")
    assert live.status_of(lines[0]) == "completed"
    assert [line[14:].split()[1] for line in lines[1:3]] == ["pending", "in_progress"]
    assert "answer  confirmed=" in lines[3]
    assert "dtcCode=P" in lines[3]
    assert lines[-1].endswith("completed")
    assert type_(live, "follow", lines[0], "--after", "2")[1] == lines[3:]


def test_the_command_line_says_what_is_wrong(live: Live) -> None:
    assert type_(live, "submit", VINS[0], "ReadDTC", "ecuAddress=16") == (
        2,
        [],
        "invalid: command_params.ecuAddress: Not valid: one byte in hexadecimal, such as 0x10.\n",
    )
    code, _, errors = type_(live, "vehicles", password="wrong")
    assert (code, errors[:18]) == (2, "no_active_account:")
    assert "is not name=value" in type_(live, "submit", VINS[0], "ReadDTC", "ecuAddress")[2]


def test_vehicles_on_the_command_line(live: Live) -> None:
    code, lines, _ = type_(live, "vehicles", "honda")
    assert (code, len(lines)) == (0, 1)
    assert lines[0].split()[0] == VINS[0]


def test_the_client_needs_nothing_of_the_server() -> None:
    code = "import sys, sovd_client; sys.exit(bool({'django', 'commands'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, check=True)
