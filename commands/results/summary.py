"""The answer of a batch: its trouble codes or values over all vehicles, and its failures.

It is computed from the completed commands by a few statements, each of which reads a bounded part
of the event log. A response may be any JSON: one that names no trouble code or value is left out.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, Max, OuterRef, Q, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Left

from commands import trouble_codes
from commands.models import Batch, CommandQuerySet, Event, Status
from commands.results.values import MAX_TEXT, MAX_VALUES, data_responses, is_number, parts_of
from vehicles.connectors import dtc

ENDED_BADLY = (Status.FAILED, Status.TIMED_OUT, Status.EXPIRED)
MAX_CODES = 50
MAX_TEXTS = 20
MAX_RESPONSES = 250  # of one command
MAX_GROUPS = 2_000  # of codes that differ in their status
BINS = 10


@dataclass
class CodeCount:
    dtc_code: str
    description: str = ""
    vehicles: int = 0
    confirmed: int = 0


@dataclass(frozen=True)
class Extreme:
    value: float
    command_id: UUID
    vin: str


@dataclass(frozen=True)
class Bin:
    start: float
    end: float
    vehicles: int


@dataclass(frozen=True)
class TextCount:
    text: str
    vehicles: int


@dataclass
class Value:
    """One value that the vehicles were asked for: numbers of one unit, or texts."""

    name: str
    unit: str
    numbers: list[Extreme] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)

    @property
    def vehicles(self) -> int:
        return len(self.numbers) + self.found.total()

    @property
    def minimum(self) -> Extreme | None:
        return min(self.numbers, key=lambda each: each.value, default=None)

    @property
    def maximum(self) -> Extreme | None:
        return max(self.numbers, key=lambda each: each.value, default=None)

    @property
    def median(self) -> float | None:
        return median(each.value for each in self.numbers) if self.numbers else None

    @property
    def histogram(self) -> list[Bin]:
        return histogram_of([each.value for each in self.numbers])

    @property
    def texts(self) -> list[TextCount]:
        return [TextCount(*each) for each in self.found.most_common(MAX_TEXTS)]


@dataclass(frozen=True)
class Summary:
    vehicles: int
    trouble_codes: list[CodeCount]
    values: list[Value]
    failures: list[dict[str, Any]]
    is_complete: bool


def of_batch(batch: Batch) -> Summary:
    completed = batch.commands.filter(status=Status.COMPLETED).order_by()
    about = completed.aggregate(
        vehicles=Count("pk"),
        responses=Max(F("last_sequence_number") - F("claim_sequence_number") - 1),
    )
    codes, are_all = _codes(batch, completed)
    return Summary(
        about["vehicles"],
        sorted(codes, key=lambda each: (-each.vehicles, each.dtc_code))[:MAX_CODES],
        _values(completed) if batch.command_name == "ReadDataByID" else [],
        _failures(batch),
        are_all and len(codes) <= MAX_CODES and (about["responses"] or 0) <= MAX_RESPONSES,
    )


def _failures(batch: Batch) -> list[dict[str, Any]]:
    failed = batch.commands.filter(status__in=ENDED_BADLY).order_by()
    counted = failed.values("error_code").annotate(
        vehicles=Count("pk"), error_message=Max("error_message")
    )
    return list(counted.order_by("-vehicles", "error_code"))


# --- Trouble codes


def _codes(batch: Batch, completed: CommandQuerySet) -> tuple[list[CodeCount], bool]:
    """Return the trouble codes, and whether all of them were read."""
    if batch.command_name == "ScanVehicle":
        return _codes_of_scans(completed)
    if batch.command_name == "ReadDTC":
        return _codes_of_reads(completed)
    return [], True


def _codes_of_reads(completed: CommandQuerySet) -> tuple[list[CodeCount], bool]:
    code, description, status = (
        Left(KeyTextTransform(name, _response()), length)
        for name, length in (("dtcCode", 9), ("description", MAX_TEXT), ("status", 5))
    )
    groups = (
        Event.objects.filter(
            command__in=completed,
            payload__response__type="dtc",
            sequence_number__lte=F("command__claim_sequence_number") + MAX_RESPONSES,
        )
        .current_responses()
        .order_by()
        .values(code=code, status=status)
        .annotate(
            about=Max(description),
            vehicles=Count("command", distinct=True),
            confirmed=Count("command", distinct=True, filter=Q(payload__response__confirmed=True)),
        )
        .order_by("-vehicles")
    )
    found: dict[str, CodeCount] = {}
    rows = list(groups[: MAX_GROUPS + 1])
    for row in rows:
        if _is_code(row["code"]) and trouble_codes.is_stored(row["status"] or ""):
            count = found.setdefault(row["code"], CodeCount(row["code"], row["about"] or ""))
            count.vehicles += row["vehicles"]
            count.confirmed += row["confirmed"]
    return list(found.values()), len(rows) <= MAX_GROUPS


def _codes_of_scans(completed: CommandQuerySet) -> tuple[list[CodeCount], bool]:
    """Count each code once for a vehicle, however many ECUs have stored it."""
    scans, are_all = trouble_codes.codes_of_scans(list(completed))
    having: dict[str, set[UUID]] = defaultdict(set)
    confirming: dict[str, set[UUID]] = defaultdict(set)
    descriptions: dict[str, str] = {}
    for command_id, code in scans:
        having[code.dtc_code].add(command_id)
        descriptions.setdefault(code.dtc_code, code.description[:MAX_TEXT])
        if code.confirmed:
            confirming[code.dtc_code].add(command_id)
    counts = [
        CodeCount(code, descriptions[code], len(commands), len(confirming[code]))
        for code, commands in having.items()
    ]
    return counts, are_all


def _is_code(text: str | None) -> bool:
    return bool(text and re.match(dtc.PATTERN, text))


def _response() -> KeyTransform:
    return KeyTransform("response", "payload")


def with_code(commands: CommandQuerySet, code: str) -> CommandQuerySet:
    """Return the commands of which a response has this trouble code, alone or in a list.

    The code has no character that JSON would escape, so its field can be found in the text.
    """
    responses = Event.objects.filter(command=OuterRef("pk")).current_responses()
    text = Cast("payload", TextField())
    return commands.filter(
        Exists(responses.alias(text=text).filter(text__contains=f'"dtcCode": "{code}"'))
    )


# --- Values


def _values(completed: CommandQuerySet) -> list[Value]:
    values: dict[tuple[str, str], Value] = {}
    responses = data_responses(completed).order_by("command__vehicle__vin")
    for command_id, vin, payload in responses.values_list(
        "command", "command__vehicle__vin", "short"
    ):
        for name, unit, found in parts_of(payload["response"] if payload else {}):
            value = values.setdefault((name, unit), Value(name, unit))
            if is_number(found):
                value.numbers.append(Extreme(found, command_id, vin))
            else:
                value.found[str(found)[:MAX_TEXT]] += 1
    return list(values.values())[:MAX_VALUES]


def histogram_of(numbers: list[float]) -> list[Bin]:
    """Count the numbers in bins of equal width, the last of which has the maximum."""
    if not numbers:
        return []
    low, high = min(numbers), max(numbers)
    width = (high - low) / BINS
    if not width:
        return [Bin(low, high, len(numbers))]
    counts = Counter(min(int((number - low) / width), BINS - 1) for number in numbers)
    return [Bin(low + n * width, low + (n + 1) * width, counts[n]) for n in range(BINS)]
