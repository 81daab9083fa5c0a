"""The history of trouble codes: which are stored after a series of reads and clears."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from vehicles.connectors import dtc
from vehicles.connectors.failure_types import words_of

CHANGES = ["appeared", "status_changed", "cleared", "gone"]


@dataclass(frozen=True)
class Source:
    """The command that a fact comes from, and its end. None where the user may not see it."""

    command_id: UUID | None
    submitted_by: str | None
    at: datetime


@dataclass(frozen=True)
class TroubleCode:
    dtc_code: str
    description: str = ""
    status: str = ""
    status_bits: tuple[str, ...] = ()
    confirmed: bool | None = None

    @property
    def failure_type(self) -> str:
        return words_of(self.dtc_code)


@dataclass(frozen=True)
class Read:
    source: Source
    ecu_address: str
    codes: dict[str, TroubleCode]
    is_understood: bool = True  # False: some responses were left out
    is_masked: bool = False  # True: the ECU was asked for some of its codes only

    @property
    def is_whole(self) -> bool:
        """Whether a code that it does not have is certainly not stored."""
        return self.is_understood and not self.is_masked


@dataclass(frozen=True)
class Clear:
    source: Source
    ecu_address: str
    dtc_code: str | None = None  # None: all codes; without failure type, all of that base
    before: frozenset[str] | None = None  # the codes stored before, where that was read
    remaining: frozenset[str] | None = None  # the codes stored after, where that was read

    def has_erased(self, name: str) -> bool:
        is_meant = self.dtc_code is None or dtc.stands_for(self.dtc_code, name)
        return is_meant and name not in (self.remaining or ())


@dataclass(frozen=True)
class ControlUnit:
    """A control unit, and the last read of its codes."""

    ecu_address: str
    read_at: datetime
    command_id: UUID | None
    submitted_by: str | None


@dataclass(frozen=True)
class Stored:
    """A trouble code as it was last read."""

    ecu_address: str
    code: TroubleCode
    first_seen_at: datetime
    read: Source


@dataclass(frozen=True)
class Change:
    source: Source
    change: str  # one of CHANGES
    ecu_address: str
    code: TroubleCode
    status: str | None  # None: it is no longer stored
    previous_status: str | None  # None: it was not stored


@dataclass
class History:
    """The state after a series of reads and clears, applied one by one, the oldest first."""

    last_reads: dict[str, Source] = field(default_factory=dict)
    ecus: dict[str, dict[str, Stored]] = field(default_factory=dict)
    timeline: list[Change] = field(default_factory=list)  # oldest first
    scans: list[Source] = field(default_factory=list)  # of the whole vehicle, newest first

    def apply(self, operation: Read | Clear) -> None:
        if isinstance(operation, Read):
            self._read(operation)
        else:
            self._clear(operation)

    @property
    def control_units(self) -> list[ControlUnit]:
        return [
            ControlUnit(ecu, read.at, read.command_id, read.submitted_by)
            for ecu, read in sorted(self.last_reads.items())
        ]

    @property
    def newest_first(self) -> list[Change]:
        """The timeline; the codes of one command stay in their order."""
        return sorted(self.timeline, key=lambda change: change.source.at, reverse=True)

    @property
    def stored(self) -> list[Stored]:
        return [stored for _, ecu in sorted(self.ecus.items()) for _, stored in sorted(ecu.items())]

    def _read(self, read: Read) -> None:
        if not read.is_masked or read.ecu_address not in self.last_reads:
            self.last_reads[read.ecu_address] = read.source
        known = self._known(read)
        for name in sorted(known.keys() - read.codes.keys()) if read.is_whole else []:
            self._remove(read, "gone", name)
        for _, code in sorted(read.codes.items()):
            self._add(read, code)

    def _clear(self, clear: Clear) -> None:
        known = self._known(clear)
        for name in sorted(known.keys() - clear.before) if clear.before is not None else []:
            self._remove(clear, "gone", name)
        for name in sorted(known.keys() | (clear.before or set())):
            if clear.has_erased(name):
                self._remove(clear, "cleared", name)
        for name in sorted((clear.remaining or set()) - known.keys()):
            self._add(clear, TroubleCode(name))

    def _known(self, operation: Read | Clear) -> dict[str, Stored]:
        return self.ecus.setdefault(operation.ecu_address, {})

    def _add(self, operation: Read | Clear, code: TroubleCode) -> None:
        known, source = self._known(operation), operation.source
        before = known.get(code.dtc_code)
        since = before.first_seen_at if before else source.at
        known[code.dtc_code] = Stored(operation.ecu_address, code, since, source)
        if before is None:
            self._add_change(operation, "appeared", code, code.status, None)
        elif before.code.status != code.status:
            self._add_change(operation, "status_changed", code, code.status, before.code.status)

    def _remove(self, operation: Read | Clear, change: str, name: str) -> None:
        """Remove a code, which may have been stored without any read that tells of it."""
        stored = self._known(operation).pop(name, None)
        code = stored.code if stored else TroubleCode(name)
        self._add_change(operation, change, code, None, code.status)

    def _add_change(
        self,
        operation: Read | Clear,
        change: str,
        code: TroubleCode,
        status: str | None,
        previous: str | None,
    ) -> None:
        ecu = operation.ecu_address
        self.timeline.append(Change(operation.source, change, ecu, code, status, previous))


def history_of(operations: Iterable[Read | Clear]) -> History:
    history = History()
    for operation in operations:
        history.apply(operation)
    return history
