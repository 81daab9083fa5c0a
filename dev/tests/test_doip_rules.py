"""The rules about DoIP vehicles see each broken promise, and none where all were kept."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from dev.chaos.doip.rules import Asked, Outcomes, Told, check

VIN = "1M8GDM9AXKP000001"
CLEAR = Told("1", VIN, "ClearDTC", {"ecuAddress": "0x10", "dtcCode": "P0200"}, "completed", "")
WRITE = Told(
    "2",
    VIN,
    "WriteDataByID",
    {"ecuAddress": "0x10", "dataId": "0xF198", "data": "00000001"},
    "failed",
    "outcome_unknown",
)
START = Told(
    "3",
    VIN,
    "RoutineControl",
    {"ecuAddress": "0x18", "routineId": "0x0203", "action": "start", "data": "00000002"},
    "failed",
    "vehicle_refused",
)
READ = Told("4", VIN, "ReadDTC", {"ecuAddress": "0x10"}, "completed", "")


def asked(request: str, response: str, ecu: int = 0x10) -> Asked:
    return Asked(VIN, ecu, request, response)


JOURNAL = [
    asked("14020000", "54"),
    asked("14020013", "54"),
    asked("2EF19800000001", "6EF198"),
    asked("3101020300000002", "7F317F", 0x18),
    asked("3101020300000002", "7F3122", 0x18),
    asked("1902FF", "5902FF"),
]
KEPT = [replace(JOURNAL[0], command_id="1"), replace(JOURNAL[-1], command_id="4")]


def kept_promises() -> Outcomes:
    return Outcomes([CLEAR, WRITE, START, READ], JOURNAL, KEPT)


def without(journal: list[Asked], request: str) -> list[Asked]:
    return [asked for asked in journal if asked.request != request]


def told(*commands: Told) -> Outcomes:
    return Outcomes([*commands], JOURNAL, KEPT)


BROKEN: dict[str, tuple[str, Callable[[], Outcomes]]] = {
    "a write that was sent again": (
        "sent twice",
        lambda: Outcomes([CLEAR, WRITE, START], [*JOURNAL, JOURNAL[2]], KEPT),
    ),
    "a refused request that was sent again": (
        "sent twice",
        lambda: Outcomes([CLEAR, WRITE, START], [*JOURNAL, JOURNAL[4]], KEPT),
    ),
    "a write of nobody": ("no command asked for", lambda: told(CLEAR, START)),
    "a clear that never arrived": (
        "completed and not done",
        lambda: Outcomes([CLEAR, WRITE], without(JOURNAL, "14020013"), KEPT),
    ),
    "a clear that was done in part": (
        "failed for certain and done",
        lambda: told(replace(CLEAR, status="failed", error_code="vehicle_unreachable"), WRITE),
    ),
    "a write that was told cancelled": (
        "failed for certain and done",
        lambda: told(CLEAR, replace(WRITE, status="cancelled", error_code="cancelled")),
    ),
    "a response that no vehicle gave": (
        "not in the vehicle's journal",
        lambda: Outcomes([CLEAR, WRITE], JOURNAL, [*KEPT, asked("14020000", "7F1431")]),
    ),
    "a read without exchanges": (
        "without evidence",
        lambda: Outcomes([CLEAR, WRITE, READ], JOURNAL, KEPT[:1]),
    ),
}


def broken(outcomes: Outcomes) -> list[str]:
    return [count.promise for count in check(outcomes) if count.broken]


def test_no_rule_finds_anything_where_all_promises_were_kept() -> None:
    assert broken(kept_promises()) == []


@pytest.mark.parametrize("case", BROKEN)
def test_a_rule_finds_a_broken_promise(case: str) -> None:
    promise, outcomes = BROKEN[case]
    (found,) = broken(outcomes())
    assert promise in found
