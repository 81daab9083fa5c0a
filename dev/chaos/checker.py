"""The promises of the product, checked against the evidence of a campaign.

The checker shares no code with the product: the rules are those of docs/protocol.md, written a
second time.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from dev.chaos.claims import claims_of, has_excuse
from dev.chaos.evidence import Evidence, LoggedEvent
from dev.chaos.promises import Rules
from dev.clients import ENDED

UNSAFE = {"ClearDTC"}
MAX_LOST_WORKERS = 3
# Ends of an unsafe command that was sent: no other tells that it may have been carried out.
ENDS_AFTER_SENDING = {
    ("completed", ""),
    ("failed", "vehicle_refused"),
    ("failed", "outcome_unknown"),
    ("failed", "worker_lost"),
}

# The transitions that a log may show, by the names of its events.
FOLLOWS = {
    "": {"pending"},
    "pending": {"in_progress", "cancelled", "expired"},
    "in_progress": {"response", "pending", *(ENDED - {"expired", "completed"})},
    "response": {"response", "pending", *(ENDED - {"expired"})},
}

MIN_SHARE = 0.5  # of the attempts that must be accepted, and of the accepted to be completed
MAX_SHARE_TAKEN = 0.02  # of the claims may be lost to a machine that is too slow for its leases


rules: Rules[Evidence] = Rules()
rule, check = rules.add, rules.check


# --- The campaign itself


@rule("load too low to prove anything")
def idle(evidence: Evidence) -> Iterator[str]:
    accepted = len(evidence.accepted)
    completed = sum(row.status == "completed" for row in evidence.rows)
    if accepted < MIN_SHARE * evidence.attempts or not evidence.attempts:
        yield f"{accepted} of {evidence.attempts} submissions were accepted"
    if completed < MIN_SHARE * accepted:
        yield f"{completed} of {accepted} accepted commands were completed"
    if len(evidence.recordings) < 2 * accepted * MIN_SHARE:
        yield f"{len(evidence.recordings)} streams of {accepted} commands"


# --- Commands


@rule("accepted commands that are lost")
def lost(evidence: Evidence) -> Iterator[str]:
    existing = {row.command_id: row.key for row in evidence.rows}
    for key, command_id in evidence.accepted.items():
        if existing.get(command_id) != key:
            yield f"{command_id} {key}"


@rule("commands that nobody submitted, or that exist twice")
def invented(evidence: Evidence) -> Iterator[str]:
    submitted = evidence.accepted.keys() | evidence.unknown
    for key, number in Counter(row.key for row in evidence.rows).items():
        if number > 1 or key not in submitted:
            yield f"{number} times {key}"


@rule("commands without a terminal state")
def still_open(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.status not in ENDED:
            yield f"{row.command_id} is {row.status}"


@rule("commands without exactly one terminal event")
def not_ended_once(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        ends = [event.name for event in evidence.log_of(row) if event.name in ENDED]
        if len(ends) != 1:
            yield f"{row.command_id} ended by {ends}"


@rule("rows that disagree with their event log")
def disagreeing(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        log = evidence.log_of(row)
        last = (log[-1].sequence_number, log[-1].name) if log else (0, "")
        if last != (row.last_sequence_number, row.status):
            yield f"{row.command_id} is {row.status} at {row.last_sequence_number}, its log {last}"


@rule("cancellations that did not do what they answered, or that nobody asked for")
def cancelled_otherwise(evidence: Evidence) -> Iterator[str]:
    """No response, or a 503, may mean anything; each command was cancelled once at most."""
    for row in evidence.rows:
        response = evidence.cancels.get(row.command_id)
        is_cancelled = row.status == "cancelled"
        if (response == 200 and not is_cancelled) or (response in (409, None) and is_cancelled):
            yield f"{row.command_id} is {row.status}; its cancellation was answered {response}"


# --- Event logs


@rule("gaps and repeats in an event log")
def gaps(evidence: Evidence) -> Iterator[str]:
    for command_id, log in evidence.logs.items():
        numbers = [event.sequence_number for event in log]
        if numbers != list(range(1, len(log) + 1)):
            yield f"{command_id} has {numbers}"


@rule("illegal transitions")
def illegal_transitions(evidence: Evidence) -> Iterator[str]:
    for command_id, log in evidence.logs.items():
        before = ""
        for event in log:
            if event.name not in FOLLOWS.get(before, ()):
                yield f"{command_id}: {event.name} after {before or 'nothing'}"
            before = event.name


@rule("events written after the claim was lost")
def unfenced(evidence: Evidence) -> Iterator[str]:
    for command_id, log in evidence.logs.items():
        holder = ""
        for event in log:
            if event.name == "in_progress":
                holder = event.author
            elif _only_the_holder_writes(event) and event.author != holder:
                yield f"{command_id} event {event.sequence_number} by {event.author}, not {holder}"


def _only_the_holder_writes(event: LoggedEvent) -> bool:
    if event.payload.get("error_code") == "worker_lost":
        return False
    return event.name in {"response", "completed", "failed", "timed_out"}


@rule("leases taken from live workers, beyond the tolerance for a slow machine")
def taken(evidence: Evidence) -> Iterator[str]:
    claims = [claim for command_id in evidence.logs for claim in claims_of(evidence, command_id)]
    taken = [claim for claim in claims if claim.was_taken and not has_excuse(evidence, claim)]
    if len(taken) > max(5, MAX_SHARE_TAKEN * len(claims)):
        yield from (f"{claim.command_id} from {claim.holder}" for claim in taken)


@rule("completed commands with incomplete or wrong responses")
def torn(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.status == "completed":
            responses = _responses_that_count(evidence.log_of(row))
            if not _is_whole(row.command_name, responses):
                yield f"{row.command_id} {row.command_name}: {responses}"


def _responses_that_count(log: list[LoggedEvent]) -> list[dict[str, Any]]:
    responses: list[dict[str, Any]] = []
    for event in log:
        if event.name == "in_progress":
            responses = []
        elif event.name == "response":
            responses.append(event.payload)
    return responses


def _is_whole(command_name: str, events: list[dict[str, Any]]) -> bool:
    if [event["is_final"] for event in events] != [False] * (len(events) - 1) + [True]:
        return False
    responses = [event["response"] for event in events]
    types = [response["type"] for response in responses]
    if command_name == "ReadDTC":
        codes = [response["dtcCode"] for response in responses[:-1]]
        number = responses[-1].get("dtcCount")
        return codes == sorted(set(codes)) and number == len(codes) and types[-1] == "summary"
    return types == {"ClearDTC": ["cleared"], "ReadDataByID": ["reading", "data"]}[command_name]


# --- Vehicles


@rule("unsafe commands sent twice")
def repeated(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.command_name in UNSAFE and evidence.journal[row.key] > 1:
            yield f"{row.command_id} {row.key}: {evidence.journal[row.key]} times"


@rule("unsafe commands that were sent, and whose end denies it")
def denied(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        end = (row.status, row.error_code)
        is_sent = row.command_name in UNSAFE and evidence.journal[row.key]
        if is_sent and row.status in ENDED and end not in ENDS_AFTER_SENDING:
            yield f"{row.command_id} {row.key} ended as {' '.join(end)}"


@rule("completed commands that were never sent")
def never_sent(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.status == "completed" and not evidence.journal[row.key]:
            yield f"{row.command_id} {row.key}"


@rule("commands sent without a claim")
def sent_unclaimed(evidence: Evidence) -> Iterator[str]:
    claims = {
        row.key: sum(event.name == "in_progress" for event in evidence.log_of(row))
        for row in evidence.rows
    }
    for key, number in evidence.journal.items():
        if number > claims.get(key, 0):
            yield f"{key} was sent {number} times and claimed {claims.get(key, 0)} times"


@rule("commands sent to offline vehicles")
def sent_offline(evidence: Evidence) -> Iterator[str]:
    return (key for key in evidence.journal if key.partition(" ")[0] in evidence.offline_vins)


@rule("safe commands given up before three workers were lost")
def given_up(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        claims = sum(event.name == "in_progress" for event in evidence.log_of(row))
        is_safe = row.command_name not in UNSAFE
        if is_safe and row.error_code == "worker_lost" and claims < MAX_LOST_WORKERS:
            yield f"{row.command_id} after {claims} claims"


@rule("commands claimed after three workers were lost")
def claimed_too_often(evidence: Evidence) -> Iterator[str]:
    for command_id, log in evidence.logs.items():
        claims = sum(event.name == "in_progress" for event in log)
        if claims > MAX_LOST_WORKERS:
            yield f"{command_id} was claimed {claims} times"


# --- Streams


@rule("streams that differ from their event log")
def different(evidence: Evidence) -> Iterator[str]:
    frames = {
        command_id: [frame_of(command_id, event) for event in log]
        for command_id, log in evidence.logs.items()
    }
    for recording in evidence.recordings:
        received = [json.loads(text) for text in recording.frames]
        if received != frames.get(recording.command_id):
            numbers = [frame["sequence_number"] for frame in received]
            yield f"{recording.command_id} received {numbers}"


def frame_of(command_id: str, event: LoggedEvent) -> dict[str, Any]:
    instant = event.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {
        "event": event.kind,
        "command_id": command_id,
        "sequence_number": event.sequence_number,
        "timestamp": instant,
        **event.payload,
    }


@rule("streams that stood still although their log went on")
def stuck(evidence: Evidence) -> Iterator[str]:
    for recording in evidence.recordings:
        if recording.times_stuck or not recording.has_ended:
            yield f"{recording.command_id} after {len(recording.frames)} frames"


@rule("streams closed by a failing server (1011 or 4500)")
def broken_off(evidence: Evidence) -> Iterator[str]:
    for recording in evidence.recordings:
        if {1011, 4500} & {*recording.closes}:
            yield recording.command_id


# --- Leftovers


@rule("sockets left in the gauge")
def sockets_left(evidence: Evidence) -> Iterator[str]:
    if evidence.sockets_in_gauge:
        yield f"websocket_connections_active is {evidence.sockets_in_gauge:g}"


@rule("database connections left open: of dead processes, idle in a transaction, beyond the pool")
def connections_left(evidence: Evidence) -> Iterator[str]:
    return iter(evidence.connections_left)


@rule("tracebacks in a log")
def tracebacks(evidence: Evidence) -> Iterator[str]:
    return iter(evidence.tracebacks)


@rule("other problems of processes and requests")
def problems(evidence: Evidence) -> Iterator[str]:
    return iter(evidence.problems)
