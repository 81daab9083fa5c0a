"""Answers of a SOVD server that are of no use, or never end."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vehicles.connectors.base import VehicleError
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.http_peer import Request, reply
from vehicles.tests.sovd.hostile_server import DOCUMENTS, ECU, ENGINE, documents, peer, raw, target
from vehicles.tests.targets import execute, failure

BOMB = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
USELESS = [
    pytest.param(raw(b"<html></html>", "text/html"), id="html"),
    pytest.param(raw(b"7"), id="a number"),
    pytest.param(raw(b""), id="empty"),
    pytest.param(raw(b"null"), id="null"),
    pytest.param(raw(b'{"items": [{"fault_name": "x"}]}'), id="no code"),
    pytest.param(raw(b'{"items": {"a": 1}}'), id="no list"),
    pytest.param(raw(b'{"items": [{"code": ".."}]}'), id="a code that leads up"),
    pytest.param(raw(b'{"items": [{"code": "042013", "status": {"mask": NaN}}]}'), id="NaN"),
    pytest.param(raw(b'{"items": [{"code": "\\u0000"}]}'), id="NUL"),
    pytest.param(raw(b'{"items": [{"code": "\\ud800"}]}'), id="lone surrogate"),
    pytest.param(raw(BOMB), id="nested 50,000 deep"),
    pytest.param(raw(b"[" * 1_000_000), id="brackets"),
    pytest.param(raw(b" " * 1_100_000), id="more than a MiB"),
    pytest.param(raw(b'{"items":[' + b'{"code":"1"},' * 3000 + b"{}]}"), id="3,000 faults"),
    pytest.param(raw(b"\x1f\x8b\x08\x00", **{"Content-Encoding": "gzip"}), id="compressed"),
    pytest.param(raw(b"\x62\xf1\x90", "application/octet-stream"), id="bytes"),
    pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no status"),
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="not HTTP"),
    pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, id="endless header"),
    pytest.param(reply(302, Location="/elsewhere"), id="redirect"),
    pytest.param(reply(307, Location=f"{ENGINE}/faults"), id="redirect to itself"),
    pytest.param(reply(500), id="500 without a body"),
]


@pytest.mark.parametrize("answer", USELESS)
async def test_an_answer_that_is_of_no_use_ends_a_read_with_a_sentence(
    connector: SovdConnector, answer: bytes
) -> None:
    async with peer(documents({f"GET {ENGINE}/faults": answer})) as hostile:
        error = await failure(connector, target(hostile.origin), "ReadDTC", ECU)
        await connector.close()
        await hostile.all_closed()

    assert error.error_code == "malformed_answer"
    assert str(error).endswith(".")
    assert len(str(error).split()) < 40
    assert {request.method for request in hostile.requests} == {"GET"}


@pytest.mark.parametrize("answer", [*USELESS, pytest.param(raw(b"{}"), id="empty object")])
async def test_version_info_that_is_of_no_use_puts_the_vehicle_in_error(
    connector: SovdConnector, answer: bytes
) -> None:
    async with peer(documents({"GET /version-info": answer})) as hostile:
        probe = await connector.probe(target(hostile.origin))

    assert probe.status == "error"
    assert probe.problem.endswith(".")


async def test_an_endless_body_is_left_after_a_mebibyte(connector: SovdConnector) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"[" * 0x10000 + b"\r\n"
    async with peer(documents({f"GET {ENGINE}/faults": head + chunk * 40})) as hostile:
        error = await failure(connector, target(hostile.origin), "ReadDTC", ECU)
        await hostile.all_closed()

    assert error.error_code == "malformed_answer"
    assert "1048576 bytes" in str(error)


async def test_a_body_that_never_ends_is_left_in_time(connector: SovdConnector) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"

    async def answer(request: Request) -> bytes | None:
        return await documents({f"GET {ENGINE}/faults": half})(request)

    async with peer(answer) as hostile:
        error = await failure(connector, target(hostile.origin), "ReadDTC", ECU)
        await hostile.all_closed()

    assert error.error_code == "vehicle_unreachable"


async def test_a_get_is_repeated_once_over_a_broken_connection(connector: SovdConnector) -> None:
    breaks = [True]

    async def answer(request: Request) -> bytes | None:
        if request.path.endswith("faults") and breaks:
            breaks.pop()
            return None
        return await documents({})(request)

    async with peer(answer) as hostile:
        code, _ = await execute(connector, target(hostile.origin), "ReadDTC", ECU)

    assert code.response["dtcCode"] == "P0420-13"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["items", "id", "code", "data", "status", "error", "parameters", "href"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("ReadDTC", ECU),
    ("ReadDTCSnapshot", ECU | {"dtcCode": "P0420"}),
    ("ClearDTC", ECU),
    ("ReadDataByID", ECU | {"dataId": "0xF187"}),
    ("WriteDataByID", ECU | {"dataId": "0xF187", "data": "00"}),
    ("RoutineControl", ECU | {"routineId": "0x0203", "action": "results"}),
    ("ECUReset", ECU | {"resetType": "soft"}),
    ("ScanVehicle", {}),
]


@hypothesis_settings(max_examples=40, deadline=None)
@given(body=JSON, status=st.sampled_from([200, 201, 204, 404, 409, 502, 504]))
@pytest.mark.parametrize(("name", "params"), COMMANDS)
def test_no_answer_whatever_leaves_a_traceback(
    name: str, params: dict[str, Any], body: Any, status: int
) -> None:
    async def answer(request: Request) -> bytes:
        if request.path in DOCUMENTS:
            return reply(200, DOCUMENTS[request.path])
        return reply(status, json.loads(json.dumps(body)))

    async def run() -> None:
        sovd = SovdConnector()
        async with peer(answer) as hostile:
            with suppress(VehicleError):
                responses = await execute(sovd, target(hostile.origin), name, params)
                assert responses[-1].is_final
            await sovd.close()
            await hostile.all_closed()

    asyncio.run(run())
