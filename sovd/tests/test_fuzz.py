"""Random hostile requests and sockets at a live server. `make fuzz` sends more of them."""

import os
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from commands.tests.api.hostile_input import (
    BODIES,
    HEADERS,
    METHODS,
    NAMES,
    NASTY,
    NO_UUIDS,
    PLACES,
)
from sovd.tests.live import Live
from sovd.tests.processes import SECONDS, tool, until
from sovd.tests.site import OFFLINE, STREAMS, VINS, ask, metrics_at

pytestmark = pytest.mark.fuzz
SEED = int(os.environ.get("FUZZ_SEED", "20260301"))
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "4")
HTTP_CASES = int(os.environ.get("FUZZ_HTTP", "5000"))
SOCKET_CASES = int(os.environ.get("FUZZ_SOCKETS", "1000"))

# It wants more than a schema can say: that a vehicle exists, that a text holds no NUL.
NOT = "positive_data_acceptance"
OTHER_ECUS = "/components/0x(18|28|40)"
ENDS_THE_LOGIN = "/token/logout"  # of the request: a run with such a route proves little else


def test_the_api_does_what_its_schema_says(live: Live, tmp_path: Path, counts: list[str]) -> None:
    checked = check_schema(live, tmp_path, "--exclude-path-regex", ENDS_THE_LOGIN)
    live.get("/api/v1/vehicles/")  # the login of the run has not ended
    counts.append(f"{checked} schemathesis cases, none beside the schema")


def test_routes_that_end_a_login_do_what_their_schema_says(live: Live, tmp_path: Path) -> None:
    check_schema(live, tmp_path, "--include-path-regex", ENDS_THE_LOGIN)
    assert ask(live.port, "GET", "/api/v1/vehicles/", token=live.token)[0] == 401


def test_the_facade_does_what_its_document_says(
    live: Live, tmp_path: Path, counts: list[str]
) -> None:
    """It reads tolerantly, and a 502 or 504 stands for the vehicle: `live.errors` allows these."""
    checked = check_schema(
        live,
        tmp_path,
        *("--exclude-path-regex", OTHER_ECUS),
        schema=f"/sovd/{VINS[0]}/v1/docs",
        without=f"{NOT},negative_data_rejection,not_a_server_error",
    )
    counts.append(f"{checked} schemathesis cases of the SOVD façade, none beside its document")


def check_schema(
    live: Live, directory: Path, *options: str, schema: str = "/api/schema/", without: str = NOT
) -> int:
    """Send requests made from the schema; return their number."""
    ended = tool(
        "schemathesis",
        "run",
        f"http://127.0.0.1:{live.port}{schema}",
        *("--header", f"Authorization: Bearer {live.token}"),
        *("--checks", "all", "--exclude-checks", without),
        *("--max-examples", EXAMPLES, "--seed", str(SEED), "--generation-database", "none"),
        *("--phases", "examples,coverage,fuzzing", "--no-color", "--warnings", "off"),
        *options,
        cwd=directory,
        seconds=1_800,
    )
    assert ended.exit_code == 0, ended.output
    assert (live.errors(), live.dead()) == ([], [])
    (generated,) = re.findall(r"(\d+) generated", ended.output)
    return int(generated)


# Requests that mean no good

AT_ONCE = 6
ADDRESSES = [
    *PLACES,
    "/",
    "/admin/",
    "/admin/commands/command/",
    "/admin/commands/command/{}/change/",
    "/api/docs/",
    "/api/v1/token/logout/",
    "/api/v1/{}",
    "/metrics",
    "/static/console/{}",
    "/ws/responses/{}",
    "//{}",
    "/{}",
]
MORE_HEADERS = {
    "Idempotency-Key": ["", "a" * 300, "\xff", "a b", "a"],
    "Daphne-Root-Path": ["/evil", "\xff", "//evil"],
    "Host": ["evil.example", "\xff", "", "127.0.0.1:99999", "[::1"],
    "Content-Length": ["-1", "x", "99999999999", "1"],
    "Transfer-Encoding": ["chunked", "gzip", "chunked, chunked"],
    "Expect": ["100-continue"],
    "Range": ["bytes=5-1", "bytes=" + "0-," * 900],
    "Upgrade": ["websocket", "h2c", "\xff"],
    "Origin": ["null", "http://evil.example", "\xff"],
    "Referer": ["\xff", "http://[", "a" * 5_000],
    "X-Forwarded-Proto": ["https", "\xff"],
    "Accept-Encoding": ["br;q=x", "," * 900],
    "Accept-Language": ["\xff", "x" * 5_000],
}


def hostile_request(dice: random.Random, live: Live, known: list[str]) -> bytes:
    ids = [*known, *NO_UUIDS]
    query = "&".join(f"{dice.choice(NAMES)}={dice.choice(NASTY)}" for _ in range(dice.randrange(3)))
    address = dice.choice(ADDRESSES).format(dice.choice(ids))
    body = dice.choice([b"", *BODIES])[:20_000]
    headers = {"Host": "127.0.0.1", "Content-Type": "application/json"}
    headers |= {"Content-Length": str(len(body))} if body else {}
    if dice.random() < 0.7:
        headers["Authorization"] = f"Bearer {live.token}"
    for name in dice.sample(list(HEADERS | MORE_HEADERS), dice.randrange(3)):
        headers[name] = dice.choice((HEADERS | MORE_HEADERS)[name])
    lines = [f"{dice.choice(METHODS)} {address}?{query} HTTP/1.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    said = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
    return mangled(dice, said) if dice.random() < 0.2 else said


def mangled(dice: random.Random, said: bytes) -> bytes:
    copy = bytearray(said)
    for _ in range(dice.randrange(1, 6)):
        copy[dice.randrange(len(copy))] = dice.randrange(256)
    return bytes(copy)


def test_hostile_requests_cause_no_server_error(live: Live, counts: list[str]) -> None:
    dice = random.Random(SEED)
    known = [live.submit(), live.submit(OFFLINE)]
    cases = [hostile_request(dice, live, known) for _ in range(HTTP_CASES)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = [*threads.map(lambda said: live.heard(said, patience=1.5), cases)]
    codes = [answer[9:12].decode() for answer in answers]
    assert [case for case, code in zip(cases, codes, strict=True) if code >= "5"] == []
    assert (live.errors(), live.dead()) == ([], [])
    assert {"200", "400", "401", "404", "405"} <= {*codes}
    live.follow(live.submit())
    counts.append(f"{len(cases)} hostile requests: {told(codes)}")


def told(outcomes: list[str]) -> str:
    return ", ".join(
        f"{n} {outcome or 'hung up'}" for outcome, n in sorted(Counter(outcomes).items())
    )


# Sockets that mean no good


def hostile_address(dice: random.Random, live: Live, known: list[str]) -> str:
    if dice.random() < 0.4:  # a good one, to which bad frames are sent
        return f"ws://127.0.0.1:{live.port}/ws/responses/{dice.choice(known)}?token={live.token}"
    pool = ["", "x", "%00", "%FF", "9" * 3_000, "a.b.c", live.token, live.token, live.token]
    query = [f"{dice.choice(['token', 'token', 'token', 'ticket', 'x'])}={dice.choice(pool)}"]
    query += [
        f"after={dice.choice(['0', '1', '3', '99', *NASTY])}" for _ in range(dice.randrange(2))
    ]
    command = dice.choice([*known * 4, *NO_UUIDS])
    path = dice.choice([*["/ws/responses/{}"] * 8, "/ws/responses/{}/", "/ws/{}", "/{}"])
    return f"ws://127.0.0.1:{live.port}{path.format(command)}?{'&'.join(query)}"


HOSTILE_HEADERS: list[dict[str, str]] = [
    *[{}] * 12,
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Authorization": "Bearer \xff"},
    {"Authorization": "Bearer a.b.c"},
    {"Daphne-Root-Path": "/\xff"},
    {"Sec-WebSocket-Protocol": "\xff"},
    {"Cookie": "sessionid=\xff"},
]
FRAMES = [
    b"",
    b"\x81\x85\x00\x00\x00\x00hello",  # a text
    b"\x82\x81\x00\x00\x00\x00\xff",  # binary
    b"\x81\x81\x00\x00\x00\x00\xff",  # a text that is not UTF-8
    b"\x81\x05hello",  # not masked
    b"\x83\x80\x00\x00\x00\x00",  # a kind that there is not
    b"\xf1\x80\x00\x00\x00\x00",  # reserved bits
    b"\x89\xfe\xff\xff\x00\x00\x00\x00",  # too long a ping
    b"\x88\x81\x00\x00\x00\x00\x01",  # a close of one byte
    b"\x88\x82\x00\x00\x00\x00\x00\x01",  # a close code that there is not
    b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",  # 2**64 bytes announced
    b"\x81\xfe\xff\xff\x00\x00\x00\x00" + b"a" * 65_535,
    b"\x01\x81\x00\x00\x00\x00a" * 3,  # beginnings without end
    b"\x81\x80\x00\x00\x00\x00" * 80,  # too many
]


def outcome(case: tuple[str, dict[str, str], bytes]) -> str:
    address, headers, frames = case
    try:
        with connect(
            address, additional_headers=headers, proxy=None, close_timeout=2, open_timeout=SECONDS
        ) as stream:
            with suppress(OSError):  # it has heard enough, and why comes now
                stream.socket.sendall(frames)
            for _ in range(10):
                stream.recv(0.2)
    except InvalidStatus as error:
        return f"HTTP {error.response.status_code}"
    except ConnectionClosed as error:
        return f"close {error.rcvd.code}" if error.rcvd else "hung up"
    except TimeoutError:
        return "still open"
    except (OSError, WebSocketException) as error:
        return type(error).__name__
    return "still open"


def test_hostile_sockets_cause_no_server_error(live: Live, counts: list[str]) -> None:
    dice = random.Random(SEED)
    known = [live.submit(), live.submit(OFFLINE)]
    live.follow(known[0])
    cases = [
        (
            hostile_address(dice, live, known),
            dice.choice(HOSTILE_HEADERS),
            b"".join(dice.choices(FRAMES, k=dice.randrange(3))),
        )
        for _ in range(SOCKET_CASES)
    ]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = [*threads.map(outcome, cases)]
    bad = [o for o in outcomes if o.startswith("HTTP 5") or o in ("close 1011", "close 4500")]
    assert not bad
    assert (live.errors(), live.dead()) == ([], [])
    assert {"close 1000", "close 4400", "close 4401", "close 4404", "HTTP 403"} <= {*outcomes}
    live.follow(live.submit())
    assert until(lambda: metrics_at(live.port)[STREAMS] == 0)
    counts.append(f"{len(cases)} hostile sockets: {told(outcomes)}")
