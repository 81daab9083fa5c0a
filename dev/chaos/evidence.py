"""Gathers what the checker decides from: rows, logs, journal, recordings, what is left behind."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg

from dev.chaos.checker import ENDED, Evidence, Heard, LoggedEvent, Row, by_command
from dev.chaos.load import Seen, key_of
from dev.chaos.processes import POOL_SIZE, Processes

SETTLE_SECONDS = 30.0
LEAVE_SECONDS = 10.0
POLL_SECONDS = 0.2
TRACEBACK = "Traceback (most recent call last)"

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
SELECT application_name, count(*), count(*) FILTER (WHERE state = 'idle in transaction')
FROM pg_stat_activity WHERE application_name ~ '^(web|worker)-' GROUP BY 1
"""


def watch_authors(database_url: str) -> None:
    """From now on Postgres notes which process wrote each event."""
    with psycopg.connect(database_url) as connection:
        connection.execute(WATCH_AUTHORS)


def gather(processes: Processes, seen: Seen) -> Evidence:
    """Waits until nothing runs any more, stops all web and worker processes, and reads."""
    database_url = processes.servers.postgres.url
    longest = processes.expires_seconds + SETTLE_SECONDS
    _settle(lambda: _open_commands(database_url) == 0, longest)
    _settle(lambda: _sockets(processes) == 0, LEAVE_SECONDS)
    sockets = _sockets(processes)
    _settle(lambda: not [*_connections_left(processes)], LEAVE_SECONDS)
    connections = list(_connections_left(processes))
    processes.restart_the_dead()
    processes.stop_all()
    _settle(lambda: not [*_connections_left(processes)], LEAVE_SECONDS)
    return Evidence(
        ordered=seen.ordered,
        rows=list(_rows(database_url)),
        logs=by_command(_events(database_url)),
        journal=_journal(processes.journal),
        accepted=seen.accepted,
        unknown=seen.unknown,
        cancels=seen.cancels,
        heard=[
            Heard(r.command_id, r.frames, r.has_ended, r.times_stuck, r.closes)
            for r in seen.recordings
        ],
        sockets_in_gauge=sockets,
        connections_left=connections + list(_connections_left(processes)),
        disturbances=[(d.whom, d.since, d.until) for d in processes.disturbances],
        tracebacks=list(_tracebacks(processes.logs)),
        problems=[*processes.unasked, *seen.problems],
    )


def _settle(is_settled: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_settled():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _ask(database_url: str, question: str) -> int:
    with psycopg.connect(database_url) as connection:
        (answer,) = connection.execute(question).fetchone() or (0,)
    return int(answer)


def _open_commands(database_url: str) -> int:
    ended = ", ".join(f"'{status}'" for status in sorted(ENDED))
    question = f"SELECT count(*) FROM commands_command WHERE status NOT IN ({ended})"  # noqa: S608
    return _ask(database_url, question)


def _connections_left(processes: Processes) -> Iterator[str]:
    living = processes.lives()
    with psycopg.connect(processes.servers.postgres.url) as connection:
        for life, number, idle in connection.execute(LEFT_OPEN):
            if life not in living or idle or number > POOL_SIZE:
                yield f"{life} has {number}, of which {idle} are idle in a transaction"


def _sockets(processes: Processes) -> float:
    page = httpx.get(f"{processes.url(processes.web[0])}/metrics").text
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
    lines = [line for file in directory.iterdir() for line in file.read_text().splitlines()]
    return Counter(_key_of_line(json.loads(line)) for line in lines)


def _key_of_line(asked: dict[str, Any]) -> str:
    return key_of(asked["vin"], asked["command_name"], asked["command_params"])


def _tracebacks(logs: Path) -> Iterator[str]:
    """Each with what was raised: its last line. (In production a log line holds all of it.)"""
    for file in sorted(logs.iterdir()):
        lines = file.read_text(errors="replace").replace("\\n", "\n").splitlines()
        for number, line in enumerate(lines):
            if TRACEBACK in line:
                yield f"{file.name}: {_cause(lines[number + 1 :])}"


def _cause(lines: list[str]) -> str:
    return next((line for line in lines if line and not line.startswith((" ", "\t"))), "")
