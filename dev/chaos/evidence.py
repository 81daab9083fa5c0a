"""The evidence of a campaign, from which the checker decides."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dev.clients import Recording


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
    """The life of the process that wrote it."""

    @property
    def name(self) -> str:
        """The status that it tells of, or "response"."""
        return str(self.payload.get("status", "response"))


@dataclass
class Evidence:
    rows: list[Row] = field(default_factory=list)
    logs: dict[str, list[LoggedEvent]] = field(default_factory=dict)
    journal: Counter[str] = field(default_factory=Counter)
    """How often each key was sent to a vehicle."""
    offline_vins: set[str] = field(default_factory=set)
    attempts: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    cancels: dict[str, int] = field(default_factory=dict)
    recordings: list[Recording] = field(default_factory=list)
    sockets_in_gauge: float = 0
    connections_left: list[str] = field(default_factory=list)
    disturbances: list[tuple[str, float, float]] = field(default_factory=list)
    """The life of a process or a server, since when, and until when."""
    tracebacks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Processes that ended by themselves, and responses that no client should get."""

    def log_of(self, row: Row) -> list[LoggedEvent]:
        return self.logs.get(row.command_id, [])


def by_command(events: Iterable[tuple[str, LoggedEvent]]) -> dict[str, list[LoggedEvent]]:
    logs: defaultdict[str, list[LoggedEvent]] = defaultdict(list)
    for command_id, event in events:
        logs[command_id].append(event)
    return dict(logs)
