"""The trouble codes of one read or scan, beside those of the last read of each ECU before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from commands.models import Command
from commands.trouble_codes import log
from commands.trouble_codes.history import Read, Source, TroubleCode

MAX_EARLIER = 30  # reads and clears of the vehicle that are looked at
COMPARED = ["new", "same", "gone"]


@dataclass(frozen=True)
class Compared:
    ecu_address: str
    code: TroubleCode
    change: str | None  # one of COMPARED; None: the ECU was not read before


@dataclass(frozen=True)
class Previous:
    """The read of an ECU that is compared with."""

    ecu_address: str
    read: Source


@dataclass(frozen=True)
class Comparison:
    codes: Sequence[Compared]
    previous: Sequence[Previous]
    is_complete: bool = True  # False: some responses were left out


def of_command(command: Command, user: Any) -> Comparison:
    """Compare the reads of a completed command, and name earlier commands the user may see."""
    earlier = log.evidence(vehicle=command.vehicle).filter(submitted_at__lt=command.submitted_at)
    commands = [command, *earlier.select_related("submitted_by")[:MAX_EARLIER]]
    reads = log.reads_of(commands, command.vehicle, user)
    codes: list[Compared] = []
    previous: list[Previous] = []
    own = [each for owner, each in reads if owner == command.pk]
    for read in own:
        before = _before(read, [each for owner, each in reads if owner != command.pk])
        codes += _compared(read, before)
        previous += [Previous(read.ecu_address, before.source)] if before else []
    return Comparison(codes, previous, all(read.is_understood for read in own))


def _before(read: Read, others: list[Read]) -> Read | None:
    """Return the last read that can tell which codes were stored."""
    earlier = [
        each
        for each in others
        if each.ecu_address == read.ecu_address
        and each.is_whole
        and each.source.at <= read.source.at
    ]
    return earlier[-1] if earlier else None


def _compared(read: Read, before: Read | None) -> list[Compared]:
    known = before.codes if before else {}
    is_gone = known.keys() - read.codes.keys() if read.is_whole else set()
    codes = read.codes | {name: known[name] for name in is_gone}
    return [
        Compared(read.ecu_address, code, _change(name, read, known) if before else None)
        for name, code in sorted(codes.items())
    ]


def _change(name: str, read: Read, known: dict[str, TroubleCode]) -> str:
    if name not in read.codes:
        return "gone"
    return "same" if name in known else "new"
