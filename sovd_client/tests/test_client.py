"""The Python client at a live server, and through a proxy that breaks its connections."""

import asyncio
import logging
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.conf import settings

from commands.accounts.demo_users import PASSWORD
from commands.management.commands.demo_data import VEHICLES
from sovd.tests.live import Live
from sovd.tests.processes import SECONDS
from sovd_client import Client, Event, Refused
from sovd_client.client import Timing
from sovd_client.tests.servers import ID, Proxy, proxy_of

VINS = [vin for vin, *_ in VEHICLES]
OFFLINE = VINS[-1]


def client(port: int, user: str = "operator", password: str = PASSWORD) -> Client:
    return Client(f"http://127.0.0.1:{port}", user, password)


async def followed(operator: Client, command_id: str, after: int = 0) -> list[Event]:
    async with asyncio.timeout(SECONDS):
        return [event async for event in operator.stream(command_id, after)]


def log_of(live: Live, command_id: str) -> Any:
    return live.get(f"/api/v1/commands/{command_id}/events/")["results"]


async def refusal(asking: Callable[[], Awaitable[Any]]) -> str:
    with pytest.raises(Refused) as error:
        await asking()
    return error.value.code


async def test_the_client_submits_and_follows(live: Live) -> None:
    async with client(live.port) as operator:
        command = await operator.submit(VINS[0], "ReadDTC", ecuAddress="0x10")
        events = await followed(operator, command["command_id"])
        assert (await operator.command(command["command_id"]))["status"] == "completed"
    assert events == log_of(live, command["command_id"])


async def test_the_client_goes_on_after_an_event(live: Live) -> None:
    command_id = live.submit()
    live.follow(command_id)
    async with client(live.port) as operator:
        assert await followed(operator, command_id, after=2) == log_of(live, command_id)[2:]


@pytest.mark.parametrize("beyond", [0, 1, 1_000])
async def test_following_ends_when_nothing_is_left(live: Live, beyond: int) -> None:
    command_id = live.submit()
    live.follow(command_id)
    last = len(log_of(live, command_id))
    async with client(live.port) as operator:
        assert await followed(operator, command_id, after=last + beyond) == []


async def test_the_client_cancels(live: Live) -> None:
    async with client(live.port) as operator:
        command = await operator.submit(OFFLINE, "ReadDTC", ecuAddress="0x10")
        assert (await operator.cancel(command["command_id"]))["status"] == "cancelled"
        events = await followed(operator, command["command_id"])
    assert [event["status"] for event in events] == ["pending", "cancelled"]


async def test_the_client_says_when_a_command_may_be_sent(live: Live) -> None:
    timing = Timing(expires_in_seconds=60, not_before="2099-01-01T00:00:00Z", priority="background")
    async with client(live.port) as operator:
        with pytest.raises(Refused, match="not_before"):
            await operator.submit(OFFLINE, "ReadDTC", timing, ecuAddress="0x10")
        del timing["not_before"]
        command: Any = await operator.submit(OFFLINE, "ReadDTC", timing, ecuAddress="0x10")
        assert command["priority"] == "background"
        await operator.cancel(command["command_id"])


@pytest.mark.parametrize("separator", ["", " ", "-", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}"])
async def test_a_vin_is_found_as_people_write_it(live: Live, separator: str) -> None:
    written = f" {separator.join((OFFLINE[:3], OFFLINE[3:9], OFFLINE[9:]))}\t".lower()
    async with client(live.port) as operator:
        command = await operator.submit(written, "ReadDTC", ecuAddress="0x10")
        for spelling in (f" {command['vehicle_id'].upper()}\n", command["vehicle_id"]):
            again = await operator.submit(spelling, "ReadDTC", ecuAddress="0x10")
            assert again["vehicle_id"] == command["vehicle_id"]


async def test_refusals_have_the_code_of_the_server(live: Live) -> None:
    async with client(live.port) as operator:
        assert await refusal(lambda: operator.submit("NO-SUCH-VIN", "ReadDTC")) == "not_found"
        assert await refusal(lambda: operator.submit("---", "ReadDTC")) == "not_found"
        assert await refusal(lambda: operator.submit(VINS[0], "Reboot")) == "invalid"
        assert await refusal(lambda: operator.command(ID)) == "not_found"
        assert await refusal(lambda: operator.command("../vehicles")) == "not_found"
        assert await refusal(lambda: followed(operator, ID)) == "not_found"
        assert await refusal(lambda: followed(operator, "?")) == "not_found"
        command_id = live.submit()
        assert await refusal(lambda: followed(operator, command_id, -1)) == "bad_request"
    async with client(live.port, password="wrong") as stranger:
        assert await refusal(stranger.vehicles) == "no_active_account"


def test_the_client_imports_nothing_of_the_server() -> None:
    code = "import sys, sovd_client; sys.exit(bool({'django', 'commands'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, check=True)


# --- Through a proxy


async def test_a_submission_whose_answer_is_lost_is_not_sent_twice(live: Live) -> None:
    before = len(live.get("/api/v1/commands/?page_size=500")["results"])
    async with proxy_of(live) as (proxy, port), client(port) as operator:
        vehicle = (await operator.vehicles(OFFLINE))[0]["vehicle_id"]
        proxy.limits = [1, 1]
        await operator.submit(vehicle, "ReadDTC", ecuAddress="0x10")
        assert proxy.broken == 2
    assert len(live.get("/api/v1/commands/?page_size=500")["results"]) == before + 1


async def test_a_stream_that_breaks_goes_on(live: Live) -> None:
    command_id = live.submit()
    live.follow(command_id)
    async with proxy_of(live) as (proxy, port), client(port) as operator:
        await operator.vehicles()
        # The third and the fifth piece are those of handshakes, and what comes with them.
        proxy.limits = [10, 300, None, 700, None, 200]
        assert await followed(operator, command_id) == log_of(live, command_id)
    assert proxy.broken >= 2


async def test_an_expired_token_is_renewed(live: Live) -> None:
    async with proxy_of(live) as (proxy, port), client(port) as operator:
        command = await operator.submit(OFFLINE, "ReadDTC", ecuAddress="0x10")
        expire_once(proxy)
        await operator.cancel(command["command_id"])
        expire_once(proxy)
        assert await followed(operator, command["command_id"]) == log_of(
            live, command["command_id"]
        )


def expire_once(proxy: Proxy) -> None:
    """Spoil the next token on its way to the server."""

    def edit(data: bytes) -> bytes:
        spoilt = data.replace(b"Bearer ", b"Bearer x")
        if spoilt != data:
            proxy.edit = bytes
        return spoilt

    proxy.edit = edit


async def test_a_proxy_without_websockets_makes_it_poll(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxy_of(live) as (proxy, port), client(port) as operator:
        proxy.edit = lambda data: re.sub(rb"(?i)(upgrade|connection): .*?\r\n", b"", data)
        command = await operator.submit(VINS[0], "ReadDTC", ecuAddress="0x10")
        events = await followed(operator, command["command_id"])
        finished = await followed(operator, command["command_id"], after=1_000)
    assert events == log_of(live, command["command_id"])
    assert finished == []
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {record.name for record in warnings} == {"sovd_client"}
    assert "following by polling" in warnings[0].message
