"""What became of a vehicle's trouble codes, read off the answers to `ReadDTC` and `ClearDTC`.

What a vehicle answered may be any JSON: an answer that names no trouble code is left out, its texts
are cut, and a read that was not understood whole lets no code disappear.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left

from commands.catalogue import DTC_CODE, ECU_ADDRESS
from commands.models import Command, Kind, Status
from vehicles.models import Vehicle

MOST_COMMANDS = 200
MOST_ANSWERS = 250  # of one read
MOST_CHANGES = 1_000
MOST_BITS = 8

# What is taken of an answer, and how many characters of each: the rest stays in the database.
TAKEN = {
    "type": 4,
    "ecuAddress": 5,
    "dtcCode": 6,
    "description": 200,
    "status": 16,
    "statusBits": 500,
    "confirmed": 5,
}


CHANGES = ["appeared", "status_changed", "cleared", "gone"]

Answer = dict[str, Any]
Answers = dict[UUID, tuple[list[Answer], bool]]


@dataclass(frozen=True)
class Origin:
    """The command that told of something, and when it had been carried out."""

    command_id: UUID
    submitted_by: str
    at: datetime


@dataclass(frozen=True)
class TroubleCode:
    dtc_code: str
    description: str = ""
    status: str = ""
    status_bits: tuple[str, ...] = ()
    confirmed: bool | None = None


@dataclass(frozen=True)
class Read:
    origin: Origin
    ecu_address: str
    codes: dict[str, TroubleCode]
    is_whole: bool = True  # False: what it does not have may be stored all the same


@dataclass(frozen=True)
class Clear:
    origin: Origin
    ecu_address: str
    dtc_code: str | None = None  # None: all of them


@dataclass(frozen=True)
class ControlUnit:
    """Whose codes were read, and when last."""

    ecu_address: str
    read_at: datetime
    command_id: UUID
    submitted_by: str


@dataclass(frozen=True)
class Stored:
    """A trouble code as it was last read."""

    ecu_address: str
    code: TroubleCode
    first_seen_at: datetime
    read: Origin


@dataclass(frozen=True)
class Change:
    origin: Origin
    change: str  # one of CHANGES
    ecu_address: str
    code: TroubleCode
    status: str | None  # None: it is no longer stored
    previous_status: str | None  # None: it was not stored


@dataclass
class History:
    """What is known after a series of reads and clears, told one by one, the oldest first."""

    last_reads: dict[str, Origin] = field(default_factory=dict)
    ecus: dict[str, dict[str, Stored]] = field(default_factory=dict)
    timeline: list[Change] = field(default_factory=list)  # oldest first

    def tell(self, deed: Read | Clear) -> None:
        if isinstance(deed, Read):
            self._read(deed)
        else:
            self._clear(deed)

    @property
    def control_units(self) -> list[ControlUnit]:
        return [
            ControlUnit(ecu, read.at, read.command_id, read.submitted_by)
            for ecu, read in sorted(self.last_reads.items())
        ]

    @property
    def newest_first(self) -> list[Change]:
        """The codes of one command stay in their order."""
        return sorted(self.timeline, key=lambda change: change.origin.at, reverse=True)

    @property
    def stored(self) -> list[Stored]:
        return [stored for _, ecu in sorted(self.ecus.items()) for _, stored in sorted(ecu.items())]

    def _read(self, read: Read) -> None:
        self.last_reads[read.ecu_address] = read.origin
        known = self.ecus.setdefault(read.ecu_address, {})
        missing = sorted(known.keys() - read.codes.keys()) if read.is_whole else []
        for name in missing:
            self._forget(read, "gone", name)
        for _, code in sorted(read.codes.items()):
            self._see(read, code)

    def _see(self, read: Read, code: TroubleCode) -> None:
        known = self.ecus[read.ecu_address]
        before = known.get(code.dtc_code)
        since = before.first_seen_at if before else read.origin.at
        known[code.dtc_code] = Stored(read.ecu_address, code, since, read.origin)
        if before is None:
            self._note(read, "appeared", code, code.status, None)
        elif before.code.status != code.status:
            self._note(read, "status_changed", code, code.status, before.code.status)

    def _clear(self, clear: Clear) -> None:
        known = self.ecus.get(clear.ecu_address, {})
        for name in sorted(known):
            if clear.dtc_code in (None, name):
                self._forget(clear, "cleared", name)

    def _forget(self, deed: Read | Clear, change: str, name: str) -> None:
        code = self.ecus[deed.ecu_address].pop(name).code
        self._note(deed, change, code, None, code.status)

    def _note(
        self,
        deed: Read | Clear,
        change: str,
        code: TroubleCode,
        status: str | None,
        previous: str | None,
    ) -> None:
        self.timeline.append(Change(deed.origin, change, deed.ecu_address, code, status, previous))


def history_of(deeds: Iterable[Read | Clear]) -> History:
    history = History()
    for deed in deeds:
        history.tell(deed)
    return history


# --- From the event log


def of_vehicle(vehicle: Vehicle, user: User | AnonymousUser) -> tuple[History, bool]:
    """From the last commands that the user may see, and whether that is all there is."""
    latest = list(_commands(vehicle, user)[: MOST_COMMANDS + 1])
    commands = latest[:MOST_COMMANDS]
    deeds = _deeds(commands)
    history = history_of(deeds)
    is_complete = (
        len(latest) <= MOST_COMMANDS
        and len(history.timeline) <= MOST_CHANGES
        and all(deed.is_whole for deed in deeds if isinstance(deed, Read))
    )
    del history.timeline[:-MOST_CHANGES]
    return history, is_complete


def _commands(vehicle: Vehicle, user: User | AnonymousUser) -> Any:
    return (
        Command.objects.visible_to(user)
        .filter(vehicle=vehicle, status=Status.COMPLETED)
        .filter(command_name__in=["ReadDTC", "ClearDTC"])  # the condition of the index
        .order_by("-submitted_at")
        .select_related("submitted_by")
    )


def _deeds(commands: list[Command]) -> list[Read | Clear]:
    carried_out = sorted(commands, key=_end_of)
    answers = _answers([command for command in commands if command.command_name == "ReadDTC"])
    deeds = [_deed(command, answers) for command in carried_out]
    return [deed for deed in deeds if deed]


def _end_of(command: Command) -> datetime:
    return command.completed_at or command.submitted_at


def _deed(command: Command, answers: Answers) -> Read | Clear | None:
    ecu, code = (command.command_params.get(name) for name in ("ecuAddress", "dtcCode"))
    if not _matches(ECU_ADDRESS, ecu):
        return None
    origin = Origin(command.pk, command.submitted_by.username, _end_of(command))
    if command.command_name == "ReadDTC":
        return _read(origin, _one_spelling(ecu), *answers[command.pk])
    return Clear(origin, _one_spelling(ecu), code)


def _read(origin: Origin, ecu: str, answers: list[Answer], is_whole: bool) -> Read:
    told = [answer for answer in answers[-MOST_ANSWERS:] if answer["type"] == "dtc"]
    understood = [answer for answer in told if _is_of(ecu, answer)]
    codes = {answer["dtcCode"]: _code(answer) for answer in understood}
    return Read(origin, ecu, codes, is_whole and len(understood) == len(told))


def _is_of(ecu: str, answer: Answer) -> bool:
    """It names a trouble code, and no other ECU than the one that was asked."""
    named = answer["ecuAddress"]
    is_other = _matches(ECU_ADDRESS, named) and _one_spelling(named) != ecu
    return _matches(DTC_CODE, answer["dtcCode"]) and not is_other


def _code(answer: Answer) -> TroubleCode:
    return TroubleCode(
        answer["dtcCode"],
        _text(answer["description"]),
        _text(answer["status"]),
        _bits(answer["statusBits"]),
        {"true": True, "false": False}.get(answer["confirmed"]),
    )


def _text(taken: str | None) -> str:
    """Not JSON of another kind, as far as it would puzzle; SQLite says "null" for null."""
    is_text = taken and taken != "null" and taken[0] not in "[{"
    return taken if taken and is_text else ""


def _bits(text: str | None) -> tuple[str, ...]:
    try:
        bits = json.loads(text or "")
    except (ValueError, RecursionError):  # no list, or one that was cut
        return ()
    names = bits if isinstance(bits, list) else []
    return tuple(name for name in names if isinstance(name, str))[:MOST_BITS]


def _matches(parameter: dict[str, Any], value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(parameter["pattern"], value))


def _one_spelling(ecu: str) -> str:
    """0x1a is 0x1A."""
    return f"0x{ecu[2:].upper()}"


def _answers(reads: list[Command]) -> Answers:
    """The last answers that count, by command, and whether these are all of them."""
    answers: Answers = {command.pk: ([], False) for command in reads}
    for command_id, kind, *taken in _log(reads):
        if kind == Kind.STATUS:  # only what comes after it counts
            answers[command_id] = ([], True)
        else:
            answers[command_id][0].append(dict(zip(TAKEN, taken, strict=True)))
    return answers


def _log(reads: list[Command]) -> Any:
    """Up to the event that says `completed`. With more answers it does not reach back to the
    one that says `in_progress`."""
    end = F("last_sequence_number")
    response = KeyTransform("response", "events__payload")
    taken = [Left(KeyTextTransform(name, response), most) for name, most in TAKEN.items()]
    return (
        Command.objects.filter(
            pk__in=[command.pk for command in reads],
            events__sequence_number__gte=end - MOST_ANSWERS - 1,
            events__sequence_number__lt=end,
        )
        .order_by("pk", "events__sequence_number")
        .values_list("pk", "events__kind", *taken)
    )
