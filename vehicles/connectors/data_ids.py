"""Data identifiers that ISO 14229-1 and OBD name, and the values in their bytes.

A manufacturer's own identifiers have no entry: text stays text, anything else is hexadecimal.
"""

from dataclasses import dataclass
from typing import Any

VIN = 0xF190
SPARE_PART_NUMBER = 0xF187
SOFTWARE_VERSION = 0xF189
SERIAL_NUMBER = 0xF18C
IDENTIFICATION = (VIN, SPARE_PART_NUMBER, SOFTWARE_VERSION, SERIAL_NUMBER)  # of a scan

NAMES = {
    0xF180: "Boot software identification",
    0xF181: "Application software identification",
    0xF182: "Application data identification",
    0xF186: "Active diagnostic session",
    SPARE_PART_NUMBER: "Spare part number",
    0xF188: "Software number",
    SOFTWARE_VERSION: "Software version",
    0xF18A: "Supplier",
    0xF18B: "Manufacturing date",
    SERIAL_NUMBER: "ECU serial number",
    VIN: "VIN",
    0xF191: "Hardware number",
    0xF192: "Supplier's hardware number",
    0xF193: "Supplier's hardware version",
    0xF194: "Supplier's software number",
    0xF195: "Supplier's software version",
    0xF197: "System name or engine type",
    0xF198: "Repair shop code",
    0xF199: "Programming date",
    0xF19D: "Installation date",
    0xF19E: "ODX file",
}


@dataclass(frozen=True)
class Measurement:
    """A number in bytes of known length: raw * factor + offset, in `unit`."""

    name: str
    unit: str
    length: int
    factor: float = 1
    offset: int = 0


# The range F4xx is OBD on UDS (ISO 27145-3); many demonstrators use the OBD numbers as they are.
MEASUREMENTS = {
    prefix << 8 | pid: measurement
    for prefix in (0x01, 0xF4)
    for pid, measurement in {
        0x05: Measurement("Coolant temperature", "°C", 1, offset=-40),
        0x0C: Measurement("Engine speed", "rpm", 2, factor=0.25),
        0x0D: Measurement("Vehicle speed", "km/h", 1),
    }.items()
}


def known_length(data_id: int) -> int | None:
    """Return the number of bytes that the identifier always has, if a standard says so."""
    if data_id in MEASUREMENTS:
        return MEASUREMENTS[data_id].length
    return 17 if data_id == VIN else None


def decode(data_id: int, raw: bytes) -> dict[str, Any]:
    """Return name, value, unit and raw bytes of one identifier, as in a `data` response."""
    measurement = MEASUREMENTS.get(data_id)
    known = {"dataId": f"0x{data_id:04X}", "raw": raw.hex().upper()}
    if measurement and len(raw) == measurement.length:
        value = int.from_bytes(raw, "big") * measurement.factor + measurement.offset
        return known | {"name": measurement.name, "value": value, "unit": measurement.unit}
    return known | {"name": NAMES.get(data_id, ""), "value": text_of(raw), "unit": ""}


def text_of(raw: bytes) -> str:
    """Return printable bytes as text without their padding, any others in hexadecimal."""
    unpadded = raw.rstrip(b"\x00\xff ")
    if unpadded and all(0x20 <= byte < 0x7F for byte in unpadded):
        return unpadded.decode("ascii")
    return raw.hex().upper()
