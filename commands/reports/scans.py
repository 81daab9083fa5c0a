"""The result of one `ScanVehicle` command, from its event log.

A response may be any JSON: its texts are cut, and an ECU with a response that was not understood
counts as not read.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast, Length

from commands.models import Command, Event
from vehicles.connectors import dtc
from vehicles.connectors.failure_types import words_of
from vehicles.ecus import ECU_ADDRESS_PATTERN, normal_address, number_of

MAX_ECUS = 500  # of one scan
MAX_CHARACTERS = 4_500_000  # of the responses of one scan
MAX_CODES = 500  # of one ECU
MAX_TEXT = 500
MAX_IDENTIFIERS = 50
MAX_BITS = 8

CODES_UNKNOWN = "Its trouble codes could not be understood."


@dataclass(frozen=True)
class Code:
    """A trouble code as an ECU reported it."""

    dtc_code: str
    dtc_raw: str = ""
    description: str = ""
    status: str = ""
    status_bits: tuple[str, ...] = ()
    confirmed: bool | None = None

    @property
    def failure_type(self) -> str:
        return words_of(self.dtc_code)

    @property
    def is_stored(self) -> bool:
        """Whether it is more than a code that was not tested since a clear."""
        is_byte = re.fullmatch("0x[0-9A-Fa-f]{2}", self.status)
        return not is_byte or bool(int(self.status, 16) & dtc.STORED)


@dataclass(frozen=True)
class ScannedEcu:
    address: str
    name: str
    is_reached: bool
    problem: str
    identification: Mapping[str, str]
    codes: Mapping[str, Code]
    sequence_number: int  # of the event that tells of it
    identifier_names: Mapping[str, str] = field(default_factory=dict)  # by its description

    @property
    def is_read(self) -> bool:
        """Whether these are all of its stored codes."""
        return self.is_reached and not self.problem


@dataclass
class Scan:
    command: Command
    ecus: dict[int, ScannedEcu] = field(default_factory=dict)  # by the number of the address
    left_off: int = 0  # responses that are too many or too long

    @property
    def reached_count(self) -> int:
        return sum(ecu.is_reached for ecu in self.ecus.values())

    @property
    def code_count(self) -> int:
        return sum(len(ecu.codes) for ecu in self.ecus.values())


def read_scans(commands: Collection[Command], known: Collection[str]) -> dict[UUID, Scan]:
    """Return the scans by command. `known`: the addresses of ECUs as they are spelled."""
    scans = {command.pk: Scan(command) for command in commands}
    for event in Event.objects.filter(pk__in=_that_fit(scans)).order_by("sequence_number"):
        if ecu := _ecu(event.payload.get("response"), event.sequence_number, known):
            scans[event.command_id].ecus[number_of(ecu.address)] = ecu
    return scans


def _that_fit(scans: dict[UUID, Scan]) -> list[int]:
    """Return the responses to read, and count the others."""
    log = Event.objects.filter(command__in=scans).current_responses()
    sizes = log.annotate(size=Length(Cast("payload", TextField()))).order_by("sequence_number")
    taken = {pk: [0, 0] for pk in scans}
    ids = []
    for pk, command_id, size in sizes.values_list("pk", "command_id", "size"):
        count, characters = taken[command_id]
        if count > MAX_ECUS or characters + size > MAX_CHARACTERS:
            scans[command_id].left_off += 1
        else:
            taken[command_id] = [count + 1, characters + size]
            ids.append(pk)
    return ids


def _ecu(response: Any, number: int, known: Collection[str]) -> ScannedEcu | None:
    told = response if isinstance(response, dict) else {}
    address = told.get("ecuAddress")
    is_address = isinstance(address, str) and re.match(ECU_ADDRESS_PATTERN, address)
    if told.get("type") != "ecu" or not is_address:
        return None
    is_reached = told.get("reachable") is True
    codes = _codes(told.get("dtcs"))
    unknown = CODES_UNKNOWN if is_reached and codes is None else ""
    return ScannedEcu(
        address=normal_address(str(address), known),
        name=_text(told.get("name")),
        is_reached=is_reached,
        problem=_text(told.get("problem")) or unknown,
        identification=_identification(told.get("identification")),
        codes={code.dtc_code: code for code in codes or [] if code.is_stored},
        sequence_number=number,
        identifier_names=_identification(told.get("identificationNames")),
    )


def _codes(told: Any) -> list[Code] | None:
    """Return the codes of a response, or None if one of them was not understood."""
    if not isinstance(told, list) or len(told) > MAX_CODES:
        return None
    codes = [_code(each) for each in told if _is_code(each)]
    return codes if len(codes) == len(told) else None


def _is_code(told: Any) -> bool:
    code = told.get("dtcCode") if isinstance(told, dict) else None
    return isinstance(code, str) and bool(re.match(dtc.PATTERN, code))


def _code(told: dict[str, Any]) -> Code:
    bits = told.get("statusBits")
    confirmed = told.get("confirmed")
    return Code(
        told["dtcCode"],
        _text(told.get("dtcRaw")),
        _text(told.get("description")),
        _text(told.get("status")),
        tuple(map(_text, bits[:MAX_BITS] if isinstance(bits, list) else [])),
        confirmed if isinstance(confirmed, bool) else None,
    )


def _identification(told: Any) -> dict[str, str]:
    pairs: Iterable[tuple[Any, Any]] = told.items() if isinstance(told, dict) else ()
    return {_text(name): _text(value) for name, value in islice(pairs, MAX_IDENTIFIERS)}


def _text(value: Any) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""
