"""The content of the printed report."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from commands.models import Command
from commands.reports.comparison import Compared
from commands.reports.report import Report
from commands.reports.scans import Code, Scan, ScannedEcu

MAX_SHOWN = 600  # characters of a request or response in the appendix
MAX_PARAMETERS = 120
IDENTIFIERS = {
    "0xF190": "VIN",
    "0xF187": "Part number",
    "0xF189": "Software version",
    "0xF18C": "Serial number",
}


@dataclass(frozen=True)
class Line:
    """A trouble code of an ECU, and what became of it."""

    change: str
    code: Code
    status_before: str = ""


@dataclass(frozen=True)
class Identifier:
    name: str
    before: str | None
    after: str | None

    @property
    def differs(self) -> bool:
        return None not in (self.before, self.after) and self.before != self.after


@dataclass(frozen=True)
class Side:
    """An ECU in one of the scans."""

    name: str
    ecu: ScannedEcu | None
    exchanges: list[int]  # their numbers

    @property
    def words(self) -> str:
        if self.ecu is None:
            return "not scanned"
        if not self.ecu.is_reached:
            return "not reached"
        return str(len(self.ecu.codes)) if self.ecu.is_read else "not read"

    @property
    def problem(self) -> str:
        is_read = self.ecu is not None and self.ecu.is_read
        told = self.ecu.problem if self.ecu else ""
        return "" if is_read else f"{self.words}. {told}".strip()


@dataclass(frozen=True)
class Section:
    """One ECU of the report."""

    ecu: Compared
    identifiers: list[Identifier]
    lines: list[Line]
    sides: list[Side]


def context_of(report: Report) -> dict[str, Any]:
    sections = [_section(report, ecu) for ecu in report.ecus]
    lines = [line for section in sections for line in section.lines]
    return {
        "report": report,
        "sections": sections,
        "counts": {
            name: sum(line.change == name for line in lines)
            for name in ("appeared", "changed", "stayed", "went")
        },
        "between": [(command, _parameters(command)) for command in report.between],
        "exchanges": [(each["command_id"], _shown(each)) for each in report.evidence.exchanges],
        "left_off": sum(report.evidence.left_off.values()),
    }


def _section(report: Report, ecu: Compared) -> Section:
    return Section(ecu, [*_identifiers(ecu)], [*_lines(ecu)], [*_sides(report, ecu)])


def _identifiers(ecu: Compared) -> Iterator[Identifier]:
    before = ecu.before.identification if ecu.before else {}
    after = ecu.after.identification if ecu.after else {}
    names = {**IDENTIFIERS, **ecu.last.identifier_names}
    for name in {**before, **after}:
        yield Identifier(names.get(name, name), before.get(name), after.get(name))


def _lines(ecu: Compared) -> Iterator[Line]:
    if not ecu.is_compared:
        yield from _uncompared("stored before", ecu.before)
        yield from _uncompared("stored after", ecu.after)
    yield from (Line("appeared", code) for code in ecu.appeared)
    yield from (Line("changed", after, before.status) for before, after in ecu.changed)
    yield from (Line("stayed", code, code.status) for code in ecu.stayed)
    yield from (Line("went", code, code.status) for code in ecu.went)


def _uncompared(change: str, ecu: ScannedEcu | None) -> Iterator[Line]:
    return (Line(change, code) for _, code in sorted(ecu.codes.items())) if ecu else iter(())


def _sides(report: Report, ecu: Compared) -> Iterator[Side]:
    if report.before:
        yield _side(report, "before", report.before, ecu.before)
    yield _side(report, "after", report.after, ecu.after)


def _side(report: Report, name: str, scan: Scan, ecu: ScannedEcu | None) -> Side:
    event = (scan.command.pk, ecu.sequence_number if ecu else None)
    return Side(name, ecu, report.evidence.numbers[event] if ecu else [])


def _parameters(command: Command) -> str:
    pairs = [f"{name} {value}" for name, value in command.command_params.items()]
    return str(_cut(", ".join(pairs), MAX_PARAMETERS))


def _shown(exchange: dict[str, Any]) -> dict[str, Any]:
    texts = {name: _cut(exchange[name], MAX_SHOWN) for name in ("request", "response")}
    return exchange | texts | {"time": exchange["started_at"][11:23]}


def _cut(text: str | None, length: int) -> str | None:
    if text is None or len(text) <= length:
        return text
    return f"{text[:length]} … ({len(text)} characters)"
