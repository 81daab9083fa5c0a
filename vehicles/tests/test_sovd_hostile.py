"""The SOVD connector before servers that answer anything, right or wrong."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from vehicles.connectors.base import VehicleError
from vehicles.connectors.sovd import server
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.http_peer import Answer, HttpPeer, Request, always, reply
from vehicles.tests.targets import VIN, KeptAttempt, Target, TargetEcu, execute, failure

ECU = {"ecuAddress": "0x10"}
BASE, ENGINE = "/v1", "/v1/components/engine"
VERSION = {"sovd_info": [{"version": "1.1.0", "base_uri": BASE}]}
ROOT = {"id": "car", "vin": VIN, "components": f"{BASE}/components"}
CAPABILITIES = {
    "id": "engine",
    "name": "Engine",
    **{name: f"{ENGINE}/{name}" for name in ("faults", "data", "operations", "status", "locks")},
}
DOCUMENTS: dict[str, Any] = {
    "/version-info": VERSION,
    f"{BASE}/": ROOT,
    f"{BASE}/components": {"items": [{"id": "engine", "name": "Engine", "href": ENGINE}]},
    ENGINE: CAPABILITIES,
}
LOCK = reply(201, {"id": "1"}, Location=f"{ENGINE}/locks/1")
FAULT = {"code": "042013", "fault_name": "Catalyst", "status": {"confirmedDTC": "1"}}
FAULTS = reply(200, {"items": [FAULT]})
BOMB = b'{"a":' * 50_000 + b"1" + b"}" * 50_000


def target(origin: str, **settings: Any) -> Target:
    return Target(
        connector="sovd",
        connector_settings={"url": origin} | settings,
        configured_ecus=[TargetEcu("0x10", "Engine", component="engine")],
    )


@asynccontextmanager
async def peer(answer: Answer) -> AsyncIterator[HttpPeer]:
    made = HttpPeer(answer).start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def connector() -> AsyncIterator[SovdConnector]:
    sovd = SovdConnector()
    yield sovd
    await sovd.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_SECONDS", 3.0)


def documents(changes: dict[str, bytes | None]) -> Answer:
    """Return the answer of a healthy server, with some answers by method and path in their place.

    None closes the connection.
    """

    async def answer(request: Request) -> bytes | None:
        if str(request) in changes:
            return changes[str(request)]
        if request.path in DOCUMENTS:
            return reply(200, DOCUMENTS[request.path])
        return {f"POST {ENGINE}/locks": LOCK, f"GET {ENGINE}/faults": FAULTS}.get(
            str(request), reply(204)
        )

    return answer


def raw(body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body


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


# Links


LINKS = [
    "http://127.0.0.1:1/v1/components/engine",
    "https://192.0.2.1/v1/faults",
    "//192.0.2.1/v1/faults",
    "http://[::1]/v1",
    "file:///etc/passwd",
    "http://user:secret@192.0.2.1/",
    "http://[nonsense",
    "http://" + "a" * 5000,
]


@pytest.mark.parametrize("link", LINKS)
async def test_a_link_to_another_server_is_not_followed(
    connector: SovdConnector, link: str
) -> None:
    entity = reply(200, CAPABILITIES | {"faults": link})
    component = reply(200, {"items": [{"id": "engine", "href": link}]})
    root = reply(200, ROOT | {"components": link})
    version = reply(200, {"sovd_info": [{"version": "1.1.0", "base_uri": link}]})
    for place, answer in (
        (f"GET {ENGINE}", entity),
        (f"GET {BASE}/components", component),
        (f"GET {BASE}/", root),
        ("GET /version-info", version),
    ):
        async with peer(documents({place: answer})) as hostile:
            error = await failure(connector, target(hostile.origin), "ReadDTC", ECU)

        assert error.error_code == "malformed_answer"
        assert str(hostile.requests[-1]) == place


@pytest.mark.parametrize("link", LINKS)
async def test_a_location_elsewhere_leaves_the_outcome_of_an_operation_open(
    connector: SovdConnector, link: str
) -> None:
    operation = f"{ENGINE}/operations/0x0203"
    changes: dict[str, bytes | None] = {
        f"GET {ENGINE}/operations": reply(200, {"items": [{"id": "0x0203"}]}),
        f"POST {operation}/executions": reply(202, {"status": "running"}, Location=link),
    }
    attempt = KeptAttempt()
    params = ECU | {"routineId": "0x0203", "action": "start"}
    async with peer(documents(changes)) as hostile:
        error = await failure(connector, target(hostile.origin), "RoutineControl", params, attempt)

    assert (error.error_code, error.is_certain) == ("malformed_answer", False)
    assert len(attempt.announced) == 1
    assert str(hostile.requests[-1]) == f"DELETE {ENGINE}/locks/1"


async def test_a_lock_with_a_location_elsewhere_is_released_by_its_id(
    connector: SovdConnector,
) -> None:
    lock = reply(201, {"id": "1"}, Location="http://192.0.2.1/locks/1")
    async with peer(documents({f"POST {ENGINE}/locks": lock})) as hostile:
        await execute(connector, target(hostile.origin), "ClearDTC", ECU)

    assert str(hostile.requests[-1]) == f"DELETE {ENGINE}/locks/1"


# Errors by the table


def sovd_error(code: str, **parameters: Any) -> dict[str, Any]:
    return {"error_code": code, "message": "The reason", "parameters": parameters}


NOT_CARRIED_OUT = [
    (502, sovd_error("error-response", NRC="22", SID="14"), "vehicle_refused"),
    (502, sovd_error("error-response", nrc="0x22"), "vehicle_refused"),
    (502, sovd_error("error-response"), "vehicle_refused"),
    (404, sovd_error("vendor-specific"), "vehicle_refused"),
    (404, {"detail": "Not Found"}, "vehicle_refused"),
    (403, sovd_error("precondition-not-fulfilled"), "vehicle_refused"),
    (423, sovd_error("vendor-specific"), "vehicle_refused"),
    (409, sovd_error("lock-broken"), "vehicle_refused"),
    (409, sovd_error("preconditions-not-fulfilled"), "vehicle_refused"),
    (400, sovd_error("incomplete-request", possiblevalues=["a"]), "vehicle_refused"),
    (401, None, "vehicle_refused"),
    (429, None, "vehicle_refused"),
    (501, None, "vehicle_refused"),
    (503, sovd_error("vendor-specific"), "vehicle_unreachable"),
]
MAYBE_CARRIED_OUT = [
    (504, sovd_error("not-responding"), "vehicle_unreachable"),
    (504, None, "vehicle_unreachable"),
    (503, None, "vehicle_unreachable"),
    (502, sovd_error("error-response", nrc="72"), "vehicle_refused"),
    (502, sovd_error("error-response", nrc="78"), "vehicle_refused"),
    (502, sovd_error("invalid-response-content"), "malformed_answer"),
    (502, None, "malformed_answer"),
    (500, sovd_error("sovd-server-failure"), "vehicle_refused"),
    (500, None, "malformed_answer"),
    (302, None, "malformed_answer"),
]


@pytest.mark.parametrize(
    ("status", "body", "code", "is_certain"),
    [(*case, True) for case in NOT_CARRIED_OUT] + [(*case, False) for case in MAYBE_CARRIED_OUT],
)
async def test_an_error_answer_says_whether_it_was_carried_out(
    status: int, body: Any, code: str, is_certain: bool
) -> None:
    sovd, answer = SovdConnector(), reply(status, body)
    async with peer(documents({f"DELETE {ENGINE}/faults": answer})) as hostile:
        error = await failure(sovd, target(hostile.origin), "ClearDTC", ECU)
        await sovd.close()

    assert (error.error_code, error.is_certain) == (code, is_certain)
    requests = [str(request) for request in hostile.requests]
    assert requests.count(f"DELETE {ENGINE}/faults") == 1
    assert requests[-1] == f"DELETE {ENGINE}/locks/1"


# Dialects of faults


@pytest.mark.parametrize(
    ("fault", "code", "raw", "status"),
    [
        ({"code": "042013", "status": {"confirmedDTC": "1"}}, "P0420-13", "042013", "0x08"),
        ({"code": "042013", "status": {"confirmed_dtc": True}}, "P0420-13", "042013", "0x08"),
        (
            {"code": "042013", "status": {"PENDINGDTC": 1, "mask": "FF"}},
            "P0420-13",
            "042013",
            "0x04",
        ),
        ({"code": "042013", "status": {"mask": "0x2f"}}, "P0420-13", "042013", "0x2F"),
        ({"code": "042013", "status": {"mask": 9}}, "P0420-13", "042013", "0x09"),
        ({"code": "c10000", "display_code": "U0100"}, "U0100-00", "C10000", "0x08"),
        ({"code": "9f1a2b", "display_code": "B1234"}, "B1234", "9F1A2B", "0x08"),
        ({"code": "7", "display_code": "p0420 13", "status": {}}, "P0420-13", None, "0x08"),
        ({"code": "P0420", "status": {"aggregatedStatus": "active"}}, "P0420", None, "0x09"),
        ({"fault_code": "P042013", "status": "PENDING"}, "P0420-13", None, "0x04"),
        ({"code": "LIDAR_BLIND", "status": "confirmed"}, "LIDAR_BLIND", None, "0x08"),
    ],
)
async def test_faults_of_every_dialect_are_read(
    connector: SovdConnector, fault: dict[str, Any], code: str, raw: str | None, status: str
) -> None:
    for body in ({"items": [fault]}, {"faults": [fault]}, [fault]):
        async with peer(documents({f"GET {ENGINE}/faults": reply(200, body)})) as hostile:
            read, _ = await execute(connector, target(hostile.origin), "ReadDTC", ECU)

        response = read.response
        assert (response["dtcCode"], response.get("dtcRaw"), response["status"]) == (
            code,
            raw,
            status,
        )


@pytest.mark.parametrize("status", ["cleared", "healed"])
async def test_a_fault_that_is_over_is_not_told(connector: SovdConnector, status: str) -> None:
    faults = reply(200, {"items": [FAULT | {"status": {"aggregatedStatus": status}}]})
    async with peer(documents({f"GET {ENGINE}/faults": faults})) as hostile:
        [summary] = await execute(connector, target(hostile.origin), "ReadDTC", ECU)

    assert summary.response["dtcCount"] == 0


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


# Networks


async def test_a_server_in_a_network_that_is_not_allowed_is_not_asked(
    connector: SovdConnector, settings: Settings
) -> None:
    settings.CONNECTOR_ALLOWED_NETWORKS = []
    probe = await connector.probe(target("http://169.254.169.254"))

    assert probe.status == "disconnected"
    assert "`url`" in probe.problem
    assert "CONNECTOR_ALLOWED_NETWORKS" in probe.problem


async def test_the_address_that_was_checked_is_the_one_connected_to(
    connector: SovdConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name would have another address, or none, if it were resolved again."""

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        assert host == "car.invalid"
        return [(0, 0, 0, "", ("127.0.0.2", 0)), (0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with peer(documents({})) as hostile:
        probe = await connector.probe(target(f"http://car.invalid:{hostile.port}"))

    assert (probe.status, probe.problem) == ("connected", "")
    assert hostile.requests[0].headers["host"] == f"car.invalid:{hostile.port}"


async def test_a_closed_port_is_disconnected(connector: SovdConnector) -> None:
    async with peer(always(b"")) as hostile:
        origin = hostile.origin

    probe = await connector.probe(target(origin))

    assert probe.status == "disconnected"
    assert "accepts no connection" in probe.problem
