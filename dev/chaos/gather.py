"""Collection of the evidence: rows, event logs, journal, recordings and leftovers."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg

from dev.chaos.evidence import Evidence, LoggedEvent, Row, by_command
from dev.chaos.processes import Processes
from dev.clients import ENDED, Observations, Vehicle, key_of
from dev.processes import POOL_SIZE, Installation

SETTLE_SECONDS = 30.0
LEAVE_SECONDS = 10.0
POLL_SECONDS = 0.2
TRACEBACK = "Traceback (most recent call last)"
# channels_redis logs it when Redis goes away while it receives, and connects again. The cause
# differs by the moment, since it subscribes and receives on one connection.
OF_CHANNELS_REDIS = "Unexpected exception in receive task"

WATCH_AUTHORS = """
CREATE TABLE chaos_author (
  command_id uuid, sequence_number int, author text, PRIMARY KEY (command_id, sequence_number)
);
CREATE FUNCTION chaos_note_author() RETURNS trigger AS $$ BEGIN
  INSERT INTO chaos_author
  VALUES (NEW.command_id, NEW.sequence_number, current_setting('application_name'));
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER chaos_note_author AFTER INSERT ON commands_event
  FOR EACH ROW EXECUTE FUNCTION chaos_note_author();
"""
ROWS = """
SELECT command_id::text, vin, command_name, command_params, status, error_code, last_sequence_number
FROM commands_command JOIN vehicles_vehicle USING (vehicle_id)
"""
EVENTS = """
SELECT command_id::text, sequence_number, kind, payload, created_at, coalesce(author, '')
FROM commands_event LEFT JOIN chaos_author USING (command_id, sequence_number)
ORDER BY command_id, sequence_number, id
"""
LEFT_OPEN = """
SELECT application_name, count(*), count(*) FILTER (
  WHERE state = 'idle in transaction' AND state_change < now() - interval '5 seconds'
)
FROM pg_stat_activity WHERE application_name ~ '^(web|worker)-' GROUP BY 1
"""


def watch_authors(database_url: str) -> None:
    """Let Postgres note the process that writes each event from now on."""
    with psycopg.connect(database_url) as connection:
        connection.execute(WATCH_AUTHORS)


def gather(processes: Processes, seen: Observations, vehicles: Sequence[Vehicle]) -> Evidence:
    """Wait until no command runs any more, stop the processes, and read the evidence."""
    database_url = processes.servers.postgres.url
    longest = processes.expires_seconds + SETTLE_SECONDS
    settle(lambda: _open_commands(database_url) == 0, longest)
    settle(lambda: sockets_in_gauge(processes) == 0, LEAVE_SECONDS)
    sockets = sockets_in_gauge(processes)
    settle(lambda: not [*_connections_left(processes)], LEAVE_SECONDS)
    connections = list(_connections_left(processes))
    processes.restart_the_dead()
    processes.stop_all()
    settle(lambda: not [*_connections_left(processes)], LEAVE_SECONDS)
    return Evidence(
        rows=list(_rows(database_url)),
        logs=by_command(_events(database_url)),
        journal=_journal(processes.journal),
        offline_vins={vehicle.vin for vehicle in vehicles if not vehicle.is_online},
        attempts=seen.attempts,
        accepted=seen.accepted,
        unknown=seen.unknown,
        cancels=seen.cancels,
        recordings=seen.recordings,
        sockets_in_gauge=sockets,
        connections_left=connections + list(_connections_left(processes)),
        disturbances=[(d.target, d.since, d.until) for d in processes.disturbances],
        tracebacks=list(tracebacks_in(processes.logs)),
        problems=[*processes.unexpected_ends, *seen.problems],
    )


def settle(is_settled: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_settled():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _open_commands(database_url: str) -> int:
    query = "SELECT count(*) FROM commands_command WHERE status <> ALL (%s)"
    with psycopg.connect(database_url) as connection:
        (number,) = connection.execute(query, [list(ENDED)]).fetchone() or (0,)
    return int(number)


def _connections_left(processes: Processes) -> Iterator[str]:
    living = processes.lives()
    with psycopg.connect(processes.servers.postgres.url) as connection:
        for life, number, idle in connection.execute(LEFT_OPEN):
            if life not in living or idle or number > POOL_SIZE:
                yield f"{life} has {number}, of which {idle} are idle in a transaction"


def sockets_in_gauge(product: Installation) -> float:
    page = httpx.get(f"{product.url()}/metrics").text
    (line,) = [li for li in page.splitlines() if li.startswith("websocket_connections_active")]
    return float(line.rpartition(" ")[2])


def _rows(database_url: str) -> Iterator[Row]:
    with psycopg.connect(database_url) as connection:
        for command_id, vin, name, params, *rest in connection.execute(ROWS):
            yield Row(command_id, key_of(vin, name, params), name, *rest)


def _events(database_url: str) -> Iterator[tuple[str, LoggedEvent]]:
    with psycopg.connect(database_url) as connection:
        for command_id, *event in connection.execute(EVENTS):
            yield command_id, LoggedEvent(*event)


def _journal(directory: Path) -> Counter[str]:
    return Counter(key_of(**request) for request in read_journals(directory))


def read_journals(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the requests of all processes: VIN, command name and parameters."""
    for file in directory.iterdir():
        yield from map(json.loads, file.read_text().splitlines())


def tracebacks_in(logs: Path) -> Iterator[str]:
    """Yield the last line of each traceback. (In production one log line holds all of it.)"""
    for file in sorted(logs.iterdir()):
        records = file.read_text(errors="replace").splitlines()
        ours = [record for record in records if OF_CHANNELS_REDIS not in record]
        lines = [line for record in ours for line in record.split("\\n")]
        for number, line in enumerate(lines):
            if TRACEBACK in line:
                yield f"{file.name}: {_cause(lines[number + 1 :])}"


def _cause(lines: list[str]) -> str:
    return next((line for line in lines if line and not line.startswith((" ", "\t"))), "")
