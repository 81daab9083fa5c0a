"""Faults as servers of several dialects tell them, read as trouble codes with a status byte."""

import re
from dataclasses import dataclass
from typing import Any

from vehicles.connectors import dtc
from vehicles.connectors.errors import UnusableAnswer
from vehicles.connectors.sovd import bodies
from vehicles.connectors.sovd.entities import Entity, url_of
from vehicles.connectors.sovd.session import Session

MAX_FAULTS = 2000  # each becomes an event
MAX_TEXT = 200
RAW = re.compile(r"[0-9A-Fa-f]{6}")
DISPLAY = re.compile(r"([PCBU][0-3][0-9A-F]{3})[- ]?([0-9A-F]{2})?")
BITS = {name.lower(): 1 << bit for bit, name in enumerate(dtc.STATUS_BITS)}
# Of servers that tell no bits.
WORDS = {
    "active": 0x09,
    "confirmed": 0x08,
    "passive": 0x08,
    "pending": 0x04,
    "cleared": 0x00,
    "healed": 0x00,
}


@dataclass(frozen=True)
class Fault:
    text: str  # such as P0420-13
    raw: str  # six hexadecimal digits, if the server's key is that
    name: str
    status: int
    url: str

    @property
    def is_stored(self) -> bool:
        return bool(self.status & dtc.STORED)

    def matches(self, code: str) -> bool:
        return dtc.stands_for(code, self.text)

    def response(self, ecu_address: str) -> dict[str, Any]:
        found = dtc.response(ecu_address, self.text, self.status)
        found |= {"dtcRaw": self.raw} if self.raw else {}
        return found | ({"description": self.name} if self.name else {})


async def read(session: Session, entity: Entity) -> list[Fault]:
    """Return all faults of an ECU. Nothing is filtered at the server, whose keys differ."""
    url = entity.link(session, "faults")
    items = bodies.items_of(await session.get(url, "faults"), "faults")
    if len(items) > MAX_FAULTS:
        raise UnusableAnswer(f"The server lists {len(items)} faults, which no ECU stores.")
    return [_fault(session, item, url) for item in items]


async def stored(session: Session, entity: Entity) -> list[Fault]:
    return [fault for fault in await read(session, entity) if fault.is_stored]


async def environment_of(session: Session, fault: Fault) -> dict[str, Any]:
    """Return the data that the ECU stored with a fault."""
    body = await session.get(fault.url, "fault")
    data = bodies.expect_object(body, "the fault").get("environment_data")
    return data if isinstance(data, dict) else {}


def _fault(session: Session, item: dict[str, Any], collection: str) -> Fault:
    code = item.get("code") or item.get("fault_code")
    if not isinstance(code, str):
        raise UnusableAnswer("A fault in the server's list has no code. Check `url`.")
    name = item.get("fault_name") or item.get("description")
    return Fault(
        text=_text(code, item.get("display_code")),
        raw=code.upper() if RAW.fullmatch(code) else "",
        name=name[:MAX_TEXT] if isinstance(name, str) else "",
        status=status_of(item.get("status")),
        url=url_of(session, {"id": code, "href": item.get("href")}, collection),
    )


def _text(code: str, display_code: Any) -> str:
    """Return a code as people read it, with the failure type if the raw bytes have one.

    A maker's own code stays as it is.
    """
    display = _normal(display_code) if isinstance(display_code, str) else ""
    by_bytes = dtc.text_of(int(code, 16)) if RAW.fullmatch(code) else ""
    if by_bytes and display in {"", by_bytes[:5]}:
        return by_bytes
    return display or _normal(code) or code[:MAX_TEXT]


def _normal(text: str) -> str:
    found = DISPLAY.fullmatch(text.strip().upper())
    return "-".join(part for part in found.groups() if part) if found else ""


def status_of(status: Any) -> int:
    """Return the status byte by the bits, else by `mask`, else by a word.

    A fault that is listed without a status counts as confirmed.
    """
    if isinstance(status, str):
        return WORDS.get(status.lower(), dtc.CONFIRMED)
    if not isinstance(status, dict):
        return dtc.CONFIRMED
    values = {key.lower().replace("_", ""): value for key, value in status.items()}
    if BITS.keys() & values.keys():
        return sum(bit for name, bit in BITS.items() if _is_set(values.get(name)))
    mask = _mask(values.get("mask"))
    return status_of(str(values.get("aggregatedstatus", ""))) if mask is None else mask


def _is_set(value: Any) -> bool:
    return value is True or value == 1 or str(value).lower() in {"1", "true"}


def _mask(value: Any) -> int | None:
    """Return the status byte in hexadecimal text, or in a number."""
    try:
        mask = int(value, 16) if isinstance(value, str) else value
    except ValueError:
        return None
    return mask & 0xFF if isinstance(mask, int) and not isinstance(mask, bool) else None
