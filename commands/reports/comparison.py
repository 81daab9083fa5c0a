"""The trouble codes of each ECU in two scans, side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from commands.reports.scans import Code, Scan, ScannedEcu


@dataclass(frozen=True)
class Compared:
    """An ECU in two scans. Its codes are compared only if both scans have read all of them."""

    before: ScannedEcu | None
    after: ScannedEcu | None
    last: ScannedEcu

    @property
    def is_compared(self) -> bool:
        return all(ecu is not None and ecu.is_read for ecu in (self.before, self.after))

    @cached_property
    def appeared(self) -> list[Code]:
        return [after for before, after in self._pairs if before is None and after]

    @cached_property
    def went(self) -> list[Code]:
        return [before for before, after in self._pairs if before and after is None]

    @cached_property
    def stayed(self) -> list[Code]:
        return [after for before, after in self._in_both if before.status == after.status]

    @cached_property
    def changed(self) -> list[tuple[Code, Code]]:
        """The codes that have another status byte, before and after."""
        return [(old, new) for old, new in self._in_both if old.status != new.status]

    @property
    def _in_both(self) -> Iterator[tuple[Code, Code]]:
        return ((before, after) for before, after in self._pairs if before and after)

    @cached_property
    def _pairs(self) -> list[tuple[Code | None, Code | None]]:
        if not (self.is_compared and self.before and self.after):
            return []
        before, after = self.before.codes, self.after.codes
        return [(before.get(name), after.get(name)) for name in sorted({*before, *after})]


def compare(before: Scan | None, after: Scan) -> list[Compared]:
    """Return the ECUs of both scans in the order of the second one, the others last."""
    old = before.ecus if before else {}
    numbers = [*after.ecus, *(number for number in old if number not in after.ecus)]
    return [
        Compared(old.get(number), after.ecus.get(number), after.ecus.get(number) or old[number])
        for number in numbers
    ]
