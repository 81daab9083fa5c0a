"""Limits of the web server: on requests, on handshakes and on the frames of clients."""

import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from select import POLLHUP, poll, select
from subprocess import Popen
from typing import Any

import psycopg
import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from commands.management.commands.demo_data import VEHICLES
from sovd.tests.live import Live
from sovd.tests.processes import SECONDS, until
from sovd.tests.raw_http import request

OFFLINE = VEHICLES[-1][0]  # the VIN of a vehicle whose commands wait
MIB = 1024 * 1024
TOO_MUCH = 6 * 1024 * 1024


def ask(live: Live, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers and the body."""
    head, _, body = live.heard(sent).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, body


def no_errors(live: Live) -> None:
    assert (live.errors(), live.dead()) == ([], [])


@pytest.mark.parametrize("path", [b"/evil", b"//evil.example", b"/\xc3\xa4", b"\xff", b"%00", b""])
def test_the_header_daphne_root_path_has_no_effect(live: Live, path: bytes) -> None:
    status, headers, _ = ask(live, request("GET /", b"Daphne-Root-Path: " + path))
    assert (status, headers["location"]) == (302, "/accounts/login/?next=/")
    no_errors(live)


@pytest.mark.parametrize("path", ["/evil", "/ä"])
def test_the_header_daphne_root_path_has_no_effect_on_a_stream(live: Live, path: str) -> None:
    command_id = live.submit()
    address = f"ws://127.0.0.1:{live.port}/ws/responses/{command_id}?token={live.token}"
    headers = {"Daphne-Root-Path": path}
    with connect(address, additional_headers=headers, proxy=None) as stream:
        assert json.loads(stream.recv(SECONDS))["sequence_number"] == 1
    no_errors(live)


MANY = b"\r\n".join(b"X-%d: 1" % n for n in range(501))


@pytest.mark.parametrize("header", [b"X: " + b"a" * 17_000, b"X" * 17_000, MANY])
def test_a_head_that_is_too_large_is_refused(live: Live, header: bytes) -> None:
    """The answer is a 400 or nothing."""
    assert live.heard(request("GET /healthz", header))[:12] in (b"HTTP/1.1 400", b"")
    no_errors(live)


JSON = b"Content-Type: application/json"


def too_large(live: Live, *headers: bytes, body: bytes) -> Any:
    status, said, answer = ask(live, request("POST /api/v1/commands/", JSON, *headers, body=body))
    assert (status, said["content-type"]) == (413, "application/json")
    return json.loads(answer)


@pytest.mark.parametrize("sent", [0, 1])
def test_a_body_that_is_too_large_is_not_waited_for(live: Live, sent: int) -> None:
    """The announced length is enough for the 413."""
    error = too_large(live, b"Content-Length: %d" % TOO_MUCH, body=b" " * sent)
    assert error["code"] == "too_large"
    no_errors(live)


@pytest.mark.parametrize(("size", "expected"), [(TOO_MUCH, 401), (101 * MIB, 413)])
def test_a_description_may_be_larger_than_other_bodies(
    live: Live, size: int, expected: int
) -> None:
    said = request("POST /api/v1/descriptions/", b"Content-Length: %d" % size, body=b" " * size)
    assert ask(live, said)[0] == expected
    no_errors(live)


def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(live: Live) -> None:
    chunk = b"%x\r\n%b\r\n" % (65_536, b" " * 65_536)
    chunks = chunk * (TOO_MUCH // 65_536) + b"0\r\n\r\n"
    error = too_large(live, b"Transfer-Encoding: chunked", body=chunks)
    assert error["code"] == "too_large"
    no_errors(live)


@pytest.mark.parametrize(
    "beginning",
    [
        request("POST /api/v1/commands/", JSON, b"Content-Length: 100", body=b"{"),
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    ],
)
def test_a_request_that_never_ends_is_answered_with_408(live: Live, beginning: bytes) -> None:
    status, _, answer = ask(live, beginning)
    assert (status, json.loads(answer)["code"]) == (408, "too_slow")
    no_errors(live)


# --- Requests that arrive slowly

BODY = request("POST /api/v1/commands/", JSON, b"Content-Length: 1000")
CHUNKS = request("POST /api/v1/commands/", JSON, b"Transfer-Encoding: chunked")
DRIPS = {
    "a request line": (b"GET /metrics?", b"a"),
    "a header": (b"GET /healthz HTTP/1.1\r\nX: ", b"a"),
    "many headers": (b"GET /readyz HTTP/1.1\r\n", b"X: a\r\n"),
    "a body": (BODY, b" "),
    "chunks": (CHUNKS, b"1\r\n \r\n"),
    "a second request": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", b"a"),
}


def answer_to_drips(live: Live, beginning: bytes, drop: bytes) -> bytes:
    """Send a part of a request after another, as long as the server listens."""
    answer = b""
    with socket.create_connection(("127.0.0.1", live.port), timeout=0.1) as client:
        client.sendall(beginning)
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends and b"408" not in answer:
            with suppress(TimeoutError, ConnectionError):
                answer += client.recv(65_536)
            with suppress(ConnectionError):
                client.sendall(drop)
    return answer


def test_a_request_that_drips_has_the_deadline_of_any_other(live: Live) -> None:
    with ThreadPoolExecutor(len(DRIPS)) as threads:
        answers = threads.map(lambda drip: answer_to_drips(live, *drip), DRIPS.values())
        slow = dict(zip(DRIPS, answers, strict=True))
    assert {name for name, answer in slow.items() if b"HTTP/1.1 408 " in answer} == {*DRIPS}
    assert b"HTTP/1.1 200 " in slow["a second request"]
    no_errors(live)


UPGRADE = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.mark.parametrize(
    "bytes_",
    [
        request("GET /ws/responses/x", *UPGRADE, b"Sec-WebSocket-Protocol: \xff"),
        request("GET /ws/responses/x", *UPGRADE[:2]),
        request("POST /ws/responses/x", *UPGRADE),
        request("GET /ws/responses/\xc3\xa4", *UPGRADE),
        request("G\xcbT /healthz"),
        request("GET /healthz?\xc3\xa4"),
        request("GET /\xc3\xa4"),
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00",
        request("GET /healthz", b"Content-Length: x"),
        request("GET /healthz", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        request("POST /api/v1/commands/", b"Transfer-Encoding: chunked", body=b"zz\r\n"),
        request("GET /healthz", b"Host: \xff"),
        request("GET /healthz", b": x"),
    ],
)
def test_malformed_requests_cause_no_server_error(live: Live, bytes_: bytes) -> None:
    answer = live.heard(bytes_)
    assert not answer.startswith(b"HTTP/1.1 5")
    no_errors(live)


@pytest.mark.parametrize("beginning", [b"GET /metrics?", b"GET /metrics HTTP/1.1\r\nX: "])
def test_the_port_of_the_metrics_waits_no_longer_for_a_request(
    live: Live, beginning: bytes
) -> None:
    port = int(str(live.environment["WORKER_METRICS_PORT"]))
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as client:
        client.sendall(beginning)

        def has_hung_up() -> bool:
            try:
                client.sendall(b"a")
                return client.recv(65_536) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        until(has_hung_up)


# --- What a client sends on a WebSocket


def frame(opcode: int, payload: bytes = b"", is_final: bool = True) -> bytes:
    return beginning_of_frame(opcode, len(payload), is_final) + payload


def beginning_of_frame(opcode: int, length: int, is_final: bool = True) -> bytes:
    first, mask = (0x80 if is_final else 0) | opcode, bytes(4)
    if length < 126:
        return bytes([first, 0x80 | length]) + mask
    kind, form = (126, "!H") if length < 65_536 else (127, "!Q")
    return bytes([first, 0x80 | kind]) + struct.pack(form, length) + mask


CONTINUATION, TEXT, PING, PONG = 0, 1, 9, 10


@contextmanager
def stream(live: Live, command_id: str, token: str = "") -> Iterator[ClientConnection]:
    address = f"ws://127.0.0.1:{live.port}/ws/responses/{command_id}?token={token}"
    with connect(address, proxy=None, ping_interval=None) as client:
        yield client


def send(client: ClientConnection, frames: bytes) -> None:
    with suppress(OSError):  # the server has stopped reading
        client.socket.settimeout(1)
        client.socket.sendall(frames)
        client.socket.settimeout(None)


def error_and_close_code(client: ClientConnection) -> tuple[str, int | None]:
    frames = [json.loads(client.recv(SECONDS))]
    with suppress(ConnectionClosed):
        while True:
            frames.append(json.loads(client.recv(SECONDS)))
    return frames[-1]["error_code"], client.close_code


def memory_of(process: Popen[bytes]) -> int:
    """Return the bytes that are resident."""
    status = Path(f"/proc/{process.pid}/statm").read_text()
    return int(status.split()[1]) * 4096


def test_half_messages_are_not_kept(live: Live) -> None:
    web, half = live.processes[0], 1024 * 1024 - 1
    before = memory_of(web)
    with ExitStack() as clients:
        for number in range(100):
            client = clients.enter_context(stream(live, f"half-{number}"))
            send(client, beginning_of_frame(TEXT, half + 1) + bytes(half))
        assert memory_of(web) - before < 100 * half / 4
    no_errors(live)


FLOODS = {
    "empty texts": frame(TEXT) * 20_000,
    "pings": frame(PING) * 20_000,
    "pongs": frame(PONG, b"x") * 20_000,
    "fragments": frame(TEXT, is_final=False) + frame(CONTINUATION, is_final=False) * 20_000,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_frames_after_a_refusal_are_not_processed(live: Live, kind: str) -> None:
    command_id = f"refused-{kind.replace(' ', '-')}"
    with stream(live, command_id) as client:
        send(client, FLOODS[kind])
        assert error_and_close_code(client) == ("unauthenticated", 4401)
    lines = [line for line in live.logged().splitlines() if command_id in line]
    assert len([line for line in lines if "stream_refused" in line]) == 1
    no_errors(live)


@pytest.mark.parametrize("kind", FLOODS)
def test_too_many_frames_of_any_kind_end_a_stream(live: Live, kind: str) -> None:
    command_id = live.submit(OFFLINE)
    with stream(live, command_id, live.token) as client:
        send(client, FLOODS[kind])
        assert error_and_close_code(client) == ("too_many_frames", 4429)
    lines = [line for line in live.logged().splitlines() if command_id in line]
    assert len([line for line in lines if "stream_refused" in line]) == 1
    no_errors(live)


@pytest.mark.parametrize(
    "frames",
    [
        beginning_of_frame(TEXT, 65_537),
        beginning_of_frame(TEXT, 2**40),
        frame(TEXT, bytes(60_000), is_final=False) + beginning_of_frame(CONTINUATION, 60_000),
    ],
    ids=["a byte too long", "a terabyte", "long in sum"],
)
def test_too_large_a_message_is_not_waited_for(live: Live, frames: bytes) -> None:
    with stream(live, live.submit(OFFLINE), live.token) as client:
        send(client, frames)
        assert error_and_close_code(client) == ("frame_too_large", 4413)
    no_errors(live)


# --- Handshakes


@contextmanager
def slow_handshakes(live: Live) -> Iterator[None]:
    """Keep each stream waiting for the command that it asks for."""
    with psycopg.connect(str(live.environment["DATABASE_URL"])) as holder:
        holder.execute("LOCK TABLE commands_command IN ACCESS EXCLUSIVE MODE")
        yield


def test_handshakes_beyond_the_limit_are_refused_at_once(live: Live) -> None:
    limit, more = settings.HANDSHAKES_AT_ONCE, 10
    handshake = live.handshake(live.submit(OFFLINE))
    with ExitStack() as sockets:
        clients = [
            sockets.enter_context(socket.create_connection(("127.0.0.1", live.port)))
            for _ in range(limit + more)
        ]
        with slow_handshakes(live):
            for client in clients:
                client.sendall(handshake)
            until(lambda: len(answered_of(clients)) >= more)
            refused = answered_of(clients)
            answers = [client.recv(65_536) for client in refused]
        others = [client.recv(65_536) for client in clients if client not in refused]
    assert [head.split()[1] for head in answers + others] == [b"503"] * more + [b"101"] * limit
    pauses = [re.search(rb"\r\nRetry-After: (\d+)\r\n", answer) for answer in answers]
    assert {2 <= int(pause[1]) <= 10 for pause in pauses if pause} == {True}
    no_errors(live)


def answered_of(clients: list[socket.socket]) -> list[socket.socket]:
    return select(clients, [], [], 0)[0]


# --- Clients that do not read, or are gone

HEAD = "UPDATE commands_command SET last_sequence_number = 3000 WHERE command_id = %(id)s"
LOG = """
INSERT INTO commands_event (command_id, sequence_number, kind, payload)
SELECT %(id)s, n, 'response', jsonb_build_object('response', repeat('x', 4000), 'is_final', false)
FROM generate_series(2, 3000) n
"""
READERS, SILENT = 10, 30


def test_a_client_that_answers_no_ping_is_hung_up(live: Live) -> None:
    answer = live.heard(live.handshake(live.submit(OFFLINE)))
    assert frame(PING)[:1] + b"\x00" in answer
    no_errors(live)


def test_a_client_that_reads_nothing_costs_little_and_is_hung_up(live: Live) -> None:
    web, command_id = live.processes[0], live.submit(OFFLINE)
    with psycopg.connect(str(live.environment["DATABASE_URL"])) as connection:
        connection.execute(LOG, {"id": command_id})
        connection.execute(HEAD, {"id": command_id})
    with ThreadPoolExecutor(READERS) as others:  # so that the memory of reading is there before
        answers = [*others.map(live.heard, [live.handshake(command_id)] * READERS)]
    assert min(map(len, answers)) > 3000 * 4000
    before = memory_of(web)
    hung_up = poll()
    with ExitStack() as clients:
        for _ in range(SILENT):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", live.port))
            client.sendall(live.handshake(command_id))
            hung_up.register(client, POLLHUP)
        memory = [before]

        def are_all_gone() -> bool:
            memory.append(memory_of(web))
            return len(hung_up.poll(0)) == SILENT

        until(are_all_gone)
    assert max(memory) - before < (READERS + SILENT) * MIB  # a read log is kept in parts
    no_errors(live)
