"""A short campaign of locks: eight clients at real processes, which are killed meanwhile."""

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import combinations, cycle, islice
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest

from commands.models import OPEN
from dev.processes import PASSWORD, SEED, Product, production
from sovd.tests.processes import own_database, until
from sovd.tests.site import VINS, ask

pytestmark = pytest.mark.faults
CLIENTS = 8
KILLS = int(os.environ.get("LOCK_KILLS", "6"))
VEHICLES = VINS[:2]
SETTINGS = {
    "ACCESS_TOKEN_SECONDS": 7_200,
    "COMMAND_LEASE_SECONDS": 2,
    "DJANGO_SETTINGS_MODULE": "sovd.tests.settings",
    "COMMAND_EXPIRES_SECONDS": 20,
    "MOCK_VEHICLE_LATENCY_SECONDS": 0.02,
    "STATIC_ROOT": "/nonexistent",
    "THROTTLE_COMMANDS": "",
    "THROTTLE_LOGIN": "",
    "VEHICLE_PROBE_SECONDS": 1,
}
USERS = f"""
import django; django.setup()
from django.contrib.auth.models import Permission, User
for n in range({CLIENTS}):
    user = User.objects.create_user(f"locker-{{n}}", password="{PASSWORD}")
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["add_command", "view_vehicle"])
    )
"""


@dataclass
class Held:
    """A time in which a client certainly held the lock of a vehicle."""

    holder: str
    vehicle_id: str
    since: datetime
    until: datetime


@dataclass
class Client:
    """A user who takes locks, uses and loses them, and sends commands with and without one."""

    name: str
    ports: list[int]
    dice: random.Random
    held: list[Held] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    tries: int = 0
    _token: str = ""

    def work(self, vehicle_ids: list[str], is_over: Event) -> None:
        while not is_over.is_set():
            try:
                self._turn(self.dice.choice(vehicle_ids))
            except (OSError, HTTPException):
                continue  # the web process was killed

    def _turn(self, vehicle_id: str) -> None:
        self._take(vehicle_id)
        commands = [self._submit(vehicle_id) for _ in range(self.dice.randrange(1, 4))]
        if self.dice.random() < 0.5:
            until(lambda: not any(self._is_open(command) for command in commands if command))
        if self.dice.random() < 0.7:
            self._let_go(vehicle_id)
            self._ask("DELETE", lock_of(vehicle_id))

    def _take(self, vehicle_id: str) -> None:
        self._let_go(vehicle_id)  # prolonging may shorten it
        seconds = self.dice.randrange(1, 4)
        self.tries += 1
        status, body = self._ask("POST", lock_of(vehicle_id), {"expires_in_seconds": seconds})
        if status == 201:
            expires = datetime.fromisoformat(body["expires_at"])
            self.held.append(Held(self.name, vehicle_id, datetime.now(UTC), expires))

    def _let_go(self, vehicle_id: str) -> None:
        for held in self.held:
            if held.vehicle_id == vehicle_id:
                held.until = min(held.until, datetime.now(UTC))

    def _submit(self, vehicle_id: str) -> str:
        body = {
            "vehicle_id": vehicle_id,
            "command_name": self.dice.choice(["ClearDTC", "ClearDTC", "ReadDTC"]),
            "command_params": {"ecuAddress": "0x10"},
        }
        status, answer = self._ask("POST", "/api/v1/commands/", body)
        if status != 201:
            self.refused += answer["code"] == "lock_held"
            return ""
        self.accepted.append(answer["command_id"])
        return str(answer["command_id"])

    def _is_open(self, command_id: str) -> bool:
        status, answer = self._ask("GET", f"/api/v1/commands/{command_id}/")
        return status != 200 or answer["status"] in OPEN

    def _ask(self, method: str, address: str, body: Any = None) -> tuple[int, Any]:
        port = self.dice.choice(self.ports)
        if not self._token:
            login = {"username": self.name, "password": PASSWORD}
            self._token = said(*ask(port, "POST", "/api/v1/token/", login))[1]["access"]
        return said(*ask(port, method, address, body, self._token))


def said(status: int, text: str) -> tuple[int, Any]:
    """Return the status and the body. Raise OSError for a server that cannot serve now."""
    if status >= 500 or status == 429:
        raise OSError(text)
    return status, json.loads(text) if text else {}


def lock_of(vehicle_id: str) -> str:
    return f"/api/v1/vehicles/{vehicle_id}/lock/"


@pytest.fixture
def database_url() -> Iterator[str]:
    with own_database("locks") as url:
        yield url


def rows(database_url: str, statement: str) -> list[Any]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(statement).fetchall()


COMMANDS = """
    SELECT command_id::text, vehicle_id::text, username, command_name, status, error_code, sent_at
    FROM commands_command JOIN auth_user ON auth_user.id = submitted_by_id
"""
VEHICLE_IDS = "SELECT vehicle_id::text FROM vehicles_vehicle WHERE vin IN ('{}', '{}')"


def test_nothing_unsafe_is_sent_under_the_lock_of_another(
    database_url: str, tmp_path: Path, counts: list[str]
) -> None:
    given = production(database_url, os.environ["REDIS_URL"], tmp_path) | SETTINGS
    with Product(given, web=2, workers=2, logs=tmp_path / "logs") as product:
        product.run("seed", *SEED)
        product.run("users", "-c", USERS)
        product.start_all()
        clients = campaign(product, database_url)
        until(lambda: not [row for row in rows(database_url, COMMANDS) if row[4] in OPEN])
        found = rows(database_url, COMMANDS)

    accepted = {command for client in clients for command in client.accepted}
    held = [each for client in clients for each in client.held]
    sent = sent_of(found)
    assert accepted <= {row[0] for row in found}
    assert [(row, each) for row in sent for each in held if breaks(row, each)] == []
    assert [pair for pair in combinations(held, 2) if overlap(*pair)] == []
    lost = sum(row[5] == "lock_lost" for row in found)
    refused = sum(client.refused for client in clients)
    assert min(len(held), len(sent), refused) > CLIENTS
    assert lost > 0
    counts.append(
        f"{KILLS} kills, {sum(client.tries for client in clients)} tries, {len(held)} locks taken, "
        f"{len(sent)} unsafe commands sent, "
        f"{refused} refused, {lost} ended without their lock"
    )


def campaign(product: Product, database_url: str) -> list[Client]:
    """Let the clients work while one process after another is killed and started again."""
    ports, is_over = [*product.ports.values()], Event()
    vehicle_ids = [pk for (pk,) in rows(database_url, VEHICLE_IDS.format(*VEHICLES))]
    clients = [Client(f"locker-{n}", ports, random.Random(n)) for n in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        working = [threads.submit(client.work, vehicle_ids, is_over) for client in clients]
        try:
            for name in islice(cycle(product.running.copy()), KILLS):
                product.kill(name)
                product.start(name)
                product.wait_until_up()
                wait_until_more_is_sent(database_url)
        finally:
            is_over.set()
        for each in working:
            each.result()
    return clients


def wait_until_more_is_sent(database_url: str) -> None:
    before = len(sent_of(rows(database_url, COMMANDS)))
    until(lambda: len(sent_of(rows(database_url, COMMANDS))) > before)


def sent_of(found: list[Any]) -> list[Any]:
    return [row for row in found if row[3] == "ClearDTC" and row[6]]


def breaks(row: Any, held: Held) -> bool:
    """Return whether the command was sent while somebody else certainly held the lock."""
    _, vehicle_id, username, *_, sent_at = row
    is_other = username != held.holder and vehicle_id == held.vehicle_id
    return bool(is_other and held.since < sent_at < held.until)


def overlap(one: Held, other: Held) -> bool:
    """Return whether two clients certainly held the lock of one vehicle at the same time."""
    is_other = one.holder != other.holder and one.vehicle_id == other.vehicle_id
    return is_other and max(one.since, other.since) < min(one.until, other.until)
