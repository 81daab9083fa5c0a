"""What arrives at the web server's socket, and must not get further."""

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from sovd.tests.live import Live
from sovd.tests.processes import SECONDS

TOO_MUCH = 3 * 1024 * 1024


def say(live: Live, said: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    head, _, body = live.heard(said).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, body


def request(line: str, *headers: bytes, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1".encode(), b"Host: 127.0.0.1", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", body])


def no_errors(live: Live) -> None:
    assert (live.errors(), live.dead()) == ([], [])


@pytest.mark.parametrize("path", [b"/evil", b"//evil.example", b"/\xc3\xa4", b"\xff", b"%00", b""])
def test_the_header_daphne_root_path_has_no_effect(live: Live, path: bytes) -> None:
    status, headers, _ = say(live, request("GET /", b"Daphne-Root-Path: " + path))
    assert (status, headers["location"]) == (302, "/accounts/login/?next=/")
    no_errors(live)


@pytest.mark.parametrize("path", ["/evil", "/ä"])
def test_nor_has_it_on_a_socket(live: Live, path: str) -> None:
    command_id = live.submit()
    address = f"ws://127.0.0.1:{live.port}/ws/responses/{command_id}?token={live.token}"
    headers = {"Daphne-Root-Path": path}
    with connect(address, additional_headers=headers, proxy=None) as stream:
        assert json.loads(stream.recv(SECONDS))["sequence_number"] == 1
    no_errors(live)


MANY = b"\r\n".join(b"X-%d: 1" % n for n in range(501))


@pytest.mark.parametrize("header", [b"X: " + b"a" * 17_000, b"X" * 17_000, MANY])
def test_too_large_a_head(live: Live, header: bytes) -> None:
    """Refused, or hung up on without a word."""
    assert live.heard(request("GET /healthz", header))[:12] in (b"HTTP/1.1 400", b"")
    no_errors(live)


JSON = b"Content-Type: application/json"


def too_large(live: Live, *headers: bytes, body: bytes) -> Any:
    status, said, answer = say(live, request("POST /api/v1/commands/", JSON, *headers, body=body))
    assert (status, said["content-type"]) == (413, "application/json")
    return json.loads(answer)


@pytest.mark.parametrize("sent", [0, 1])
def test_too_large_a_body_is_not_waited_for(live: Live, sent: int) -> None:
    """The 413 comes when the length is said: nothing of it is held."""
    error = too_large(live, b"Content-Length: %d" % TOO_MUCH, body=b" " * sent)
    assert error["code"] == "too_large"
    no_errors(live)


def test_too_large_a_body_that_does_not_say_its_length(live: Live) -> None:
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
def test_a_request_that_never_ends(live: Live, beginning: bytes) -> None:
    status, _, answer = say(live, beginning)
    assert (status, json.loads(answer)["code"]) == (408, "too_slow")
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
def test_what_is_hardly_a_request(live: Live, bytes_: bytes) -> None:
    answer = live.heard(bytes_)
    assert not answer.startswith(b"HTTP/1.1 5")
    no_errors(live)
