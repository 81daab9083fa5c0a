"""The processes of a campaign with DoIP vehicles: those of `make chaos`, and the vehicles."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from dev.chaos.doip.commands import ECUS
from dev.chaos.load import Load
from dev.chaos.nemesis import Plan, Step
from dev.chaos.processes import Processes
from dev.clients import Vehicle
from dev.processes import ROOT
from dev.servers import ServerError, spawn

POLL_SECONDS = 0.5
WARM_UP_SECONDS = 3.0
BETWEEN_SECONDS = (1.5, 3.0)
FAULTS = (*["kill worker"] * 7, "pause worker", "pause worker", "kill web", "kill valkey")
FAULTS = (*FAULTS, "kill postgres")
RESPONSE_SECONDS = 1.5
# Those around sending, and before a worker reads back what it or another one has sent.
KILLS = ("before_send", "after_send", "before_read_back")

INSERT_VEHICLE = """
INSERT INTO vehicles_vehicle (vehicle_id, vin, make, model, metadata, connection_status,
                              connection_problem, connector, connector_settings, connector_secrets)
VALUES (%s, %s, 'Demo', 'DoIP', '{}', 'disconnected', '', 'doip', %s, '{}')
"""
INSERT_ECU = """
INSERT INTO vehicles_ecu (vehicle_id, address, number, name, logical_address, component, variant)
VALUES (%s, %s, %s, '', %s, '', '')
"""
ALLOW_INTRUSIVE = """
INSERT INTO auth_user_user_permissions (user_id, permission_id)
SELECT auth_user.id, auth_permission.id FROM auth_user, auth_permission
WHERE username = 'operator' AND codename = 'send_intrusive'
"""


class DoipProcesses(Processes):
    killed_at_failpoints = 0
    has_failpoints = True

    def _failpoints(self, name: str) -> str:
        """Kill most workers at a point of their work, and break connections around a COMMIT."""
        points: list[str] = []
        if not self.has_failpoints:
            return ""
        if self._random.random() < 0.5:
            points.append(f"after_commit=cut@{self._random.randint(5, 60)}")
        if name in self.workers and self._random.random() < 0.8:
            points.append(f"{self._random.choice(KILLS)}=kill@{self._random.randint(1, 12)}")
        return ",".join(points)

    def restart_the_dead(self) -> None:
        ended = [process.poll() for process in self.running.values()]
        self.killed_at_failpoints += ended.count(-signal.SIGKILL)
        super().restart_the_dead()

    def end_with(self, load: Load) -> None:
        """Wait for the load; workers that are started from now on stay alive."""
        self.has_failpoints = False
        while load.is_alive():
            self.restart_the_dead()
            load.join(POLL_SECONDS)


class DoipPlan(Plan):
    """Mostly kills of workers, one every few seconds."""

    def steps(self) -> Iterator[Step]:
        kinds, at = self._kinds(), WARM_UP_SECONDS
        while at < self._seconds:
            yield from self._fault(at, *next(kinds).split())
            at += self._random.uniform(*BETWEEN_SECONDS)

    def _kinds(self) -> Iterator[str]:
        while True:
            yield from self._random.sample(FAULTS, len(FAULTS))


def schedule(seed: int, seconds: float, processes: Processes) -> list[Step]:
    return sorted(DoipPlan(seed, seconds, processes.web, processes.workers).steps())


@contextmanager
def running_fleet(count: int, seed: int, journal: Path) -> Iterator[list[tuple[str, int]]]:
    """Yield VIN and port of each vehicle, which run in a process of their own."""
    options = ["--count", str(count), "--seed", str(seed), "--journal", str(journal)]
    command = [sys.executable, "-m", "dev.chaos.doip.fleet", *options]
    process = spawn(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise ServerError("the vehicles did not start")
        yield [(vin, port) for vin, port in json.loads(line)]
    finally:
        process.kill()
        process.wait()


def add_vehicles(database_url: str, fleet: Sequence[tuple[str, int]]) -> list[Vehicle]:
    """Add the vehicles; allow the operator to send them intrusive commands."""
    vehicles = [Vehicle(str(uuid.uuid4()), vin, is_online=True) for vin, _ in fleet]
    with psycopg.connect(database_url) as connection:
        for vehicle, (vin, port) in zip(vehicles, fleet, strict=True):
            reached = {"host": "127.0.0.1", "port": port, "response_timeout": RESPONSE_SECONDS}
            connection.execute(INSERT_VEHICLE, (vehicle.vehicle_id, vin, json.dumps(reached)))
            for address, logical in ECUS.items():
                ecu = (vehicle.vehicle_id, address, int(address, 16), f"0x{logical:04X}")
                connection.execute(INSERT_ECU, ecu)
        connection.execute(ALLOW_INTRUSIVE)
    return vehicles
