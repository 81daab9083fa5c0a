"""One page for all processes of a host, whatever is away or dead."""

import os
import sys
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import Client

from commands import metrics
from dev.servers import spawn
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def dead() -> int:
    process = spawn([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_vehicles_are_counted_by_effective_presence(
    client: Client, vehicle: Vehicle, transactional_db: None
) -> None:
    assert "vehicle_connections_active 0.0" in page(client)
    Vehicle.objects.seen()
    assert "vehicle_connections_active 1.0" in page(client)


def test_the_page_does_without_a_database_that_fails(
    client: Client, transactional_db: None
) -> None:
    """Its table is not there, as before the first migration."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE vehicles_vehicle RENAME TO away")
        try:
            assert "vehicle_connections_active" not in page(client)
        finally:
            cursor.execute("ALTER TABLE away RENAME TO vehicles_vehicle")


def test_the_page_does_without_a_database_that_says_nothing(
    client: Client, vehicle: Vehicle
) -> None:
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


def test_a_killed_process_has_no_open_streams_but_did_count(directory: Path, dead: int) -> None:
    files = [f"gauge_livesum_{dead}.db", f"gauge_livesum_{os.getpid()}.db", f"counter_{dead}.db"]
    for name in files:
        (directory / name).touch()
    metrics.forget_the_dead(directory)
    assert names_in(directory) == set(files[1:])


def test_the_first_process_of_a_host_starts_afresh(directory: Path, dead: int) -> None:
    for name in (f"counter_{dead}.db", f"histogram_{dead}.db", f"counter_{os.getpid()}.db"):
        (directory / name).touch()
    metrics.start_afresh()
    assert names_in(directory) == {f"counter_{os.getpid()}.db"}


def test_a_later_process_keeps_what_was_counted(directory: Path, dead: int) -> None:
    files = {f"counter_{dead}.db", f"counter_{os.getppid()}.db"}
    for name in files:
        (directory / name).touch()
    metrics.start_afresh()
    assert names_in(directory) == files


def names_in(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}
