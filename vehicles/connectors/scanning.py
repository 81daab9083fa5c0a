"""Responses of a scan, which are the same by every way of reaching an ECU."""

from collections.abc import Sequence
from typing import Any

from vehicles.connectors import data_ids
from vehicles.connectors.base import Response

# An ECU's part of a scan is one event.
MAX_CODES = 500
MAX_TEXT = 200
MAX_RAW_BYTES = 500


def unreached(address: str, name: str) -> dict[str, Any]:
    """Return the response of an ECU that has not answered yet."""
    about = {"type": "ecu", "ecuAddress": address, "name": name, "reachable": False, "problem": ""}
    return about | {"identification": {}, "identificationRaw": {}, "dtcs": []}


def identify(response: dict[str, Any], data_id: int, value: Any, raw: bytes | None) -> None:
    """Add an identifier as text, and its bytes where they are known."""
    key = f"0x{data_id:04X}"
    response["identification"][key] = str(value)[:MAX_TEXT]
    if raw is not None:
        response["identificationRaw"][key] = raw[:MAX_RAW_BYTES].hex().upper()


def with_codes(response: dict[str, Any], codes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the response with the ECU's codes, unless they are too many."""
    if len(codes) > MAX_CODES:
        return response | {"problem": f"It reports {len(codes)} codes. Read them with ReadDTC."}
    return response | {"dtcs": list(codes)}


def scanned_by_bytes(response: dict[str, Any], data_id: int, raw: bytes) -> None:
    """Add an identifier that came as bytes."""
    identify(response, data_id, data_ids.text_of(raw), raw)


def summary(found: Sequence[dict[str, Any]]) -> Response:
    """Return the last response of a scan."""
    counts = {
        "ecuCount": len(found),
        "reachableCount": sum(response["reachable"] for response in found),
        "dtcCount": sum(len(response["dtcs"]) for response in found),
    }
    return Response({"type": "scan", **counts}, is_final=True)
