"""`make growth`: the CPU time of every path with 10,000, 1,000,000 or more commands.

Prints a table with the ratio to the first size, and the plan of the slowest statement of each path
that grew. The fleet and the commands per hour stay the same: only the past grows. Each command has
five events.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from dev.bench.load import PARAMS
from dev.clients import make_vehicles
from dev.processes import ROOT, Installation
from dev.servers import DATABASE, ServerError

SIZES = [10_000, 1_000_000]
VEHICLES = 2_000
GROWN, MIN_MS = 1.5, 2.0  # a path that takes less is not worth a look

SETTINGS = {
    "COMMAND_EXPIRES_SECONDS": 24 * 3600,
    "VEHICLE_PRESENCE_SECONDS": 200_000,
    "VEHICLE_PROBE_SECONDS": 100_000,
    "PENDING_COMMANDS_PER_USER": 100_000_000,
}
# As a server of this size would be set, and not as a test's. The work of one process is counted.
TUNE = (
    "shared_buffers = '1GB'",
    "max_wal_size = '8GB'",
    "maintenance_work_mem = '1GB'",
    "max_parallel_workers_per_gather = 0",
)

PREPARE = f"""
UPDATE vehicles_vehicle SET connection_status = 'connected', last_seen_at = now(),
    make = (ARRAY['Honda', 'Ford', 'Volvo', 'BMW'])[1 + (hashtext(vin) & 3)],
    model = 'Model ' || (hashtext(vin) & 15), year = 2000 + (hashtext(vin) & 15);
INSERT INTO auth_user (username, password, is_superuser, first_name, last_name, email, is_staff,
    is_active, date_joined)
SELECT 'operator-' || n, '!', false, '', '', '', false, true, now() FROM generate_series(1, 19) n;
INSERT INTO commands_batch (batch_id, command_name, command_params, submitted_by_id, submitted_at,
    vehicle_count, stop_reason)
SELECT md5('batch ' || n)::uuid, 'ReadDataByID', '{json.dumps(PARAMS)}', (SELECT min(id) FROM
    auth_user WHERE username LIKE 'operator%%'), now() - n * interval '20000 seconds', 500, ''
FROM generate_series(0, %(size)s / 10000 - 1) n;
"""  # noqa: S608
COMMANDS = f"""
INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, batch_id, command_name,
    command_params, status, error_code, error_message, submitted_at, started_at, completed_at,
    expires_at, last_sequence_number, claim_sequence_number)
SELECT gen_random_uuid(), vehicles[CASE WHEN by_vehicle %% 20 = 0 THEN 1
        ELSE 1 + by_vehicle %% array_length(vehicles, 1) END],
    users[CASE WHEN by_user %% 2 = 0 THEN 1 ELSE 1 + by_user %% array_length(users, 1) END],
    CASE WHEN n %% 10000 < 500 THEN md5('batch ' || n / 10000)::uuid END, name, CASE name
        WHEN 'ReadDataByID' THEN '{json.dumps(PARAMS)}' ELSE '{{"ecuAddress": "0x10"}}' END::jsonb,
    status, CASE status WHEN 'failed' THEN 'vehicle_unreachable' WHEN 'timed_out'
        THEN 'vehicle_timeout' WHEN 'expired' THEN 'expired' ELSE '' END, '',
    at, at, at + interval '2 seconds', at + interval '5 minutes', 5, 2
FROM (SELECT n, now() - n * interval '2 seconds' AS at, abs(hashint4(n)) AS by_vehicle,
        abs(hashint4(n + 7)) AS by_user,
        CASE WHEN by_name < 40 THEN 'ReadDTC' WHEN by_name < 85 THEN 'ReadDataByID'
            WHEN by_name < 95 THEN 'ClearDTC' ELSE 'ReadDTCSnapshot' END AS name,
        CASE WHEN by_status < 90 THEN 'completed' WHEN by_status < 94 THEN 'failed'
            WHEN by_status < 97 THEN 'timed_out' WHEN by_status < 99 THEN 'cancelled'
            ELSE 'expired' END AS status
    FROM (SELECT n, abs(hashint4(n + 1)) %% 100 AS by_name, abs(hashint4(n + 3)) %% 100 AS by_status
        FROM generate_series(%(first)s, %(last)s) n) AS numbers) AS rows,
    (SELECT array_agg(vehicle_id) AS vehicles FROM vehicles_vehicle) AS fleet,
    (SELECT array_agg(id ORDER BY id) AS users FROM auth_user WHERE username LIKE 'operator%%')
        AS people;
"""  # noqa: S608
EVENTS = """
INSERT INTO commands_event (command_id, sequence_number, kind, payload, created_at)
SELECT command_id, number, CASE WHEN number IN (3, 4) THEN 'response' WHEN number = 5
        AND error_code <> '' THEN 'error' ELSE 'status' END,
    CASE number WHEN 1 THEN '{"status": "pending"}' WHEN 2 THEN '{"status": "in_progress"}'
        WHEN 3 THEN '{"response": {"type": "dtc", "ecuAddress": "0x10", "dtcCode": "P0420",
            "status": "0x2F", "description": "Catalyst", "statusBits": [], "confirmed": true},
            "is_final": false}'
        WHEN 4 THEN '{"response": {"type": "summary", "ecuAddress": "0x10", "dtcCount": 1},
            "is_final": true}' END::jsonb, submitted_at
FROM commands_command, generate_series(1, 4) AS number ORDER BY command_id, number;
INSERT INTO commands_event (command_id, sequence_number, kind, payload, created_at)
SELECT command_id, 5, CASE WHEN error_code <> '' THEN 'error' ELSE 'status' END,
    jsonb_build_object('status', status, 'error_code', error_code, 'error_message', ''),
    completed_at
FROM commands_command ORDER BY command_id;
INSERT INTO commands_auditentry (at, username, user_id, action, subject, details)
SELECT submitted_at, 'operator', submitted_by_id, 'submit', command_id::text, '{}'
FROM commands_command ORDER BY submitted_at;
"""
EMPTY = "TRUNCATE commands_command, commands_batch, commands_event, commands_auditentry CASCADE"
PENDING = f"""
INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, command_name, command_params,
    status, error_code, error_message, submitted_at, expires_at, turn, last_sequence_number,
    is_ready)
SELECT gen_random_uuid(), vehicles[1 + n %% array_length(vehicles, 1)], (SELECT id FROM auth_user
    WHERE username = 'operator-1'), 'ReadDataByID', '{json.dumps(PARAMS)}', 'pending', '', '',
    now() + n * interval '1 ms', now() + interval '1 day', now() + n * interval '1 minute', 1,
    n <= array_length(vehicles, 1)
FROM generate_series(1, %(size)s) n,
    (SELECT array_agg(vehicle_id) AS vehicles FROM vehicles_vehicle) AS fleet;
"""  # noqa: S608
AT_ONCE = 1_000_000
MAX_WAITING = 1_000_000


class Grown(Installation):
    def prepare(self) -> None:
        for setting in TUNE:
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.servers.postgres.restart()
        super().prepare()
        make_vehicles(self.servers.postgres.url, VEHICLES)

    def execute(self, statements: str, **values: int) -> Any:
        with psycopg.ClientCursor(
            psycopg.connect(self.servers.postgres.url, autocommit=True)
        ) as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(statements, values or None)
            rows = cursor.fetchall() if cursor.description else None
            cursor.connection.close()
        return rows

    def fill(self, size: int) -> None:
        self.execute(EMPTY)
        self.execute("DELETE FROM auth_user WHERE username LIKE 'operator-%'")
        self.execute(PREPARE, size=size)
        for first in range(0, size, AT_ONCE):
            self.execute(COMMANDS, first=first, last=min(size, first + AT_ONCE) - 1)
        self.execute(EVENTS)
        self.execute("VACUUM ANALYZE")

    def times(self, what: str, *, with_plans: bool) -> dict[str, Any]:
        """Return milliseconds, and the plan of the slowest statement, by path."""
        report = self.logs / f"{what}.json"
        plans = ["--plans"] if with_plans else []
        program = ("-m", "dev.with_django", "dev.bench.paths", what, str(report), *plans)
        if self.spawn(what, program).wait():
            raise ServerError(f"{what} failed: see {self.logs}")
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def measure(sizes: list[int], home: Path) -> list[dict[str, Any]]:
    columns = []
    with Grown(SETTINGS, home) as product:
        for size in sizes:
            start = time.monotonic()
            product.fill(size)
            ((bytes_each,),) = product.execute(f"SELECT pg_database_size('{DATABASE}') / {size}")
            say(f"{size:,} commands, {bytes_each} bytes each, in {time.monotonic() - start:.0f} s")
            has_plans = size > sizes[0]
            times = product.times("past", with_plans=has_plans)
            # As many wait as there are in the past, up to MAX_WAITING. The statistics know none.
            product.execute("ALTER TABLE commands_command SET (autovacuum_enabled = false)")
            product.execute(PENDING, size=min(size, MAX_WAITING))
            times |= product.times("queue", with_plans=has_plans)
            columns.append(times)
    return columns


def report(sizes: list[int], columns: list[dict[str, Any]]) -> None:
    heads = "".join(f"{size:>12,}" for size in sizes)
    print(f"{'CPU milliseconds, by commands':44}{heads}  ratio")
    grown = []
    for path in columns[0]:
        times = [column[path]["ms"] for column in columns]
        ratio = times[-1] / times[0]
        print(f"{path:44}" + "".join(f"{ms:12.1f}" for ms in times) + f"{ratio:7.1f}")
        if ratio > GROWN and times[-1] > MIN_MS:
            grown.append(path)
    for path in grown:
        print(f"\n{path}\n{columns[-1][path]['statement']}\n{columns[-1][path]['plan']}")


def say(text: str) -> None:
    print(f"growth: {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.growth", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    sizes = parser.parse_args().sizes
    home = ROOT / "var" / "growth"
    shutil.rmtree(home, ignore_errors=True)
    try:
        report(sizes, measure(sizes, home))
    except ServerError as error:
        sys.exit(f"growth: {error}")


if __name__ == "__main__":
    main()
