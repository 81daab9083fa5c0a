"""Clearing of trouble codes as every real vehicle is asked for it: read, clear, read."""

from typing import Any

from vehicles.connectors import dtc
from vehicles.connectors.base import Response, VehicleError


def not_stored(ecu_address: str, wanted: str) -> VehicleError:
    return VehicleError(
        "vehicle_refused",
        f"ECU {ecu_address} has no trouble code {wanted} stored. "
        "Read the stored codes with ReadDTC.",
    )


def cleared(ecu_address: str, wanted: str, before: list[str], remaining: list[str]) -> Response:
    """Return the final response; `wanted` is empty for all codes."""
    targets = _named(before, wanted)
    response: dict[str, Any] = {"type": "cleared", "ecuAddress": ecu_address}
    response |= {"dtcCode": wanted} if wanted else {}
    response |= {
        "clearedCount": len([code for code in targets if code not in remaining]),
        "before": before,
        "remaining": remaining,
        "verified": _are_gone(targets, remaining),
    }
    return Response(response, is_final=True)


def proved(ecu_address: str, wanted: str, before: list[str], remaining: list[str]) -> Response:
    """Return the final response if a read proves the clear. Raises VehicleError otherwise."""
    if not _are_gone(_named(before, wanted), remaining):
        raise unproven(f"ECU {ecu_address} still stores {', '.join(remaining)[:60]}")
    return cleared(ecu_address, wanted, before, remaining)


def unproven(found: str) -> VehicleError:
    return VehicleError("outcome_unknown", f"{found}.")


def _are_gone(targets: list[str], remaining: list[str]) -> bool:
    """Return whether a read proves that a clear was carried out."""
    return not set(targets) & set(remaining) if targets else not remaining


def _named(texts: list[str], wanted: str) -> list[str]:
    return [text for text in texts if not wanted or dtc.stands_for(wanted, text)]
