"""The checker sees each broken promise, and none where there is none."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.chaos.checker import Evidence, Heard, LoggedEvent, Row, check, frame_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
READ = "00000000-0000-0000-0000-000000000001"
CLEAR = "00000000-0000-0000-0000-000000000002"
SUMMARY = {"type": "summary", "ecuAddress": "0x10", "dtcCount": 1}
CODE = {"type": "dtc", "dtcCode": "P0420"}


def log(*told: tuple[str, Any, str]) -> list[LoggedEvent]:
    return [
        LoggedEvent(number, kind, payload, START + timedelta(seconds=number), author)
        for number, (kind, payload, author) in enumerate(told, 1)
    ]


def status(status: str, author: str = "worker-1.1") -> tuple[str, Any, str]:
    return "status", {"status": status}, author


def answer(
    response: Any, author: str = "worker-1.1", *, last: bool = False
) -> tuple[str, Any, str]:
    return "response", {"response": response, "is_final": last}, author


def lost(author: str) -> tuple[str, Any, str]:
    return "error", {"error_code": "worker_lost", "error_message": "", "status": "failed"}, author


READ_LOG = log(
    status("pending", "web-1.1"),
    status("in_progress"),
    answer(CODE),
    status("pending", "worker-2.1"),
    status("in_progress", "worker-2.1"),
    answer(CODE, "worker-2.1"),
    answer(SUMMARY, "worker-2.1", last=True),
    status("completed", "worker-2.1"),
)
CLEAR_LOG = log(status("pending", "web-2.1"), status("in_progress"), lost("worker-3.1"))


def heard(command_id: str, events: list[LoggedEvent]) -> Heard:
    frames = [json.dumps(frame_of(command_id, event)) for event in events]
    return Heard(command_id, frames, has_ended=True, times_stuck=0, closes=[1006])


def sound() -> Evidence:
    """A safe command was repeated after its worker was lost, and an unsafe one was not."""
    return Evidence(
        rows=[
            Row(READ, "car ReadDTC", "ReadDTC", "completed", "", 8),
            Row(CLEAR, "car ClearDTC", "ClearDTC", "failed", "worker_lost", 3),
        ],
        logs={READ: [*READ_LOG], CLEAR: [*CLEAR_LOG]},
        journal=Counter({"car ReadDTC": 2, "car ClearDTC": 1}),
        ordered=1,
        accepted={"car ReadDTC": READ},
        unknown={"car ClearDTC", "car never arrived"},
        cancels={READ: 409},
        heard=[heard(READ, READ_LOG), heard(CLEAR, CLEAR_LOG)],
    )


def broken(evidence: Evidence) -> set[str]:
    return {count.promise for count in check(evidence) if count.broken}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert broken(sound()) == set()


def change_row(evidence: Evidence, **changes: Any) -> None:
    evidence.rows[0] = replace(evidence.rows[0], **changes)


def change_event(evidence: Evidence, number: int, **changes: Any) -> None:
    evidence.logs[READ][number - 1] = replace(evidence.logs[READ][number - 1], **changes)


def rewrite(evidence: Evidence, events: list[LoggedEvent]) -> None:
    """Another log, which the row and the subscriber agree with."""
    evidence.logs[READ] = events
    change_row(evidence, last_sequence_number=len(events), status=events[-1].says)
    evidence.heard[0] = heard(READ, events)


def lose_the_row(evidence: Evidence) -> None:
    evidence.accepted["car another"] = "00000000-0000-0000-0000-000000000003"


def twice(evidence: Evidence) -> None:
    evidence.rows.append(evidence.rows[0])


def end_twice(evidence: Evidence) -> None:
    rewrite(evidence, log(*told(READ_LOG), status("completed", "worker-2.1")))


def told(events: list[LoggedEvent]) -> list[tuple[str, Any, str]]:
    return [(event.kind, event.payload, event.author) for event in events]


def by_another(evidence: Evidence) -> None:
    change_event(evidence, 6, author="worker-1.1")


def answer_of_both(evidence: Evidence) -> None:
    rewrite(evidence, log(*told(READ_LOG[:6]), *told(READ_LOG[5:])))


def claim_four_times(evidence: Evidence) -> None:
    rewrite(evidence, log(*told(READ_LOG[:3]), *told(READ_LOG[1:4]) * 3, *told(READ_LOG[4:])))


def take_many(evidence: Evidence) -> None:
    evidence.logs |= {f"{READ}{n}": READ_LOG for n in range(6)}


def mishear(change: Callable[[list[str]], list[str]]) -> Callable[[Evidence], None]:
    def apply(evidence: Evidence) -> None:
        evidence.heard[0] = replace(evidence.heard[0], frames=change(evidence.heard[0].frames))

    return apply


def put(**changes: Any) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.__dict__.update(changes)


def hear(**changes: Any) -> Callable[[Evidence], None]:
    def apply(evidence: Evidence) -> None:
        evidence.heard[1] = replace(evidence.heard[1], **changes)

    return apply


WRONG: list[tuple[str, Callable[[Evidence], None]]] = [
    ("accepted commands that are lost", lose_the_row),
    ("commands that nobody submitted, or that are there twice", twice),
    ("commands that nobody submitted, or that are there twice", put(accepted={})),
    ("commands without a terminal state", lambda e: change_row(e, status="in_progress")),
    ("commands with more than one terminal event, or none", end_twice),
    ("commands with more than one terminal event, or none", put(logs={READ: READ_LOG})),
    ("rows that say otherwise than their log", lambda e: change_row(e, status="failed")),
    ("rows that say otherwise than their log", lambda e: change_row(e, last_sequence_number=9)),
    ("gaps and repeats in a log", lambda e: change_event(e, 7, sequence_number=6)),
    ("gaps and repeats in a log", lambda e: change_event(e, 7, sequence_number=9)),
    ("moves that there are not", lambda e: rewrite(e, log(*told(READ_LOG), *told(READ_LOG[2:3])))),
    ("events written by who had lost the claim", by_another),
    ("answers that are not whole: more, fewer or others than the vehicle gave", answer_of_both),
    (
        "commands that must not be repeated and were asked twice",
        put(journal=Counter({"car ReadDTC": 2, "car ClearDTC": 2})),
    ),
    (
        "commands reported as completed that no vehicle was asked",
        put(journal=Counter({"car ClearDTC": 1})),
    ),
    (
        "commands that were asked although nobody had claimed them",
        put(journal=Counter({"car ReadDTC": 3, "car ClearDTC": 1})),
    ),
    (
        "safe commands given up before three workers were lost",
        lambda e: change_row(e, status="failed", error_code="worker_lost"),
    ),
    (
        "cancellations that did not do what was answered, or that nobody asked for",
        put(cancels={READ: 200}),
    ),
    (
        "cancellations that did not do what was answered, or that nobody asked for",
        lambda e: change_row(e, status="cancelled"),
    ),
    ("commands claimed after three workers were lost", claim_four_times),
    ("claims taken from who was alive, beyond what a slow machine excuses", take_many),
    ("signs that the load was none", put(ordered=0, accepted={}, rows=[], logs={}, heard=[])),
    ("signs that the load was none", put(ordered=10)),
    ("signs that the load was none", lambda e: change_row(e, status="expired")),
    ("signs that the load was none", put(heard=[])),
    ("streams that differ from their log", mishear(lambda frames: frames[:-1])),
    ("streams that differ from their log", mishear(lambda frames: [*frames, frames[-1]])),
    (
        "streams that differ from their log",
        mishear(lambda frames: [frames[1], frames[0], *frames[2:]]),
    ),
    (
        "streams that differ from their log",
        mishear(lambda frames: [f.replace("P0420", "P0421") for f in frames]),
    ),
    ("streams that stood still although the log went on", hear(times_stuck=1)),
    ("streams that stood still although the log went on", hear(has_ended=False)),
    ("streams that a failing server closed (1011 or 4500)", hear(closes=[1006, 1011])),
    ("streams that a failing server closed (1011 or 4500)", hear(closes=[4500])),
    ("sockets left in the gauge", put(sockets_in_gauge=1)),
    (
        "database connections left open: of the dead, idle in a transaction, beyond the pool",
        put(connections_left=["web-1.1 has 1"]),
    ),
    ("tracebacks in a log", put(tracebacks=["web-1.log:7 KeyError"])),
    ("processes and answers that went wrong otherwise", put(problems=["worker-1 ended"])),
]


@pytest.mark.parametrize(("promise", "spoil"), WRONG, ids=[promise for promise, _ in WRONG])
def test_each_broken_promise_is_found(promise: str, spoil: Callable[[Evidence], None]) -> None:
    evidence = sound()
    spoil(evidence)
    assert promise in broken(evidence)


def test_every_rule_has_been_seen_to_find_something() -> None:
    assert {promise for promise, _ in WRONG} == {count.promise for count in check(sound())}
