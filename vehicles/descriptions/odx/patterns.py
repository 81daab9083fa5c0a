"""Patterns by which a variant is recognized, as far as they are about identifiers that are read.

A condition is plain data for `vehicles.descriptions.variants`: an identifier, how its bytes are
read, the short names that lead to one of its values, and the value that is expected.
"""

from typing import Any

from odxtools.diaglayers.ecuvariant import EcuVariant
from odxtools.matchingparameter import MatchingParameter

from vehicles.descriptions.odx.layers import READING, Reader
from vehicles.descriptions.odx.refusal import LeftOut, clean

MAX_CONDITIONS = 10_000  # of one file
MAX_EXPECTED = 200

Condition = dict[str, Any]


class NotApplied(Exception):
    """A pattern that cannot be applied; the message says why."""


class PatternReader:
    """Reads the variant patterns of one file."""

    def __init__(self, reader: Reader, left_out: LeftOut) -> None:
        self._reader = reader
        self._left_out = left_out
        self._count = 0

    def patterns_of(self, layer: Any) -> list[list[Condition]]:
        """Return the patterns, of which one must match with all of its conditions."""
        patterns = []
        for pattern in layer.ecu_variant_patterns if isinstance(layer, EcuVariant) else []:
            try:
                patterns.append([self._condition(layer, e) for e in pattern.matching_parameters])
            except (MemoryError, RecursionError):
                raise
            except Exception as error:
                self._left_out.add(layer.short_name, f"A variant pattern is not used: {error}")
        return patterns

    def _condition(self, layer: EcuVariant, parameter: MatchingParameter) -> Condition:
        self._count += 1
        if self._count > MAX_CONDITIONS:
            raise NotApplied(f"the file has more than {MAX_CONDITIONS}.")
        rank, (about, number), (name, coding) = self._service(layer, parameter)
        if (rank, about) != (READING, "data"):
            raise NotApplied(f"{parameter.diag_comm_snref} does not read an identifier.")
        told = parameter.out_param_if_snref or parameter.out_param_if_snpathref or ""
        fields, path = _fields(coding.get("fields", []), [*map(clean, told.split("."))])
        kind = _leaf(fields, path)
        expected = parameter.expected_value.strip()
        return {
            "data_id": number,
            "name": name,
            "fields": fields,
            "path": path,
            "expected": clean(expected.upper() if kind == "bytes" else expected, MAX_EXPECTED),
        }

    def _service(self, layer: EcuVariant, parameter: MatchingParameter) -> Any:
        name = parameter.diag_comm_snref
        service = next((each for each in layer.services if each.short_name == name), None)
        known = self._reader.known(service) if service else None
        if known is None:
            raise NotApplied(f"{name} is no service that reads an identifier.")
        return known


def _fields(fields: list[Any], path: list[str]) -> tuple[list[Any], list[str]]:
    """Return the fields that are needed for a value, and the path to it among them."""
    names = [field.get("name") for field in fields]
    if path[0] not in names and len(path) > 1:
        path = path[1:]  # a structure that is all there is has been left away
    if path[0] not in names:
        raise NotApplied(f"the value {path[0]} is not read.")
    place = names.index(path[0])
    is_fixed = fields[place]["at"] is not None
    return [fields[place]] if is_fixed else fields[: place + 1], path


def _leaf(fields: list[Any], path: list[str]) -> str:
    """Return the kind of the value at the end of a path. Raises NotApplied."""
    field = next((each for each in fields if each.get("name") == path[0]), None)
    if field is None:
        raise NotApplied(f"the value {path[0]} is not read.")
    if field["kind"] == "group" and len(path) > 1:
        return _leaf(field["fields"], path[1:])
    if field["kind"] == "group" or len(path) > 1:
        raise NotApplied(f"{path[0]} does not lead to one value.")
    kind: str = field["kind"]
    return kind
