"""The claims that a campaign's event logs show, and the excuses for losing one."""

from collections.abc import Iterator
from dataclasses import dataclass

from dev.chaos.evidence import Evidence, LoggedEvent

GRACE_SECONDS = 6.0  # for so long a process feels that Postgres was away


@dataclass(frozen=True)
class Claim:
    command_id: str
    holder: str
    since: float
    until: float
    was_taken: bool


def claims_of(evidence: Evidence, command_id: str) -> Iterator[Claim]:
    claimed: LoggedEvent | None = None
    for event in evidence.logs[command_id]:
        if event.name == "in_progress":
            claimed = event
        elif claimed and event.name != "response":
            was_taken = event.name == "pending" or event.payload.get("error_code") == "worker_lost"
            since, until = claimed.created_at.timestamp(), event.created_at.timestamp()
            yield Claim(command_id, claimed.author, since, until, was_taken)


def has_excuse(evidence: Evidence, claim: Claim) -> bool:
    return any(
        since <= claim.until and claim.since <= until + GRACE_SECONDS
        for target, since, until in evidence.disturbances
        if target in (claim.holder, "postgres")
    )
