"""Streams of scripted servers: sockets that fail in many ways, and polls in their place."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from django.conf import settings

from sovd.tests.processes import SECONDS
from sovd_client import Client, Refused, is_terminal
from sovd_client.tests.servers import (
    COMPLETED,
    ID,
    PENDING,
    TOKEN,
    Answer,
    Scripted,
    event,
    http,
    scripted,
    websocket,
)

HTML = "<!DOCTYPE html>\n<title>Log in</title>"
LOG = http(200, {"results": [PENDING, COMPLETED]})
Answers = dict[str, list[Answer]]


def socket_error(code: str) -> Mapping[str, object]:
    return event(0, event="error", error_code=code, error_message="why")


async def followed(server: Scripted, after: int = 0, patience: float = 60) -> list[Any]:
    async with asyncio.timeout(SECONDS), Client(server.url, "me", "pw", timeout=patience) as client:
        return [event["sequence_number"] async for event in client.stream(ID, after)]


def test_an_error_of_the_socket_is_not_terminal() -> None:
    error: Any = socket_error("unavailable")
    assert not is_terminal(error)


@pytest.mark.parametrize(
    "answer",
    [
        http(200, HTML),
        http(400, HTML),
        http(404, {"code": "not_found", "detail": "There is nothing at this address."}),
        http(426, HTML, Upgrade="websocket"),
        http(302, HTML, Location="http://other.invalid/login"),
        http(307, HTML, Location="/login"),
        b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
async def test_a_handshake_that_cannot_succeed_makes_it_poll(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with scripted({"/ws/": [answer], "/events/": [LOG]}) as server:
        assert await followed(server) == [1, 2]
    assert server.asked("/ws/") == 1
    assert [r.name for r in caplog.records if r.levelno >= logging.WARNING] == ["sovd_client"]
    assert "following by polling" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        http(403),
        http(502, HTML),
        b"",
        websocket(close=1011),
        websocket(socket_error("too_many_streams"), close=4429),
    ],
    ids=["forbidden", "bad gateway", "silence", "failed", "too many streams"],
)
async def test_three_useless_sockets_make_it_poll(answer: Answer) -> None:
    with scripted({"/ws/": [answer], "/events/": [LOG]}) as server:
        assert await followed(server, patience=2 if answer == b"" else 60) == [1, 2]
    assert server.asked("/ws/") == 3


async def test_a_socket_is_tried_again_before_the_third_failure() -> None:
    answers: Answers = {"/ws/": [http(502), websocket(close=1011), websocket(PENDING, COMPLETED)]}
    with scripted(answers) as server:
        assert await followed(server) == [1, 2]
    assert server.asked("/events/") == 0


async def test_a_busy_server_is_given_its_time() -> None:
    busy = http(503, HTML, Retry_After="0")
    with scripted({"/ws/": [busy, busy, busy, busy, websocket(PENDING, COMPLETED)]}) as server:
        assert await followed(server) == [1, 2]
    assert server.asked("/events/") == 0


@pytest.mark.parametrize("close", [1000, 1001, 1011, 4500])
async def test_no_close_code_ends_the_stream(close: int) -> None:
    answers: Answers = {"/ws/": [websocket(PENDING, close=close), websocket(COMPLETED)]}
    with scripted(answers) as server:
        assert await followed(server) == [1, 2]


async def test_repeated_events_are_shown_once() -> None:
    answers: Answers = {
        "/ws/": [websocket(PENDING, PENDING, close=1001), websocket(PENDING, COMPLETED)]
    }
    with scripted(answers) as server:
        assert await followed(server) == [1, 2]


async def test_polling_goes_on_until_the_terminal_event() -> None:
    waiting, away = http(200, {"results": [PENDING]}), http(503, HTML)
    answers: Answers = {"/ws/": [http(404)], "/events/": [waiting, away, b"\xff", waiting, LOG]}
    with scripted(answers) as server:
        assert await followed(server) == [1, 2]


async def test_polling_after_the_last_event_ends() -> None:
    command = dict.fromkeys(("command_id", "vehicle_id", "command_name", "status"), "")
    command |= {"error_code": "", "error_message": ""}
    body = command | {"command_params": {}, "last_sequence_number": 2}
    log = [http(200, {"results": []}), http(200, {"results": [COMPLETED]})]
    answers: Answers = {
        "/ws/": [http(404)],
        "/events/": [*log],
        f"{ID}/": [http(200, body)],
    }
    with scripted(answers) as server:
        assert await followed(server, after=9) == []


@pytest.mark.parametrize("code", ["token_expired", "unauthenticated"])
async def test_a_token_that_expires_on_the_way_is_renewed(code: str) -> None:
    expired = websocket(PENDING, socket_error(code), close=4401)
    answers: Answers = {
        "token/": [TOKEN, http(200, {"access": "a-new-token"})],
        "/ws/": [expired, websocket(COMPLETED)],
    }
    with scripted(answers) as server:
        assert await followed(server) == [1, 2]
    assert b"Bearer a-new-token" in server.requests[-1]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"/ws/": [websocket(socket_error("not_found"), close=4404)]}, "not_found"),
        ({"/ws/": [websocket(socket_error("bad_request"), close=4400)]}, "bad_request"),
        ({"/ws/": [websocket(HTML)]}, "bad_answer"),
        ({"/ws/": [websocket("[" * 50_000)]}, "bad_answer"),
        ({"/ws/": [websocket([])]}, "bad_answer"),
        ({"/ws/": [websocket({"sequence_number": "1"})]}, "bad_answer"),
        ({"/ws/": [http(404)], "/events/": [http(404, {"code": "not_found"})]}, "not_found"),
        ({"/ws/": [http(404)], "/events/": [http(200, HTML)]}, "http_200"),
        ({"/ws/": [http(404)], "/events/": [http(200, {"results": [1]})]}, "bad_answer"),
        ({"/ws/": [http(404)], "/events/": [http(401, HTML)]}, "http_401"),
        ({"token/": [TOKEN, http(401, {"code": "no_active_account"})],
          "/ws/": [websocket(socket_error("token_expired"), close=4401)]}, "no_active_account"),
    ],
)  # fmt: skip
async def test_what_cannot_get_better_is_refused(answers: Answers, code: str) -> None:
    with scripted(answers) as server, pytest.raises(Refused) as error:
        await followed(server)
    assert error.value.code == code


# --- Waiting as the server asks

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"
VEHICLES = http(200, {"results": []})


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "wait", ["0", " 0 ", DATE, "Fri, 20 Nov 2026 10:00:00 GMT", "soon", "-1", "nan", ""]
)
async def test_a_short_wait_is_waited_for(status: int, wait: str) -> None:
    answers: Answers = {"vehicles/": [http(status, HTML, Date=DATE, Retry_After=wait), VEHICLES]}
    with scripted(answers) as server:
        async with asyncio.timeout(SECONDS), Client(server.url, "me", "pw") as client:
            assert await client.vehicles() == []


@pytest.mark.parametrize("wait", ["3600", "9" * 9, "Sat, 21 Nov 2026 11:00:00 GMT"])
async def test_a_long_wait_is_refused_at_once(wait: str) -> None:
    answers: Answers = {"vehicles/": [http(429, HTML, Date=DATE, Retry_After=wait), VEHICLES]}
    with scripted(answers) as server:
        async with asyncio.timeout(SECONDS), Client(server.url, "me", "pw") as client:
            with pytest.raises(Refused, match=r"Try again in \d+ seconds"):
                await client.vehicles()
    assert server.asked("vehicles/") == 1


async def test_lists_read_all_pages_at_their_own_server() -> None:
    fields = {"vehicle_id": ID, "connection_status": "", "make": "", "model": "", "year": 1}
    pages = [
        http(
            200, {"results": [fields | {"vin": "A"}], "next": "http://other.invalid/?cursor=x%3D"}
        ),
        http(200, {"results": [fields | {"vin": "B"}], "next": None}),
    ]
    with scripted({"vehicles/": [*pages]}) as server:
        async with Client(server.url, "me", "pw") as client:
            assert [vehicle["vin"] for vehicle in await client.vehicles("a b")] == ["A", "B"]
    assert b"search=a+b&page_size=500&cursor=x%3D" in server.requests[-1]


def test_a_program_that_stops_following_ends_in_silence() -> None:
    program = """
import asyncio, sys
from sovd_client import Client
async def main():
    async with Client(sys.argv[1], "me", "pw") as client:
        async for event in client.stream(sys.argv[2]):
            return
asyncio.run(main())
"""
    with scripted({"/ws/": [websocket(PENDING, COMPLETED)]}) as server:
        command = [sys.executable, "-c", program, server.url, ID]
        ended = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, check=True)
    assert ended.stderr == b""
