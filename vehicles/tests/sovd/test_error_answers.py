"""Errors of a SOVD server, and whether the request was carried out."""

from typing import Any

import pytest

from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.http_peer import reply
from vehicles.tests.sovd.hostile_server import ECU, ENGINE, documents, peer, target
from vehicles.tests.targets import failure


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
