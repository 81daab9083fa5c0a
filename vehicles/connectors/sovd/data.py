"""Data of an ECU by its identifiers: by the server's names for them, else by raw UDS."""

import re
from dataclasses import dataclass
from typing import Any

from vehicles.connectors import data_ids
from vehicles.connectors.base import VehicleError
from vehicles.connectors.errors import UnusableAnswer
from vehicles.connectors.sovd import bodies
from vehicles.connectors.sovd.entities import GENERIC_SERVICE, Entity, member, url_of
from vehicles.connectors.sovd.errors import Refusal, error_in
from vehicles.connectors.sovd.server import Answer, Body
from vehicles.connectors.sovd.session import Session

READ, WRITE = 0x22, 0x2E
POSITIVE = 0x40  # added to the service
MAX_NAME = 200


@dataclass(frozen=True)
class Reading:
    name: str
    value: Any
    unit: str
    raw: str  # hexadecimal; empty if the server tells the value alone

    def response(self, data_id: int) -> dict[str, Any]:
        return {
            "dataId": f"0x{data_id:04X}",
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "raw": self.raw,
        }


async def read(session: Session, entity: Entity, data_id: int) -> Reading:
    """Return the data of an identifier. Raises VehicleError."""
    if url := await url_for(session, entity, data_id):
        return _reading(await value_at(session, url), data_id)
    known = data_ids.decode(data_id, await read_bytes(session, entity, data_id))
    return Reading(known["name"], known["value"], known["unit"], known["raw"])


async def url_for(session: Session, entity: Entity, data_id: int) -> str | None:
    """Return the URL of an identifier's data; None if raw UDS is to be used instead.

    The server's name for it comes from `data_ids`; else it is the identifier itself, in the list or
    not: a server need not list all.
    """
    known = session.server.settings.data_ids.get(data_id)
    if known:
        return member(entity.link(session, "data"), known)
    if entity.offers("data"):
        url = entity.link(session, "data")
        for item in await session.list_once(url, "data"):
            if is_number(item.get("id"), data_id):
                return url_of(session, item, url)
    if entity.offers(GENERIC_SERVICE):
        return None
    return member(entity.link(session, "data"), f"0x{data_id:04X}")


def is_number(text: Any, number: int) -> bool:
    """Return whether an ID is this identifier in hexadecimal, such as 0xF190."""
    return isinstance(text, str) and text.lower().removeprefix("0x") == f"{number:04x}"


async def value_at(session: Session, url: str) -> dict[str, Any]:
    """Return an answer with `data`. Raises VehicleError."""
    try:
        body = bodies.expect_object(await session.get(url, "data"), "the data")
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        name = url.rpartition("/")[2]
        raise Refusal(
            f"The server has no data named {name}. Add its name to `data_ids` of the vehicle.",
            status=404,
        ) from refusal
    if body.get("data") is None:
        raise error_in(body, "to read it") or UnusableAnswer("The server's answer has no `data`.")
    return body


def _reading(body: dict[str, Any], data_id: int) -> Reading:
    value, unit, raw = _parts(body["data"])
    known = data_ids.NAMES.get(data_id) or body.get("name") or body.get("id")
    name = known[:MAX_NAME] if isinstance(known, str) else ""
    if raw and value is None:
        decoded = data_ids.decode(data_id, bytes.fromhex(raw))
        value, unit, name = decoded["value"], decoded["unit"], decoded["name"] or name
    return Reading(name, value, unit, raw)


def _parts(data: Any) -> tuple[Any, str, str]:
    """Return value, unit and bytes: a single value is taken out of its object."""
    if not isinstance(data, dict):
        return data, "", ""
    raw, unit = data.get("raw"), data.get("unit")
    raw = str(raw).upper() if is_hexadecimal(raw) else ""
    if "value" in data or raw:
        return data.get("value"), unit if isinstance(unit, str) else "", raw
    return next(iter(data.values())) if len(data) == 1 else data, "", ""


def is_hexadecimal(text: Any) -> bool:
    """Return whether it is the text of whole bytes; no bytes count, too."""
    return isinstance(text, str) and re.fullmatch("([0-9A-Fa-f]{2})*", text) is not None


# --- Writing


async def write(session: Session, entity: Entity, data_id: int, data: bytes) -> None:
    url = await url_for(session, entity, data_id)
    if url is None:
        request = bytes([WRITE, *data_id.to_bytes(2), *data])
        await change_by_bytes(session, entity, request, echo=2)
        return
    body = await value_at(session, url)
    written = _like(body["data"], data)
    await session.change("PUT", url, "data", Body(json={"data": written}))


async def holds(session: Session, entity: Entity, data_id: int, data: bytes) -> bool:
    """Return whether the ECU has the data that was to be written."""
    url = await url_for(session, entity, data_id)
    if url is None:
        return await read_bytes(session, entity, data_id) == data
    value = (await value_at(session, url))["data"]
    if isinstance(value, dict) and is_hexadecimal(value.get("raw")):
        return bool(value["raw"].upper() == data.hex().upper())
    try:
        return bool(_like(value, data) == value)
    except VehicleError:
        return False


def _like(present: Any, data: bytes) -> Any:
    """Return bytes in the form in which the server tells the present value.

    Raises Refusal unless that is unmistakable: hexadecimal of the same length, or text.
    """
    if isinstance(present, dict) and is_hexadecimal(present.get("raw")):
        return {"raw": data.hex().upper()}
    if isinstance(present, dict) and len(present) == 1:
        return {key: _like(value, data) for key, value in present.items()}
    if isinstance(present, str) and is_hexadecimal(present) and len(present) == 2 * len(data):
        return data.hex() if present.islower() else data.hex().upper()
    if isinstance(present, str) and not is_hexadecimal(present) and data.isascii():
        text = data.decode("ascii")
        if text.isprintable():
            return text
    raise Refusal(
        "The server does not tell this value as bytes or text of the same length, so it cannot "
        "be written as bytes. Nothing was written."
    )


# --- Raw UDS


async def read_bytes(session: Session, entity: Entity, data_id: int) -> bytes:
    request = bytes([READ, *data_id.to_bytes(2)])
    url = entity.link(session, GENERIC_SERVICE)
    answer = await session.ask("PUT", url, GENERIC_SERVICE, Body(content=request))
    if not answer.is_good or answer.nrc:
        raise await session.error(answer, "PUT", url)
    return _payload(answer, request, echo=2)


async def change_by_bytes(session: Session, entity: Entity, request: bytes, echo: int) -> bytes:
    """Send a raw request that is not safe to repeat; return what follows its echo."""
    url = entity.link(session, GENERIC_SERVICE)
    answer = await session.change("PUT", url, GENERIC_SERVICE, Body(content=request))
    return _payload(answer, request, echo)


def _payload(answer: Answer, request: bytes, echo: int) -> bytes:
    expected = bytes([request[0] + POSITIVE]) + request[1 : 1 + echo]
    if not answer.is_binary or not answer.content.startswith(expected):
        raise UnusableAnswer(
            "The raw response does not belong to the request. Check the component."
        )
    return answer.content[len(expected) :]
