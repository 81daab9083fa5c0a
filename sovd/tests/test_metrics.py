"""Metrics of all processes of a host on one page, and the clients that may read it."""

import os
import re
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.mmap_dict import MmapedDict

from commands import lifecycle
from commands.catalogue import COMMAND_TYPES
from commands.metrics import scrape
from commands.models import Command
from commands.stream.protocol import REASONS
from conftest import ClearDTC, api, claim_one, follow, make_vehicle, mark_seen, submit
from dev.servers import spawn
from vehicles.models import Vehicle


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def dead() -> int:
    return dead_pid()


def dead_pid() -> int:
    process = spawn([sys.executable, "-c", ""])
    process.wait()
    return process.pid


# --- What the database says


@pytest.mark.embedded
def test_vehicles_are_counted_by_effective_presence(
    client: Client, vehicle: Vehicle, transactional_db: None
) -> None:
    assert "vehicle_connections_active 0.0" in page(client)
    mark_seen()
    assert "vehicle_connections_active 1.0" in page(client)


@pytest.mark.embedded
def test_pending_and_running_commands_are_counted(
    client: Client, operator: User, vehicle: Vehicle
) -> None:
    away = make_vehicle(202)
    for of in (vehicle, vehicle, away):
        submit(operator, of)
    claim_one()
    Vehicle.objects.filter(pk=away.pk).update(last_seen_at=None)
    Command.objects.filter(vehicle=away).update(submitted_at=Now() - timedelta(minutes=2))
    said = samples(page(client))
    assert said["sovd_commands_in_progress"] == 1
    assert said['sovd_commands_pending{vehicle="connected"}'] == 1
    assert said['sovd_commands_pending{vehicle="away"}'] == 1
    assert 0 <= said['sovd_oldest_pending_command_age_seconds{vehicle="connected"}'] < 60
    assert 120 <= said['sovd_oldest_pending_command_age_seconds{vehicle="away"}'] < 180


@pytest.mark.embedded
def test_without_pending_commands_the_figures_are_zero(
    client: Client, transactional_db: None
) -> None:
    said = samples(page(client))
    assert said['sovd_commands_pending{vehicle="away"}'] == 0
    assert said['sovd_oldest_pending_command_age_seconds{vehicle="away"}'] == 0


def test_the_oldest_pending_command_is_found_beyond_those_that_are_counted(
    client: Client, operator: User
) -> None:
    """Counting stops at 10,000; the age of the oldest does not depend on that."""
    first, last = sorted((make_vehicle(1), make_vehicle(2)), key=lambda vehicle: vehicle.pk)
    rows = [
        Command(vehicle=first, submitted_by=operator, command_name="ReadDTC", expires_at=Now())
        for _ in range(10_000)
    ]
    Command.objects.bulk_create(rows)
    oldest = submit_directly(operator, last)
    Command.objects.filter(pk=oldest.pk).update(submitted_at=Now() - timedelta(minutes=2))
    mark_seen()
    said = samples(page(client))
    assert said['sovd_commands_pending{vehicle="connected"}'] == 10_000
    assert 120 <= said['sovd_oldest_pending_command_age_seconds{vehicle="connected"}'] < 180


def submit_directly(user: User, vehicle: Vehicle) -> Command:
    return Command.objects.create(
        vehicle=vehicle, submitted_by=user, command_name="ReadDTC", expires_at=Now()
    )


def test_a_scrape_reads_small_indexes_alone(operator: User, vehicle: Vehicle) -> None:
    """The table has a thousand commands that have ended, and a few that wait."""
    waiting = [submit(operator, vehicle) for _ in range(5)]
    ended = [
        Command(vehicle=vehicle, submitted_by=operator, status="completed", expires_at=Now())
        for _ in range(1_000)
    ]
    Command.objects.bulk_create(ended)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE commands_command")
    with CaptureQueriesContext(connection) as asked:
        assert scrape.waiting()["away"] == len(waiting)
        assert scrape.oldest_pending(Vehicle.objects.all()) == waiting[0].submitted_at
        assert scrape.in_progress() == 0
    plans = [plan_of(query["sql"]) for query in asked.captured_queries]
    for plan, indexes in zip(
        plans, ["command_(vehicle_)?queue"] * 2 + ["command_lapsed"], strict=True
    ):
        (scan,) = re.findall(r"(Scan.*?) on commands_command", plan)
        assert re.match(f"Scan using {indexes}", scan), plan
    assert all("Limit" in plan for plan in plans)


def plan_of(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query}")
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.embedded
def test_the_page_has_no_figures_of_a_database_that_fails(
    client: Client, transactional_db: None
) -> None:
    """The table is missing, as before the first migration."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE vehicles_vehicle RENAME TO away")
        try:
            assert "vehicle_connections_active" not in page(client)
        finally:
            cursor.execute("ALTER TABLE away RENAME TO vehicles_vehicle")


@pytest.mark.embedded
def test_the_page_has_no_figures_of_a_database_that_hangs(client: Client, vehicle: Vehicle) -> None:
    """Another transaction holds the table, and the count would wait for it."""
    if connection.vendor == "sqlite":  # where a reader never waits for a writer
        assert "vehicle_connections_active" in page(client)
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE vehicles_vehicle IN ACCESS EXCLUSIVE MODE")
        assert "vehicle_connections_active" not in page(client)


def page(client: Client) -> str:
    text = client.get("/metrics").content.decode()
    assert "process_resident_memory_bytes" in text
    assert "websocket_connections_active" in text
    return text


def samples(page: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


# --- What moves


class Moved:
    """Change of each sample since the beginning of the test."""

    def __init__(self) -> None:
        self._before = self._now()

    def __call__(self, name: str) -> float:
        return self._now()[name] - self._before.get(name, 0)

    def _now(self) -> dict[str, float]:
        return samples(scrape.page_of_processes().decode())


@pytest.mark.embedded
def test_a_command_that_is_carried_out_is_counted(operator: User, vehicle: Vehicle) -> None:
    moved = Moved()
    submit(operator, vehicle)
    command = claim_one()
    lifecycle.respond(command, {})
    lifecycle.complete(command, {})
    assert moved('sovd_commands_submitted_total{command_name="ReadDTC"}') == 1
    assert moved("sovd_command_wait_seconds_count") == 1
    assert moved('sovd_command_events_total{kind="status"}') == 3
    assert moved('sovd_command_events_total{kind="response"}') == 2
    assert moved(ended("ReadDTC", "completed", "")) == 1


@pytest.mark.embedded
def test_failures_are_counted_by_name_and_code(operator: User, vehicle: Vehicle) -> None:
    moved = Moved()
    submit(operator, vehicle, ClearDTC)
    lifecycle.fail(claim_one(), "vehicle_refused", "Conditions not correct.")
    submit(operator, vehicle)
    lifecycle.time_out(claim_one(), "No answer.")
    assert moved(ended("ClearDTC", "failed", "vehicle_refused")) == 1
    assert moved(ended("ReadDTC", "timed_out", "vehicle_timeout")) == 1
    assert moved('sovd_command_events_total{kind="error"}') == 2


def ended(name: str, status: str, code: str) -> str:
    labels = f'command_name="{name}",error_code="{code}",status="{status}"'
    return f"sovd_commands_ended_total{{{labels}}}"


@pytest.mark.embedded
def test_a_command_of_a_lost_worker_is_counted_and_waits_only_once(
    operator: User, vehicle: Vehicle
) -> None:
    moved = Moved()
    submit(operator, vehicle)
    command = claim_one()
    Command.objects.filter(pk=command.pk).update(lease_expires_at=Now() - timedelta(seconds=1))
    lifecycle.sweep()
    lifecycle.complete(claim_one(), {})
    assert moved("sovd_leases_taken_over_total") == 1
    assert moved("sovd_command_wait_seconds_count") == 1
    assert moved('sovd_commands_submitted_total{command_name="ReadDTC"}') == 1


@pytest.mark.embedded
def test_events_that_are_rolled_back_are_not_counted(operator: User, vehicle: Vehicle) -> None:
    moved = Moved()
    with transaction.atomic():
        lifecycle.submit(operator, vehicle, "ReadDTC", {})
        transaction.set_rollback(True)
    assert moved('sovd_commands_submitted_total{command_name="ReadDTC"}') == 0


@pytest.mark.embedded
async def test_refused_streams_are_counted_by_reason(transactional_db: None) -> None:
    moved = Moved()
    async with follow("no-uuid", None) as stream:
        assert (await stream.rest())[1] == 4401
    assert moved('sovd_stream_refusals_total{reason="unauthenticated"}') == 1


# --- Labels

BOUNDED = {
    "command_name": {*COMMAND_TYPES, "other"},
    "vehicle": {"connected", "away"},
    "source": {"live", "log"},
    "kind": {"status", "response", "error"},
    "reason": {*REASONS},
    "state": {"delivered", "failed", "dropped"},
    "by": {"webhook", "mail"},
}


def test_every_label_of_the_product_has_few_values(operator: User, vehicle: Vehicle) -> None:
    lifecycle.submit(operator, vehicle, f"Unheard-of-{vehicle.vin}", {})
    api(operator).get(f"/api/v1/commands/?search={vehicle.vin}")
    ours = [line for line in page(Client()).splitlines() if re.match("sovd_|command", line)]
    found = [pair for line in ours for pair in re.findall(r'(\w+)="([^"]*)"', line)]
    assert {value for name, value in found if name == "command_name"} == BOUNDED["command_name"]
    assert {name for name, _ in found} == {*BOUNDED, "status", "error_code", "le"}
    for name, value in found:
        assert value in BOUNDED.get(name, {value})
    assert len(ours) < 200
    assert vehicle.vin not in "".join(ours)


# --- Who may read it


@pytest.mark.parametrize(
    ("token", "asked", "status"),
    [
        ("", {}, 200),
        ("", {"REMOTE_ADDR": "127.0.0.2"}, 200),
        ("", {"REMOTE_ADDR": "::1"}, 200),
        ("", {"REMOTE_ADDR": "::ffff:127.0.0.1"}, 200),
        ("", {"HTTP_HOST": "172.18.0.5:8000"}, 200),
        ("", {"REMOTE_ADDR": "10.0.0.7"}, 403),
        ("", {"REMOTE_ADDR": "::ffff:10.0.0.7"}, 403),
        ("", {"REMOTE_ADDR": ""}, 403),
        ("", {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}, 403),
        ("", {"HTTP_FORWARDED": "for=203.0.113.9"}, 403),
        ("", {"REMOTE_ADDR": "10.0.0.7", "HTTP_AUTHORIZATION": "Bearer "}, 403),
        ("secret", {"REMOTE_ADDR": "10.0.0.7", "HTTP_AUTHORIZATION": "Bearer secret"}, 200),
        ("secret", {"HTTP_X_FORWARDED_FOR": "a", "HTTP_AUTHORIZATION": "Bearer secret"}, 200),
        ("secret", {"HTTP_AUTHORIZATION": "Bearer secre\u00fc"}, 403),
        ("secret", {"HTTP_AUTHORIZATION": "secret"}, 403),
        ("secret", {}, 403),
    ],
)
def test_metrics_are_read_by_this_host_or_with_the_token(
    token: str, asked: dict[str, str], status: int, settings: Any, transactional_db: None
) -> None:
    settings.METRICS_TOKEN = token
    response = Client().get("/metrics", **asked)  # type: ignore[arg-type]
    assert response.status_code == status
    assert (b"commands_executed_total" in response.content) == (status == 200)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_and_metrics_answer_for_any_host(path: str, transactional_db: None) -> None:
    host = {"host": "a-container.local"}
    assert Client().get(path, headers=host).status_code == 200
    assert Client().get("/accounts/login/", headers=host).status_code == 400


# --- The processes of a host


@pytest.mark.embedded
def test_the_counters_of_a_killed_process_stay_and_its_streams_do_not(
    directory: Path, dead: int
) -> None:
    files = [f"gauge_livesum_{dead}.db", f"gauge_livesum_{os.getpid()}.db", f"counter_{dead}.db"]
    for name in files:
        (directory / name).touch()
    scrape.remove_dead_gauges(directory)
    assert names_in(directory) == set(files[1:])


@pytest.mark.embedded
def test_the_first_process_of_a_host_starts_with_new_counters(directory: Path, dead: int) -> None:
    for name in (f"counter_{dead}.db", f"histogram_{dead}.db", f"counter_{os.getpid()}.db"):
        (directory / name).touch()
    scrape.reset_counters()
    assert names_in(directory) == {f"counter_{os.getpid()}.db"}


@pytest.mark.embedded
def test_the_counters_of_many_dead_processes_become_one_file(directory: Path) -> None:
    alive = f"counter_{os.getppid()}.db"
    (directory / alive).touch()
    for count, key in ((1, "a"), (2, "a"), (4, "b")):
        with closing(counter_file(directory / f"counter_{dead_pid()}.db")) as file:
            file.write_value(key, count, 0)
    scrape.reset_counters()
    (merged,) = names_in(directory) - {alive}
    with closing(counter_file(directory / merged)) as file:
        counted = {key.strip(): value for key, value, _ in file.read_all_values()}
    assert counted == {"a": 3, "b": 4}


def counter_file(path: Path) -> Any:
    return MmapedDict(str(path))


def names_in(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}
