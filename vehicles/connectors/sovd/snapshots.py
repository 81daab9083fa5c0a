"""Environment data of a fault as snapshots: whatever a server tells, under names and numbers."""

from collections.abc import Iterator
from typing import Any

from vehicles.connectors.sovd.configuration import SovdSettings

RECORD_KEYS = ("DTCSnapshotRecord", "data", "record", "values")
NAME_KEYS = ("name", "id", "data_id", "dataId", "short_name")
VALUE_KEYS = ("value", "data", "Value")
COUNT = "DTCSnapshotRecordNumberOfIdentifiers"
MAX_RECORDS = 255
MAX_ENTRIES = 500
MAX_TEXT = 200


def records_of(
    environment: dict[str, Any], settings: SovdSettings
) -> list[tuple[int, list[dict[str, Any]]]]:
    """Return the number of each record, and its entries."""
    snapshots = environment.get("snapshots", environment)
    if isinstance(snapshots, dict) and isinstance(snapshots.get("data"), dict | list):
        snapshots = snapshots["data"]
    names = {name: f"0x{data_id:04X}" for data_id, name in settings.data_ids.items()}
    found = []
    for number, record in _numbered(snapshots):
        if entries := [_entry(name, value, names) for name, value in _entries(record)]:
            found.append((number, entries[:MAX_ENTRIES]))
    return found[:MAX_RECORDS]


def _numbered(snapshots: Any) -> Iterator[tuple[int, Any]]:
    """Yield records by the numbers that the server gives; those that have none are counted."""
    if isinstance(snapshots, list):
        yield from enumerate(snapshots)
    elif isinstance(snapshots, dict):
        numbers = [_number(key) for key in snapshots]
        if snapshots and None not in numbers:
            yield from ((_number(key) or 0, record) for key, record in snapshots.items())
        else:
            yield 0, snapshots


def _number(key: str) -> int | None:
    """Return the record number in a key such as "1" or "0x01"."""
    is_hexadecimal = key.lower().startswith("0x")
    try:
        number = int(key, 16 if is_hexadecimal else 10)
    except ValueError:
        return None
    return number if 0 <= number <= MAX_RECORDS else None


def _entries(record: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each entry, from an object or a list of objects."""
    if isinstance(record, dict):
        for key in RECORD_KEYS:
            if isinstance(record.get(key), dict | list):
                yield from _entries(record[key])
                return
        yield from ((key, value) for key, value in record.items() if key != COUNT)
    elif isinstance(record, list):
        for part in record:
            name = _first(part, NAME_KEYS)
            if isinstance(name, str):
                value = _first(part, VALUE_KEYS)
                yield name, part if value is None else value
            else:
                yield from _entries(part)


def _first(part: Any, keys: tuple[str, ...]) -> Any:
    if not isinstance(part, dict):
        return None
    return next((part[key] for key in keys if part.get(key) is not None), None)


def _entry(name: str, value: Any, names: dict[str, str]) -> dict[str, Any]:
    unit = ""
    if isinstance(value, dict):
        unit = value.get("unit") or ""
        found = _first(value, VALUE_KEYS)
        value = value if found is None else found
    known = {"dataId": names.get(name, ""), "name": name[:MAX_TEXT], "value": value}
    return known | {"unit": unit[:MAX_TEXT] if isinstance(unit, str) else "", "raw": ""}
