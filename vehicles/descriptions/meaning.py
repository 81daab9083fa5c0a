"""What a description says of one ECU: names, texts and values for its responses.

A description that is ready never changes, so that what was read of it once stays in memory.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from vehicles.connectors import dtc
from vehicles.descriptions import values
from vehicles.descriptions.models import Entry, Kind, Layer

if TYPE_CHECKING:
    from vehicles.models import Ecu

MAX_KEPT = 100  # layers in memory

Response = dict[str, Any]
Coding = Mapping[str, Any]


@dataclass(frozen=True)
class Meaning:
    """The entries of one layer, with those of its base: name and coding by kind and number."""

    entries: Mapping[tuple[str, int], tuple[str, Coding]] = field(default_factory=dict)

    def name_of(self, kind: Kind, number: int) -> str:
        return self.entries.get((kind, number), ("", {}))[0]

    def length_of(self, data_id: int) -> int | None:
        """Return the number of bytes that an identifier always has."""
        length: int | None = self.entries.get((Kind.DATA, data_id), ("", {}))[1].get("length")
        return length

    def read(self, response: Response) -> Response:
        """Return a response with names, texts and values; its raw bytes stay."""
        kind = response.get("type")
        if not self.entries or kind not in READERS:
            return response
        return response | READERS[kind](self, response)

    def data(self, response: Response) -> Response:
        """Return name, value and unit of an identifier, as far as they are known."""
        name, coding = self.entries.get(_key(Kind.DATA, response.get("dataId")), ("", {}))
        known: Response = {"name": name} if name else {}
        try:
            value, unit = values.read(coding, bytes.fromhex(response["raw"]))
        except (ValueError, ArithmeticError, KeyError, TypeError):
            return known  # then the value stays as it was read without a description
        if value is None:  # no scale covers it
            return known
        if isinstance(unit, dict):
            return known | {"value": value, "unit": "", "units": unit}
        return known | {"value": value, "unit": unit}

    def code(self, response: Response) -> Response:
        raw = response.get("dtcRaw") or _raw_of(response["dtcCode"])
        text = self.name_of(Kind.DTC, int(raw, 16)) if raw else ""
        return {"description": text} if text else {}

    def snapshot(self, response: Response) -> Response:
        entries = [entry | self.data(entry) for entry in response["data"]]
        return {"data": entries} | self.code(response)

    def named_data(self, response: Response) -> Response:
        name = self.entries.get(_key(Kind.DATA, response["dataId"]), ("", {}))[0]
        return {"name": name} if name else {}

    def routine(self, response: Response) -> Response:
        name = self.entries.get(_key(Kind.ROUTINE, response["routineId"]), ("", {}))[0]
        return {"name": name} if name else {}

    def scanned(self, response: Response) -> Response:
        """Return texts of the codes, and what the identifiers of the ECU are called and mean."""
        raw = response.get("identificationRaw", {})
        known = {
            data_id: self.data({"dataId": data_id, "raw": raw.get(data_id)})
            for data_id in response.get("identification", {})
        }
        names = {data_id: told["name"] for data_id, told in known.items() if told.get("name")}
        texts = {data_id: _shown(told) for data_id, told in known.items() if "value" in told}
        return {
            "identification": response.get("identification", {}) | texts,
            **({"identificationNames": names} if names else {}),
            "dtcs": [code | self.code(code) for code in response["dtcs"]],
        }


NOTHING = Meaning()
READERS = {
    "dtc": Meaning.code,
    "data": Meaning.data,
    "reading": Meaning.named_data,
    "written": Meaning.named_data,
    "snapshot": Meaning.snapshot,
    "routine": Meaning.routine,
    "ecu": Meaning.scanned,
}


def _shown(told: Response) -> str:
    """Return value and unit as one text; several values by their names."""
    if not isinstance(told["value"], dict):
        return f"{told['value']} {told['unit']}".strip()
    units = told.get("units", {})
    values = told["value"].items()
    return ", ".join(f"{name} {value} {units.get(name, '')}".strip() for name, value in values)


def _key(kind: Kind, text: Any) -> tuple[str, int]:
    """Return the key of an identifier; one of an SOVD server that has no number has no entry."""
    try:
        return kind, int(text, 16)
    except (TypeError, ValueError):
        return kind, -1


def _raw_of(code: str) -> str:
    """Return the raw bytes of a code that names its failure type; else they are not known."""
    is_known = dtc.has_failure_type(code) and re.match(dtc.PATTERN, code)
    return f"{dtc.raw_of(code):06X}" if is_known else ""


# --- From the database


def attach(ecus: Iterable["Ecu"]) -> None:
    """Give each ECU its meaning, with no query for what is in memory."""
    for ecu in ecus:
        if ecu.description_id:
            ecu.meaning = _meaning(ecu.description_id, ecu.read_as)


@lru_cache(MAX_KEPT)
def _meaning(description_id: UUID, variant: str) -> Meaning:
    layers = Layer.objects.filter(description_id=description_id)
    layer = default_layer(layers) if variant == "" else layers.filter(name=variant).first()
    if layer is None:
        return NOTHING
    base = _entries_of(layer.base_id) if layer.base_id else {}
    found = base | _entries_of(layer.pk)
    return Meaning({key: entry for key, entry in found.items() if entry[0]})


def default_layer(layers: Iterable[Layer]) -> Layer | None:
    """Return the layer of an ECU that names none: the only one, or the only base."""
    found = list(layers)
    bases = [layer for layer in found if layer.base_id is None]
    return next((some[0] for some in (found, bases) if len(some) == 1), None)


def _entries_of(layer_id: int) -> dict[tuple[str, int], tuple[str, Coding]]:
    rows = Entry.objects.filter(layer_id=layer_id).values_list("kind", "number", "name", "coding")
    return {(kind, number): (name, coding) for kind, number, name, coding in rows.iterator()}
