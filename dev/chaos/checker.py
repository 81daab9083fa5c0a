"""Was every promise kept? Decided from what is on record alone: the rows and the log in the
database, the journal of the vehicles, what clients have received, and what processes left behind.

It shares no code with the product: the rules are those of docs/protocol.md, written a second time.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

ENDED = {"completed", "failed", "timed_out", "cancelled", "expired"}
MUST_NOT_REPEAT = {"ClearDTC"}
MOST_LOST_WORKERS = 3

# What may follow what in a log: each event is told by its status, or "response".
FOLLOWS = {
    "": {"pending"},
    "pending": {"in_progress", "cancelled", "expired"},
    "in_progress": {"response", "pending", *(ENDED - {"expired", "completed"})},
    "response": {"response", "pending", *(ENDED - {"expired"})},
}


@dataclass(frozen=True)
class Row:
    command_id: str
    key: str
    """Vehicle, name and parameters: no two commands of a campaign share them."""
    command_name: str
    status: str
    error_code: str
    last_sequence_number: int


@dataclass(frozen=True)
class LoggedEvent:
    sequence_number: int
    kind: str
    payload: dict[str, Any]
    created_at: datetime
    author: str
    """Which life of which process wrote it."""

    @property
    def says(self) -> str:
        return str(self.payload.get("status", "response"))


@dataclass(frozen=True)
class Heard:
    """What one subscriber received."""

    command_id: str
    frames: list[str]
    has_ended: bool
    times_stuck: int
    closes: list[int]


@dataclass
class Evidence:
    rows: list[Row] = field(default_factory=list)
    logs: dict[str, list[LoggedEvent]] = field(default_factory=dict)
    journal: Counter[str] = field(default_factory=Counter)
    """How often each key was asked of a vehicle."""
    ordered: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    cancels: dict[str, int] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    sockets_in_gauge: float = 0
    connections_left: list[str] = field(default_factory=list)
    disturbances: list[tuple[str, float, float]] = field(default_factory=list)
    """Whom (the life of a process, or a server), since and until when."""
    tracebacks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Processes that ended by themselves, answers that no client should get."""

    def log_of(self, row: Row) -> list[LoggedEvent]:
        return self.logs.get(row.command_id, [])


class Count(NamedTuple):
    """How often a promise was broken, and by what."""

    promise: str
    broken: list[str]


LOAD_SHARE = 0.5  # so much of what was ordered must be accepted, and of that be completed
TAKEN_SHARE = 0.02  # so many claims may be lost to a machine that is too slow for its leases
GRACE_SECONDS = 6.0  # so long a process feels that Postgres was away

Rule = Callable[[Evidence], Iterable[str]]
RULES: list[tuple[str, Rule]] = []


def rule(promise: str) -> Callable[[Rule], Rule]:
    def add(function: Rule) -> Rule:
        RULES.append((promise, function))
        return function

    return add


def check(evidence: Evidence) -> list[Count]:
    return [Count(promise, list(function(evidence))) for promise, function in RULES]


# --- The campaign itself


@rule("signs that the load was none")
def idle(evidence: Evidence) -> Iterator[str]:
    accepted = len(evidence.accepted)
    completed = sum(row.status == "completed" for row in evidence.rows)
    if accepted < LOAD_SHARE * evidence.ordered or not evidence.ordered:
        yield f"{accepted} of {evidence.ordered} orders were accepted"
    if completed < LOAD_SHARE * accepted:
        yield f"{completed} of {accepted} accepted commands were completed"
    if len(evidence.heard) < 2 * accepted * LOAD_SHARE:
        yield f"{len(evidence.heard)} streams of {accepted} commands"


# --- Commands


@rule("accepted commands that are lost")
def lost(evidence: Evidence) -> Iterator[str]:
    there = {row.command_id: row.key for row in evidence.rows}
    for key, command_id in evidence.accepted.items():
        if there.get(command_id) != key:
            yield f"{command_id} {key}"


@rule("commands that nobody submitted, or that are there twice")
def invented(evidence: Evidence) -> Iterator[str]:
    submitted = evidence.accepted.keys() | evidence.unknown
    for key, number in Counter(row.key for row in evidence.rows).items():
        if number > 1 or key not in submitted:
            yield f"{number} times {key}"


@rule("commands without a terminal state")
def open_still(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.status not in ENDED:
            yield f"{row.command_id} is {row.status}"


@rule("commands with more than one terminal event, or none")
def ended_otherwise_than_once(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        ends = [event.says for event in evidence.log_of(row) if event.says in ENDED]
        if len(ends) != 1:
            yield f"{row.command_id} ended by {ends}"


@rule("rows that say otherwise than their log")
def disagreeing(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        log = evidence.log_of(row)
        last = (log[-1].sequence_number, log[-1].says) if log else (0, "")
        if last != (row.last_sequence_number, row.status):
            yield f"{row.command_id} is {row.status} at {row.last_sequence_number}, its log {last}"


# --- Logs


@rule("gaps and repeats in a log")
def gaps(evidence: Evidence) -> Iterator[str]:
    for command_id, log in evidence.logs.items():
        numbers = [event.sequence_number for event in log]
        if numbers != list(range(1, len(log) + 1)):
            yield f"{command_id} has {numbers}"


@rule("moves that there are not")
def impossible_moves(evidence: Evidence) -> Iterator[str]:
    for command_id, log in evidence.logs.items():
        before = ""
        for event in log:
            if event.says not in FOLLOWS.get(before, ()):
                yield f"{command_id}: {event.says} after {before or 'nothing'}"
            before = event.says


@rule("events written by who had lost the claim")
def fenced(evidence: Evidence) -> Iterator[str]:
    """What only the holder writes has the author of the last claim."""
    for command_id, log in evidence.logs.items():
        holder = ""
        for event in log:
            if event.says == "in_progress":
                holder = event.author
            elif _only_the_holder_writes(event) and event.author != holder:
                yield f"{command_id} event {event.sequence_number} by {event.author}, not {holder}"


def _only_the_holder_writes(event: LoggedEvent) -> bool:
    if event.payload.get("error_code") == "worker_lost":
        return False
    return event.says in {"response", "completed", "failed", "timed_out"}


@rule("claims taken from who was alive, beyond what a slow machine excuses")
def taken(evidence: Evidence) -> Iterator[str]:
    claims = [claim for command_id in evidence.logs for claim in _claims(evidence, command_id)]
    taken = [claim for claim in claims if claim.was_taken and not _excuse(evidence, claim)]
    if len(taken) > max(5, TAKEN_SHARE * len(claims)):
        yield from (f"{claim.command_id} from {claim.holder}" for claim in taken)


@dataclass(frozen=True)
class Claim:
    command_id: str
    holder: str
    since: float
    until: float
    was_taken: bool


def _claims(evidence: Evidence, command_id: str) -> Iterator[Claim]:
    claimed: LoggedEvent | None = None
    for event in evidence.logs[command_id]:
        if event.says == "in_progress":
            claimed = event
        elif claimed and event.says != "response":
            was_taken = event.says == "pending" or event.payload.get("error_code") == "worker_lost"
            since, until = claimed.created_at.timestamp(), event.created_at.timestamp()
            yield Claim(command_id, claimed.author, since, until, was_taken)


def _excuse(evidence: Evidence, claim: Claim) -> bool:
    return any(
        since <= claim.until and claim.since <= until + GRACE_SECONDS
        for whom, since, until in evidence.disturbances
        if whom in (claim.holder, "postgres")
    )


@rule("answers that are not whole: more, fewer or others than the vehicle gave")
def torn(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.status == "completed":
            answers = _answers_that_count(evidence.log_of(row))
            if not _is_whole(row.command_name, answers):
                yield f"{row.command_id} {row.command_name}: {answers}"


def _answers_that_count(log: list[LoggedEvent]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    for event in log:
        if event.says == "in_progress":
            answers = []
        elif event.says == "response":
            answers.append(event.payload)
    return answers


def _is_whole(command_name: str, answers: list[dict[str, Any]]) -> bool:
    if [answer["is_final"] for answer in answers] != [False] * (len(answers) - 1) + [True]:
        return False
    types = [answer["response"]["type"] for answer in answers]
    if command_name == "ReadDTC":
        codes = [answer["response"]["dtcCode"] for answer in answers[:-1]]
        number = answers[-1]["response"].get("dtcCount")
        return codes == sorted(set(codes)) and number == len(codes) and types[-1] == "summary"
    return types == {"ClearDTC": ["cleared"], "ReadDataByID": ["reading", "data"]}[command_name]


# --- Vehicles


@rule("commands that must not be repeated and were asked twice")
def repeated(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.command_name in MUST_NOT_REPEAT and evidence.journal[row.key] > 1:
            yield f"{row.command_id} {row.key}: {evidence.journal[row.key]} times"


@rule("commands reported as completed that no vehicle was asked")
def never_ran(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.status == "completed" and not evidence.journal[row.key]:
            yield f"{row.command_id} {row.key}"


@rule("commands that were asked although nobody had claimed them")
def ran_unclaimed(evidence: Evidence) -> Iterator[str]:
    claims = {
        row.key: sum(event.says == "in_progress" for event in evidence.log_of(row))
        for row in evidence.rows
    }
    for key, number in evidence.journal.items():
        if number > claims.get(key, 0):
            yield f"{key} was asked {number} times and claimed {claims.get(key, 0)} times"


@rule("safe commands given up before three workers were lost")
def given_up(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        claims = sum(event.says == "in_progress" for event in evidence.log_of(row))
        is_safe = row.command_name not in MUST_NOT_REPEAT
        if is_safe and row.error_code == "worker_lost" and claims < MOST_LOST_WORKERS:
            yield f"{row.command_id} after {claims} claims"


@rule("commands claimed after three workers were lost")
def claimed_too_often(evidence: Evidence) -> Iterator[str]:
    for command_id, log in evidence.logs.items():
        claims = sum(event.says == "in_progress" for event in log)
        if claims > MOST_LOST_WORKERS:
            yield f"{command_id} was claimed {claims} times"


@rule("cancellations that did not do what was answered, or that nobody asked for")
def cancelled_otherwise(evidence: Evidence) -> Iterator[str]:
    """No answer, or a 503, may mean anything; each command was asked to stop once at most."""
    for row in evidence.rows:
        answer = evidence.cancels.get(row.command_id)
        is_cancelled = row.status == "cancelled"
        if (answer == 200 and not is_cancelled) or (answer in (409, None) and is_cancelled):
            yield f"{row.command_id} is {row.status}; its cancellation was answered {answer}"


# --- Streams


@rule("streams that differ from their log")
def different(evidence: Evidence) -> Iterator[str]:
    frames = {
        command_id: [frame_of(command_id, event) for event in log]
        for command_id, log in evidence.logs.items()
    }
    for heard in evidence.heard:
        received = [json.loads(text) for text in heard.frames]
        if received != frames.get(heard.command_id):
            numbers = [frame["sequence_number"] for frame in received]
            yield f"{heard.command_id} received {numbers}"


def frame_of(command_id: str, event: LoggedEvent) -> dict[str, Any]:
    instant = event.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {
        "event": event.kind,
        "command_id": command_id,
        "sequence_number": event.sequence_number,
        "timestamp": instant,
        **event.payload,
    }


@rule("streams that stood still although the log went on")
def stuck(evidence: Evidence) -> Iterator[str]:
    for heard in evidence.heard:
        if heard.times_stuck or not heard.has_ended:
            yield f"{heard.command_id} after {len(heard.frames)} frames"


@rule("streams that a failing server closed (1011 or 4500)")
def broken_off(evidence: Evidence) -> Iterator[str]:
    for heard in evidence.heard:
        if {1011, 4500} & {*heard.closes}:
            yield heard.command_id


# --- What is left behind


@rule("sockets left in the gauge")
def sockets_left(evidence: Evidence) -> Iterator[str]:
    if evidence.sockets_in_gauge:
        yield f"websocket_connections_active is {evidence.sockets_in_gauge:g}"


@rule("database connections left open: of the dead, idle in a transaction, beyond the pool")
def connections_left(evidence: Evidence) -> Iterator[str]:
    return iter(evidence.connections_left)


@rule("tracebacks in a log")
def tracebacks(evidence: Evidence) -> Iterator[str]:
    return iter(evidence.tracebacks)


@rule("processes and answers that went wrong otherwise")
def problems(evidence: Evidence) -> Iterator[str]:
    return iter(evidence.problems)


def by_command(
    events: Iterable[tuple[str, LoggedEvent]],
) -> dict[str, list[LoggedEvent]]:
    logs: defaultdict[str, list[LoggedEvent]] = defaultdict(list)
    for command_id, event in events:
        logs[command_id].append(event)
    return dict(logs)
