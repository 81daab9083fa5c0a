"""The promises about DoIP vehicles, decided from the vehicles' own journal alone."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dev.chaos.doip.commands import unsafe_requests
from dev.chaos.promises import Rules
from dev.clients import ENDED

NEGATIVE = "7F"
WRONG_SESSION = ("7E", "7F")  # after which a request is sent again, in another session

Key = tuple[str, int, str]  # VIN, number of the ECU, request


@dataclass(frozen=True)
class Told:
    """A command as its user was told of it."""

    command_id: str
    vin: str
    command_name: str
    params: dict[str, Any]
    status: str
    error_code: str

    @property
    def keys(self) -> list[Key]:
        """The requests that carry it out; empty for a command that is safe to repeat."""
        requests = unsafe_requests(self.command_name, self.params)
        return [(self.vin, ecu_number(self.params["ecuAddress"]), each) for each in requests]

    @property
    def is_certain_failure(self) -> bool:
        has_failed = self.status in ENDED - {"completed"}
        return has_failed and self.error_code != "outcome_unknown"

    def __str__(self) -> str:
        end = f"{self.status} {self.error_code}".strip()
        return f"{self.command_id} {self.vin} {self.command_name} {self.params}: {end}"


@dataclass(frozen=True)
class Asked:
    """A request that an ECU got, and its response: from the vehicle, or kept as evidence."""

    vin: str
    ecu: int
    request: str
    response: str
    command_id: str = ""

    @property
    def key(self) -> Key:
        return self.vin, self.ecu, self.request

    @property
    def is_done(self) -> bool:
        return not self.response.startswith(NEGATIVE)

    @property
    def is_refused_by_session(self) -> bool:
        return not self.is_done and self.response[4:6] in WRONG_SESSION


class Outcomes:
    """All that a campaign leaves behind about its DoIP vehicles."""

    def __init__(self, told: list[Told], journal: list[Asked], exchanges: list[Asked]) -> None:
        self.told = told
        self.exchanges = exchanges
        self.journal = journal
        self.sent = Counter(a.key for a in journal if not a.is_refused_by_session)
        self.done = Counter(a.key for a in journal if a.is_done)

    @property
    def unsafe(self) -> list[Told]:
        return [told for told in self.told if told.keys]

    def are_all_done(self, told: Told) -> bool:
        return all(self.done[key] for key in told.keys)

    def is_any_done(self, told: Told) -> bool:
        return any(self.done[key] for key in told.keys)


def ecu_number(address: str) -> int:
    """Return the last byte: 0x10 and 0x1010 are the same ECU."""
    return int(address, 16) & 0xFF


rules: Rules[Outcomes] = Rules()
rule, check = rules.add, rules.check


@rule("unsafe services sent twice for one command")
def sent_twice(outcomes: Outcomes) -> Iterator[str]:
    for told in outcomes.unsafe:
        for key in told.keys:
            if outcomes.sent[key] > 1:
                yield f"{told}: {key[-1]} was sent {outcomes.sent[key]} times"


@rule("unsafe services that no command asked for")
def unasked(outcomes: Outcomes) -> Iterator[str]:
    wanted = {key for told in outcomes.unsafe for key in told.keys}
    for vin, ecu, request in outcomes.done.keys() - wanted:
        if request[:2] in ("14", "2E", "31"):
            yield f"{vin} 0x{ecu:02X} {request}"


@rule("unsafe commands told completed and not done")
def completed_and_not_done(outcomes: Outcomes) -> Iterator[str]:
    for told in outcomes.unsafe:
        if told.status == "completed" and not outcomes.are_all_done(told):
            yield str(told)


@rule("unsafe commands told failed for certain and done")
def failed_and_done(outcomes: Outcomes) -> Iterator[str]:
    for told in outcomes.unsafe:
        if told.is_certain_failure and outcomes.is_any_done(told):
            yield str(told)


@rule("exchanges kept as evidence that are not in the vehicle's journal")
def invented_evidence(outcomes: Outcomes) -> Iterator[str]:
    happened = Counter((asked.key, asked.response) for asked in outcomes.journal)
    kept = Counter((asked.key, asked.response) for asked in outcomes.exchanges)
    for (key, response), number in (kept - happened).items():
        yield f"{key} -> {response}, {number} too many"


@rule("completed commands without evidence")
def without_evidence(outcomes: Outcomes) -> Iterator[str]:
    proved = {asked.command_id for asked in outcomes.exchanges}
    for told in outcomes.told:
        if told.status == "completed" and told.command_id not in proved:
            yield str(told)
