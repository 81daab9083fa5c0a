"""Trouble codes, identifiers and routines of one layer, with all that it inherits."""

from collections.abc import Iterator
from typing import Any

from odxtools.diaglayers.hierarchyelement import HierarchyElement
from odxtools.diagnostictroublecode import DiagnosticTroubleCode
from odxtools.diagservice import DiagService

from vehicles.descriptions.odx.coding import coding_of
from vehicles.descriptions.odx.refusal import LeftOut, clean

READ, WRITE, ROUTINE, START = 0x22, 0x2E, 0x31, 0x01
READING, WRITING = 0, 1  # ranks
LENGTHS = {READ: 3, WRITE: 3, ROUTINE: 4}  # of a request, with its identifier
MAX_CODE = 0xFFFFFF
MAX_NAME = 200

Key = tuple[str, int]
Entry = tuple[str, dict[str, Any]]
Entries = dict[Key, Entry]


class Reader:
    """Reads each element once, however many layers inherit it."""

    def __init__(self, left_out: LeftOut) -> None:
        self._left_out = left_out
        self._services: dict[int, tuple[int, Key, Entry] | None] = {}
        self._dtcs: dict[int, Entry] = {}

    def entries_of(self, layer: HierarchyElement) -> Entries:
        """Return the entries of a layer; reading goes before writing, and starting before all."""
        found = [each for service in layer.services if (each := self.known(service))]
        entries: Entries = {}
        for _, key, entry in sorted(found, key=lambda each: each[0]):
            entries.setdefault(key, entry)
        for dop in layer.diag_data_dictionary_spec.dtc_dops:
            entries.update(self._codes(dop.dtcs))
        return entries

    def _codes(self, codes: Any) -> Iterator[tuple[Key, Entry]]:
        for code in codes:
            if 0 <= code.trouble_code <= MAX_CODE:
                if id(code) not in self._dtcs:
                    self._dtcs[id(code)] = (_text_of(code), {})
                yield ("dtc", code.trouble_code), self._dtcs[id(code)]
            else:
                self._left_out.add(code.short_name, "Its trouble code has more than three bytes.")

    def known(self, service: DiagService) -> tuple[int, Key, Entry] | None:
        """Return rank, key and entry of a service, None if it is about something else."""
        if id(service) not in self._services:
            self._services[id(service)] = self._read(service)
        return self._services[id(service)]

    def _read(self, service: DiagService) -> tuple[int, Key, Entry] | None:
        try:
            return self._entry(service)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            self._left_out.add(service.short_name, error)
            return None

    def _entry(self, service: DiagService) -> tuple[int, Key, Entry] | None:
        """Return rank, key and entry of a service that is about an identifier or a routine."""
        request = bytes(service.request.coded_const_prefix()) if service.request else b""
        if not request or request[0] not in LENGTHS:
            return None  # another service
        if len(request) < LENGTHS[request[0]]:
            self._left_out.add(service.short_name, "Its identifier is not a constant.")
            return None
        name = clean(service.long_name or service.short_name, MAX_NAME)
        number = int.from_bytes(request[-2:] if request[0] == READ else request[1:3])
        if request[0] == ROUTINE:
            return request[1] != START, ("routine", int.from_bytes(request[2:4])), (name, {})
        if request[0] == WRITE:
            return WRITING, ("data", number), (name, {})
        if len(request) > LENGTHS[READ]:
            self._left_out.add(service.short_name, "It reads several identifiers at once.")
            return None
        return READING, ("data", number), (name, self._coding(service))

    def _coding(self, service: DiagService) -> dict[str, Any]:
        if not service.positive_responses:
            self._left_out.add(service.short_name, "It has no positive response: only its name.")
            return {}
        return coding_of(service, self._left_out)


def _text_of(code: DiagnosticTroubleCode) -> str:
    text = str(code.text or "").strip() or code.long_name or code.short_name
    return clean(text, MAX_NAME)
