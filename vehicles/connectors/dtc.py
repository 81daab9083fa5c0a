"""Trouble codes: text (SAE J2012), three raw bytes and status byte (ISO 14229-1)."""

from dataclasses import dataclass
from typing import Any

from vehicles.connectors.failure_types import words_of

# In our own words: the complete lists that are free to download are not free to ship.
DTC_DESCRIPTIONS = {
    "B1234": "Body fault, meaning defined by the manufacturer",
    "C0035": "Wheel speed sensor circuit, front left",
    "C0040": "Wheel speed sensor circuit, front right",
    "C0045": "Wheel speed sensor circuit, rear left",
    "C0050": "Wheel speed sensor circuit, rear right",
    "P0113": "Intake air temperature sensor signal too high",
    "P0128": "Engine stays below thermostat temperature",
    "P0171": "Mixture too lean, bank 1",
    "P0300": "Misfire in several or changing cylinders",
    "P0301": "Misfire in cylinder 1",
    "P0420": "Catalyst system efficiency below threshold, bank 1",
    "P0442": "Small leak in the evaporative emission system",
    "P0455": "Large leak in the evaporative emission system",
    "P0500": "Vehicle speed sensor signal implausible",
    "P0562": "System voltage too low",
    "P0700": "Transmission control system reports a fault",
    "P0715": "Transmission input speed sensor circuit",
    "P0740": "Torque converter clutch circuit",
    "U0073": "Control module communication bus is off",
    "U0100": "No communication with the engine control module",
    "U0121": "No communication with the brake control module",
}

STATUS_BITS = (
    "testFailed",
    "testFailedThisOperationCycle",
    "pendingDTC",
    "confirmedDTC",
    "testNotCompletedSinceLastClear",
    "testFailedSinceLastClear",
    "testNotCompletedThisOperationCycle",
    "warningIndicatorRequested",
)
CONFIRMED = 0x08
# \Z, since $ lets a trailing newline pass.
PATTERN = r"^[PCBU][0-3][0-9A-F]{3}(-[0-9A-F]{2})?\Z"
SYSTEMS = "PCBU"  # by the two highest bits
# Many ECUs report 0x50 (not tested since the last clear) for codes that are not stored.
STORED = 0xAF


@dataclass(frozen=True)
class TroubleCode:
    """A trouble code as an ECU reports it."""

    raw: int
    status: int

    def __str__(self) -> str:
        return text_of(self.raw)

    @property
    def is_stored(self) -> bool:
        return bool(self.status & STORED)

    def matches(self, code: str) -> bool:
        return stands_for(code, str(self))

    def response(self, ecu_address: str) -> dict[str, Any]:
        return response(ecu_address, str(self), self.status) | {"dtcRaw": f"{self.raw:06X}"}


def response(ecu_address: str, code: str, status: int) -> dict[str, Any]:
    """Return a `dtc` response, for a code with or without failure type."""
    failure_type = words_of(code)
    return {
        "type": "dtc",
        "ecuAddress": ecu_address,
        "dtcCode": code,
        "description": DTC_DESCRIPTIONS.get(code[:5], ""),
        **({"failureType": failure_type} if failure_type else {}),
        "status": f"0x{status:02X}",
        "statusBits": [name for bit, name in enumerate(STATUS_BITS) if status >> bit & 1],
        "confirmed": bool(status & CONFIRMED),
    }


def stands_for(wanted: str, code: str) -> bool:
    """Return whether `wanted` names the code: without failure type it stands for all of its base.

    >>> stands_for("P0420", "P0420-13"), stands_for("P0420-13", "P0420-00")
    (True, False)
    """
    return wanted in {code, code[:5]}


def text_of(raw: int) -> str:
    """Return the text of three raw bytes, always with the failure type: `P0420-00`."""
    return f"{SYSTEMS[raw >> 22]}{raw >> 20 & 3}{raw >> 8 & 0xFFF:03X}-{raw & 0xFF:02X}"


def raw_of(code: str) -> int:
    """Return the three raw bytes of a text with or without failure type."""
    base, _, failure_type = code.upper().partition("-")
    return SYSTEMS.index(base[0]) << 22 | int(f"{base[1:]}{failure_type or '00'}", 16)


def has_failure_type(code: str) -> bool:
    return "-" in code
