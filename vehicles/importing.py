"""Vehicles from a CSV file: all of its rows, or none."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TextIO

from django.core.exceptions import ValidationError

from vehicles import changes, connector_settings
from vehicles.connector_settings import InvalidSettings
from vehicles.connectors import CONNECTORS
from vehicles.models import Vehicle
from vehicles.vin import normal_vin

COLUMNS = ["vin", "make", "model", "year", "tags", "connector"]
SETTING = "settings."
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
CHUNK = 1_000  # rows that are looked up and written together


class InvalidFile(ValueError):
    """Says what is wrong with the file as a whole."""


@dataclass
class Row:
    """One row, what is wrong with it, and the vehicle that it makes or changes."""

    line: int  # where it begins; the header is line 1
    cells: dict[str, str]
    problems: list[str] = field(default_factory=list)
    vehicle: Vehicle | None = None
    before: Vehicle | None = None
    changed: list[str] = field(default_factory=list)


def read(file: TextIO) -> Iterator[Row]:
    """Yield the rows. Raise InvalidFile if the header or the text is wrong."""
    reader = csv.reader(file, strict=True)
    line = 1
    try:
        columns = _checked_header([name.strip() for name in next(reader, [])])
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _row(line, columns, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidFile(f"Line {line} is not CSV ({error}). Correct it.") from error
    except UnicodeDecodeError as error:
        message = f"The text is not UTF-8 after line {line}. Save the file as UTF-8."
        raise InvalidFile(message) from error


def _checked_header(columns: list[str]) -> list[str]:
    text = ",".join(columns)
    for separator, name in SEPARATORS.items():
        if separator in text:
            raise InvalidFile(f"The columns are separated by {name}. Separate them by commas.")
    if repeated := {name for name in columns if columns.count(name) > 1}:
        raise InvalidFile(f"The column {min(repeated)!a} comes twice. Name each once.")
    if unknown := [name for name in columns if not _is_known(name)]:
        known = ", ".join([*COLUMNS, f"{SETTING}<name>"])
        raise InvalidFile(f"The column {unknown[0][:100]!a} is not known. Known: {known}.")
    if "vin" not in columns:
        raise InvalidFile("The column vin is missing. Line 1 names the columns.")
    return columns


def _is_known(column: str) -> bool:
    return column in COLUMNS or (column.startswith(SETTING) and column != SETTING)


def _row(line: int, columns: list[str], cells: list[str]) -> Row:
    row = Row(line, dict(zip(columns, map(str.strip, cells), strict=False)))
    if len(cells) != len(columns):
        row.problems.append(f"it has {len(cells)} cells, and the header has {len(columns)}")
    if any("\x00" in cell for cell in cells):
        row.problems.append("it contains a NUL character")
    return row


class Import:
    """An import in progress, in a transaction of the caller."""

    def __init__(self, *, is_update: bool) -> None:
        self._is_update = is_update
        self._lines: dict[str, int] = {}  # by VIN
        self.has_problems = False

    def take(self, rows: Sequence[Row]) -> None:
        """Check some rows, and write them as long as no row was wrong."""
        for row in rows:
            row.cells["vin"] = normal_vin(row.cells.get("vin", ""))
        vins = [row.cells["vin"] for row in rows]
        known = Vehicle.objects.filter(vin__in=vins).order_by("pk").select_for_update()
        vehicles = {vehicle.vin: vehicle for vehicle in known}
        for row in rows:
            if not row.problems:
                row.problems += self._problems(row, vehicles.get(row.cells["vin"]))
            self.has_problems |= bool(row.problems)
        if not self.has_problems:
            _write(rows)

    def _problems(self, row: Row, known: Vehicle | None) -> list[str]:
        """Return what is wrong with a row; make its vehicle."""
        vin = row.cells["vin"]
        first = self._lines.setdefault(vin, row.line)
        if vin and first != row.line:
            return [f"vin: {vin} is in line {first} already"]
        if known and not self._is_update:
            return [f"vin: there is a vehicle {vin} already; --update changes it"]
        row.before, row.vehicle = known, copy(known) if known else Vehicle()
        return _fill(row.vehicle, row.cells)


def _fill(vehicle: Vehicle, cells: Mapping[str, str]) -> list[str]:
    """Give a vehicle the values of a row; return what is wrong with them."""
    earlier = vehicle.connector
    for name in COLUMNS:
        if name in cells and (cells[name] or name != "connector"):
            setattr(vehicle, name, cells[name])
    vehicle.year, vehicle.tags = vehicle.year or None, vehicle.tags or []
    problems = []
    try:
        vehicle.clean_fields()
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            problems += [f"{name}: {message}" for message in messages]
    if vehicle.connector not in CONNECTORS:
        return [*problems, f"connector: unknown. Known: {', '.join(CONNECTORS)}."]
    return problems + _fill_settings(vehicle, cells, earlier)


def _fill_settings(vehicle: Vehicle, cells: Mapping[str, str], earlier: str) -> list[str]:
    """Set the settings that have a column, and keep the others while the connector is the same."""
    is_same = vehicle.connector == earlier
    settings: dict[str, Any] = dict(vehicle.connector_settings) if is_same else {}
    for column, text in cells.items():
        if column.startswith(SETTING):
            name = column.removeprefix(SETTING)
            settings.pop(name, None)
            if text:
                settings[name] = connector_settings.from_text(vehicle.connector, name, text)
    kept = vehicle.connector_secrets if is_same else {}
    try:
        checked = connector_settings.check(vehicle.connector, settings, kept)
    except InvalidSettings as error:
        return [f"{SETTING}{name}: {' '.join(messages)}" for name, messages in error.errors.items()]
    vehicle.connector_settings, vehicle.connector_secrets = checked
    return []


def _write(rows: Sequence[Row]) -> None:
    added = [row.vehicle for row in rows if row.vehicle and not row.before]
    Vehicle.objects.bulk_create(added)
    for row in rows:
        if row.vehicle and row.before:
            row.changed = changes.save(row.vehicle, row.before)
        elif row.vehicle:
            fields, settings = changes.differing(Vehicle(), row.vehicle)
            row.changed = fields + settings
