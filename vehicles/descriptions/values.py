"""Values in the bytes of an identifier, read as the `coding` of its entry says.

A coding is `{"length": bytes or null, "fields": [field, …]}`. A field has `kind` (`uint`, `int`,
`float`, `text`, `bytes`, `group` or `skip`), the byte `at` which it begins (null: where the last
one ended) and the `bit` there; then its length, and how its value is scaled.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

Field = Mapping[str, Any]
FLOATS = {32: ">f", 64: ">d"}


class TooShort(ValueError):
    """Fewer bytes than the description says."""


def read(coding: Field, data: bytes) -> tuple[Any, Any]:
    """Return value and unit; several values are an object by short name, and so are their units.

    Raises ValueError if the bytes are not as the description says.
    """
    fields = coding.get("fields", ())
    shown = [field for field in fields if field["kind"] != "skip"]
    if not shown:
        raise ValueError("The description does not say how they are read.")
    values = _values(fields, data, 0)[0]
    if len(shown) > 1:
        return values, {field["name"]: field["unit"] for field in shown if field.get("unit")}
    return values[shown[0]["name"]], shown[0].get("unit", "")


def one(fields: Sequence[Field], data: bytes, path: Sequence[str]) -> Any:
    """Return the value to which short names lead. Raises ValueError or KeyError."""
    value: Any = _values(fields, data, 0)[0]
    for name in path:
        value = value[name]
    return value


def _values(fields: Sequence[Field], data: bytes, origin: int) -> tuple[dict[str, Any], int | None]:
    """Return the values by name, and the byte after the last one, if that is known."""
    values: dict[str, Any] = {}
    cursor: int | None = origin
    for field in fields:
        at = cursor if field["at"] is None else origin + field["at"]
        if at is None:
            break  # after a field of unknown length
        if field["kind"] == "group":
            values[field["name"]], cursor = _values(field["fields"], data, at)
            cursor = cursor if field["size"] is None else at + field["size"]
        elif field["kind"] == "skip":
            bits = field["bits"]
            cursor = None if bits is None else at + (field["bit"] + bits + 7) // 8
        else:
            internal, cursor = _internal(field, data, at)
            values[field["name"]] = _physical(field, internal)
    return values, cursor


# --- The internal value


def _internal(field: Field, data: bytes, at: int) -> tuple[Any, int]:
    """Return the value as it is coded, and the byte after it."""
    raw, after = _cut(field, data, at)
    if field["kind"] == "bytes":
        return raw.hex().upper(), after
    if field["kind"] == "text":
        return _shown(raw.decode(field["encoding"])), after
    if field["little"]:
        raw = raw[::-1]
    number = int.from_bytes(raw) >> field["bit"] & (1 << field["bits"]) - 1
    if field["kind"] == "float":
        return struct.unpack(FLOATS[field["bits"]], number.to_bytes(field["bits"] // 8))[0], after
    number = _signed(field, number)
    return number & field["mask"] if "mask" in field else number, after


def _shown(text: str) -> str:
    """Return a text without the padding after it, and without what cannot be stored or shown."""
    unpadded = text.rstrip("\x00")
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in unpadded
    )


def _cut(field: Field, data: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes of a field, and the byte after it. Raise TooShort."""
    start, after = at, None
    if "bits" in field:
        end = at + (field["bit"] + field["bits"] + 7) // 8
    elif "leading" in field:
        start = at + (field["bit"] + field["leading"] + 7) // 8
        head = data[at:start][:: -1 if field["little"] else 1]
        end = start + (int.from_bytes(head) >> field["bit"] & (1 << field["leading"]) - 1)
    else:
        end, after = _terminated(field, data, at)
    if max(start, end) > len(data) or at + field.get("min", 0) > len(data):
        raise TooShort(f"{len(data)} bytes came, and {end} are needed.")
    return data[start:end], end if after is None else after


def _terminated(field: Field, data: bytes, at: int) -> tuple[int, int]:
    """Return where a text of variable length ends, and where the next field begins."""
    limit = len(data) if field["max"] is None else min(len(data), at + field["max"])
    mark = bytes.fromhex(field["end"])
    found = data.find(mark, at + field["min"], limit) if mark else -1
    while found >= 0 and (found - at) % len(mark):
        found = data.find(mark, found + 1, limit)
    return (limit, limit) if found < 0 else (found, found + len(mark))


def _signed(field: Field, number: int) -> int:
    encoding: str = field["encoding"]
    bits: int = field["bits"]
    if encoding in ("BCD-P", "BCD-UP"):
        return _decimal(number, 4 if encoding == "BCD-P" else 8)
    if field["kind"] == "uint" or not number >> (bits - 1):
        return number
    if encoding == "SM":
        return (1 << (bits - 1)) - number
    return number - (1 << bits) + (encoding == "1C")


def _decimal(number: int, step: int) -> int:
    """Return binary-coded decimals, a digit every `step` bits."""
    value, place = 0, 1
    while number:
        value, place, number = value + (number & 0xF) * place, place * 10, number >> step
    return value


# --- The physical value


def _physical(field: Field, internal: Any) -> Any:
    """Return the value for people; null for one that no scale covers."""
    if "linear" in field:
        return _finite(_linear(field, internal))
    if "texts" in field:
        for low, high, text in field["texts"]:
            if _is_inside(low, high, internal):
                return text
        return field.get("default")
    return _finite(internal)


def _linear(field: Field, internal: Any) -> Any:
    for low, high, offset, factor, denominator in field["linear"]:
        if _is_inside(low, high, internal):
            value = (offset + factor * internal) / denominator
            return round(value) if field["round"] else value
    return field.get("default")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_inside(low: Any, high: Any, value: Any) -> bool:
    return _is_before(low, value) and (
        high is None or value < high[0] or (high[1] and value == high[0])
    )


def _is_before(low: Any, value: Any) -> bool:
    return low is None or low[0] < value or (low[1] and value == low[0])
