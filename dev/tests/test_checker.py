"""The checker sees each broken promise, and none where all were kept."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.chaos.checker import check, frame_of
from dev.chaos.evidence import Evidence, LoggedEvent, Row
from dev.clients import Recording

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
READ = "00000000-0000-0000-0000-000000000001"
CLEAR = "00000000-0000-0000-0000-000000000002"
SUMMARY = {"type": "summary", "ecuAddress": "0x10", "dtcCount": 1}
CODE = {"type": "dtc", "dtcCode": "P0420"}


def log(*entries: tuple[str, Any, str]) -> list[LoggedEvent]:
    return [
        LoggedEvent(number, kind, payload, START + timedelta(seconds=number), author)
        for number, (kind, payload, author) in enumerate(entries, 1)
    ]


def status(status: str, author: str = "worker-1.1") -> tuple[str, Any, str]:
    return "status", {"status": status}, author


def response(
    response: Any, author: str = "worker-1.1", *, last: bool = False
) -> tuple[str, Any, str]:
    return "response", {"response": response, "is_final": last}, author


def lost(author: str) -> tuple[str, Any, str]:
    return "error", {"error_code": "worker_lost", "error_message": "", "status": "failed"}, author


READ_LOG = log(
    status("pending", "web-1.1"),
    status("in_progress"),
    response(CODE),
    status("pending", "worker-2.1"),
    status("in_progress", "worker-2.1"),
    response(CODE, "worker-2.1"),
    response(SUMMARY, "worker-2.1", last=True),
    status("completed", "worker-2.1"),
)
CLEAR_LOG = log(status("pending", "web-2.1"), status("in_progress"), lost("worker-3.1"))


def recording(command_id: str, events: list[LoggedEvent]) -> Recording:
    frames = [json.dumps(frame_of(command_id, event)) for event in events]
    return Recording(command_id, frames, closes=[1006], has_ended=True)


def sound() -> Evidence:
    """Return evidence of a safe command that was repeated, and of an unsafe one that was not."""
    return Evidence(
        rows=[
            Row(READ, "VIN1 ReadDTC", "ReadDTC", "completed", "", 8),
            Row(CLEAR, "VIN1 ClearDTC", "ClearDTC", "failed", "worker_lost", 3),
        ],
        logs={READ: [*READ_LOG], CLEAR: [*CLEAR_LOG]},
        journal=Counter({"VIN1 ReadDTC": 2, "VIN1 ClearDTC": 1}),
        offline_vins={"VIN2"},
        attempts=1,
        accepted={"VIN1 ReadDTC": READ},
        unknown={"VIN1 ClearDTC", "VIN1 never arrived"},
        cancels={READ: 409},
        recordings=[recording(READ, READ_LOG), recording(CLEAR, CLEAR_LOG)],
    )


def broken(evidence: Evidence) -> set[str]:
    return {count.promise for count in check(evidence) if count.broken}


def test_kept_promises_are_not_reported() -> None:
    assert broken(sound()) == set()


def change_row(evidence: Evidence, **changes: Any) -> None:
    evidence.rows[0] = replace(evidence.rows[0], **changes)


def change_event(evidence: Evidence, number: int, **changes: Any) -> None:
    evidence.logs[READ][number - 1] = replace(evidence.logs[READ][number - 1], **changes)


def rewrite(evidence: Evidence, events: list[LoggedEvent]) -> None:
    """Put another log in its place, which the row and the subscriber agree with."""
    evidence.logs[READ] = events
    change_row(evidence, last_sequence_number=len(events), status=events[-1].name)
    evidence.recordings[0] = recording(READ, events)


def lose_the_row(evidence: Evidence) -> None:
    evidence.accepted["VIN1 another"] = "00000000-0000-0000-0000-000000000003"


def add_the_row_again(evidence: Evidence) -> None:
    evidence.rows.append(evidence.rows[0])


def end_twice(evidence: Evidence) -> None:
    rewrite(evidence, log(*entries_of(READ_LOG), status("completed", "worker-2.1")))


def entries_of(events: list[LoggedEvent]) -> list[tuple[str, Any, str]]:
    return [(event.kind, event.payload, event.author) for event in events]


def change_the_author(evidence: Evidence) -> None:
    change_event(evidence, 6, author="worker-1.1")


def respond_twice(evidence: Evidence) -> None:
    rewrite(evidence, log(*entries_of(READ_LOG[:6]), *entries_of(READ_LOG[5:])))


def claim_four_times(evidence: Evidence) -> None:
    rewrite(
        evidence,
        log(*entries_of(READ_LOG[:3]), *entries_of(READ_LOG[1:4]) * 3, *entries_of(READ_LOG[4:])),
    )


def take_many(evidence: Evidence) -> None:
    evidence.logs |= {f"{READ}{n}": READ_LOG for n in range(6)}


def change_frames(change: Callable[[list[str]], list[str]]) -> Callable[[Evidence], None]:
    def apply(evidence: Evidence) -> None:
        recording = evidence.recordings[0]
        evidence.recordings[0] = replace(recording, frames=change(recording.frames))

    return apply


def put(**changes: Any) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.__dict__.update(changes)


def change_recording(**changes: Any) -> Callable[[Evidence], None]:
    def apply(evidence: Evidence) -> None:
        evidence.recordings[1] = replace(evidence.recordings[1], **changes)

    return apply


def end_clear(status: str, error_code: str = "") -> Callable[[Evidence], None]:
    def apply(evidence: Evidence) -> None:
        evidence.rows[1] = replace(evidence.rows[1], status=status, error_code=error_code)

    return apply


WRONG: list[tuple[str, Callable[[Evidence], None]]] = [
    ("accepted commands that are lost", lose_the_row),
    ("commands that nobody submitted, or that exist twice", add_the_row_again),
    ("commands that nobody submitted, or that exist twice", put(accepted={})),
    ("commands without a terminal state", lambda e: change_row(e, status="in_progress")),
    ("commands without exactly one terminal event", end_twice),
    ("commands without exactly one terminal event", put(logs={READ: READ_LOG})),
    ("rows that disagree with their event log", lambda e: change_row(e, status="failed")),
    ("rows that disagree with their event log", lambda e: change_row(e, last_sequence_number=9)),
    ("gaps and repeats in an event log", lambda e: change_event(e, 7, sequence_number=6)),
    ("gaps and repeats in an event log", lambda e: change_event(e, 7, sequence_number=9)),
    (
        "illegal transitions",
        lambda e: rewrite(e, log(*entries_of(READ_LOG), *entries_of(READ_LOG[2:3]))),
    ),
    ("events written after the claim was lost", change_the_author),
    ("completed commands with incomplete or wrong responses", respond_twice),
    (
        "unsafe commands sent twice",
        put(journal=Counter({"VIN1 ReadDTC": 2, "VIN1 ClearDTC": 2})),
    ),
    (
        "completed commands that were never sent",
        put(journal=Counter({"VIN1 ClearDTC": 1})),
    ),
    (
        "commands sent without a claim",
        put(journal=Counter({"VIN1 ReadDTC": 3, "VIN1 ClearDTC": 1})),
    ),
    ("commands sent to offline vehicles", put(offline_vins={"VIN1"})),
    ("unsafe commands that were sent, and whose end denies it", end_clear("timed_out")),
    ("unsafe commands that were sent, and whose end denies it", end_clear("cancelled")),
    (
        "unsafe commands that were sent, and whose end denies it",
        end_clear("failed", "vehicle_unreachable"),
    ),
    (
        "safe commands given up before three workers were lost",
        lambda e: change_row(e, status="failed", error_code="worker_lost"),
    ),
    (
        "cancellations that did not do what they answered, or that nobody asked for",
        put(cancels={READ: 200}),
    ),
    (
        "cancellations that did not do what they answered, or that nobody asked for",
        lambda e: change_row(e, status="cancelled"),
    ),
    ("commands claimed after three workers were lost", claim_four_times),
    ("leases taken from live workers, beyond the tolerance for a slow machine", take_many),
    (
        "load too low to prove anything",
        put(attempts=0, accepted={}, rows=[], logs={}, recordings=[]),
    ),
    ("load too low to prove anything", put(attempts=10)),
    ("load too low to prove anything", lambda e: change_row(e, status="expired")),
    ("load too low to prove anything", put(recordings=[])),
    ("streams that differ from their event log", change_frames(lambda frames: frames[:-1])),
    (
        "streams that differ from their event log",
        change_frames(lambda frames: [*frames, frames[-1]]),
    ),
    (
        "streams that differ from their event log",
        change_frames(lambda frames: [frames[1], frames[0], *frames[2:]]),
    ),
    (
        "streams that differ from their event log",
        change_frames(lambda frames: [f.replace("P0420", "P0421") for f in frames]),
    ),
    ("streams that stood still although their log went on", change_recording(times_stuck=1)),
    ("streams that stood still although their log went on", change_recording(has_ended=False)),
    ("streams closed by a failing server (1011 or 4500)", change_recording(closes=[1006, 1011])),
    ("streams closed by a failing server (1011 or 4500)", change_recording(closes=[4500])),
    ("sockets left in the gauge", put(sockets_in_gauge=1)),
    (
        "database connections left open: of dead processes, idle in a transaction, beyond the pool",
        put(connections_left=["web-1.1 has 1"]),
    ),
    ("tracebacks in a log", put(tracebacks=["web-1.log:7 KeyError"])),
    ("other problems of processes and requests", put(problems=["worker-1 ended"])),
]


@pytest.mark.parametrize(("promise", "spoil"), WRONG, ids=[promise for promise, _ in WRONG])
def test_each_broken_promise_is_found(promise: str, spoil: Callable[[Evidence], None]) -> None:
    evidence = sound()
    spoil(evidence)
    assert promise in broken(evidence)


def test_every_rule_finds_something() -> None:
    assert {promise for promise, _ in WRONG} == {count.promise for count in check(sound())}
