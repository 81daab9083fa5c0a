"""The outcomes of a period: how many commands ended how, and how long they took, step by step.

A period has the commands that were submitted in its whole steps, at most the newest 10,000 of an
hour and 50,000 of a longer period, which the index of the lists finds.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, Value

from commands.models import TERMINAL, CommandQuerySet, Status

FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT, Status.EXPIRED})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Period:
    """Steps of equal length, the last of which is the present one."""

    name: str
    step: timedelta
    steps: int
    max_commands: int

    @property
    def step_seconds(self) -> int:
        return int(self.step.total_seconds())

    def since(self, now: datetime) -> datetime:
        """Return the start of the first step."""
        return now - (now - EPOCH) % self.step - (self.steps - 1) * self.step


PERIODS = {
    period.name: period
    for period in (
        Period("1h", timedelta(minutes=1), 60, 10_000),
        Period("24h", timedelta(minutes=30), 48, 50_000),
        Period("7d", timedelta(hours=2), 84, 50_000),
    )
}


class Outcome(NamedTuple):
    """Columns of one command that the dashboard needs."""

    command_id: UUID
    status: str
    error_code: str
    after: timedelta  # from the start of the period to the submission
    took: timedelta | None  # from the submission to the end


class FailureCount(NamedTuple):
    """Number of commands that failed with one error code."""

    error_code: str
    commands: int


class Seconds(list[float]):
    """Durations of completed commands, in seconds."""

    @property
    def median(self) -> float | None:
        return round(median(self), 3) if self else None

    @property
    def p95(self) -> float | None:
        """95th percentile by the nearest rank: one command in twenty took longer."""
        return round(sorted(self)[math.ceil(len(self) * 0.95) - 1], 3) if self else None


@dataclass
class Step:
    """The commands that were submitted within one step of a period."""

    at: datetime
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    seconds: Seconds = field(default_factory=Seconds)

    def count(self, outcome: Outcome) -> None:
        if outcome.status == Status.COMPLETED:
            self.completed += 1
            self.seconds.append(outcome.took.total_seconds() if outcome.took else 0)
        elif outcome.status in FAILURES:
            self.failed += 1
        elif outcome.status == Status.CANCELLED:
            self.cancelled += 1


@dataclass(frozen=True)
class Outcomes:
    """The commands that were submitted in a period."""

    period: Period
    steps: list[Step]  # oldest first
    submitted: int
    ended: int
    is_capped: bool
    failures: list[FailureCount]  # most frequent first

    @property
    def since(self) -> datetime:
        return self.steps[0].at

    @property
    def completed(self) -> int:
        return sum(step.completed for step in self.steps)

    @property
    def success_rate(self) -> float | None:
        """Share of completed commands among those that completed or failed, without cancelled."""
        decided = self.completed + sum(step.failed for step in self.steps)
        return round(self.completed / decided, 4) if decided else None

    @property
    def seconds(self) -> Seconds:
        return Seconds(seconds for step in self.steps for seconds in step.seconds)


def count(period: Period, found: list[Outcome], now: datetime) -> Outcomes:
    """Count the commands since the start of the period, which come newest first."""
    since = period.since(now)
    steps = [Step(since + number * period.step) for number in range(period.steps)]
    counted = found[: period.max_commands]
    for outcome in counted:
        number = outcome.after // period.step
        steps[min(number, period.steps - 1)].count(outcome)  # the database's clock may be ahead
    ended = sum(outcome.status in TERMINAL for outcome in counted)
    failures = Counter(outcome.error_code for outcome in counted if outcome.status in FAILURES)
    return Outcomes(
        period,
        steps,
        submitted=len(counted),
        ended=ended,
        is_capped=len(found) > len(counted),
        failures=[FailureCount(*each) for each in failures.most_common()],
    )


def read(period: Period, visible: CommandQuerySet, now: datetime) -> list[Outcome]:
    """Read the commands of the period, newest first, and one more if there are too many.

    They come as durations, which are faster to read than instants.
    """
    since = period.since(now)
    rows: Any = (
        visible.filter(submitted_at__gte=since)
        .order_by("-submitted_at")
        .annotate(
            after=F("submitted_at") - Value(since), took=F("completed_at") - F("submitted_at")
        )
        .values_list("command_id", "status", "error_code", "after", "took")
    )
    return [Outcome(*row) for row in rows[: period.max_commands + 1]]
