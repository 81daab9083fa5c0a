"""Page of metrics for one scrape: every process of this host, and figures of the database.

All processes of a host write into PROMETHEUS_MULTIPROC_DIR, so that the web server's /metrics
shows the worker's counters.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Count, Exists, Min, OuterRef, Q, Subquery
from django.utils import timezone
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from commands.models import IN_LINE, Command, CommandQuerySet, Status
from vehicles.models import Vehicle, VehicleQuerySet

ASK_SECONDS = 1.0  # a scrape does not wait as long as the connection pool would
MAX_COUNTED = 10_000  # pending or running commands; beyond that the exact number is of no use
_asking = ThreadPoolExecutor(1, thread_name_prefix="metrics")


def page() -> bytes:
    """Return the page of a web process, which includes the figures of the database."""
    scrape = CollectorRegistry()
    scrape.register(DatabaseCollector())
    return generate_latest(scrape) + page_of_processes()


def page_of_processes() -> bytes:
    with _locked(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]), fcntl.LOCK_SH):
        return generate_latest(registry())


def registry() -> CollectorRegistry:
    """Return a registry of all processes of this host, with the collectors of this one."""
    remove_dead_gauges(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    scrape = CollectorRegistry()
    MultiProcessCollector(scrape)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=scrape)
    return scrape


# --- Figures of the database


class DatabaseCollector(Collector):
    """Collector of figures that are read at scrape time, so that they need no running worker.

    They are absent while the database does not answer; the rest of the page is still served.
    """

    def collect(self) -> Iterable[Metric]:
        asked = _asking.submit(_ask)
        try:
            yield from asked.result(ASK_SECONDS)
        except (DatabaseError, TimeoutError):
            asked.cancel()


def _ask() -> list[Metric]:
    try:
        connected: int = Vehicle.objects.connected().count()
        return [
            GaugeMetricFamily("vehicle_connections_active", "Connected vehicles.", connected),
            GaugeMetricFamily("sovd_commands_in_progress", "Commands that run.", in_progress()),
            *_pending(waiting()),
        ]
    finally:
        connection.close()  # gives this thread's connection back to the pool


def in_progress() -> int:
    running = Command.objects.filter(status=Status.IN_PROGRESS).order_by("lease_expires_at")
    count: int = running.values("lease_expires_at")[:MAX_COUNTED].count()
    return count


def waiting() -> dict[str, Any]:
    """Count the pending commands of connected and of other vehicles, with their oldest times.

    Small indexes have all that is read, and beyond MAX_COUNTED the work does not grow with the
    number of pending commands.
    """
    connected = Vehicle.objects.connected()
    is_here = Exists(connected.filter(pk=OuterRef("vehicle_id")))
    here, away = Q(is_here=True), Q(is_here=False)
    counted = _line().annotate(is_here=is_here).values("submitted_at", "is_here")[:MAX_COUNTED]
    found: dict[str, Any] = counted.aggregate(
        connected=Count("submitted_at", filter=here),
        away=Count("submitted_at", filter=away),
        connected_since=Min("submitted_at", filter=here),
        away_since=Min("submitted_at", filter=away),
    )
    if found["connected"] + found["away"] == MAX_COUNTED:  # the oldest may be beyond them
        found["connected_since"] = oldest_pending(connected)
        found["away_since"] = oldest_pending(Vehicle.objects.exclude(pk__in=connected))
    return found


def oldest_pending(vehicles: VehicleQuerySet) -> datetime | None:
    """Return when the oldest pending command of these was submitted: one read for each vehicle."""
    first = _line().filter(vehicle=OuterRef("pk")).values("submitted_at")[:1]
    found: datetime | None = vehicles.annotate(first=Subquery(first)).aggregate(at=Min("first"))[
        "at"
    ]
    return found


def _line() -> CommandQuerySet:
    queue: CommandQuerySet = Command.objects.filter(IN_LINE)
    return queue.order_by("vehicle_id", "submitted_at", "command_id")


def _pending(found: dict[str, Any]) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "sovd_commands_pending",
        f"Pending commands, by the state of their vehicle; counted up to {MAX_COUNTED}.",
        labels=["vehicle"],
    )
    age = GaugeMetricFamily(
        "sovd_oldest_pending_command_age_seconds",
        "Age of the oldest pending command; 0 if there is none.",
        labels=["vehicle"],
    )
    for vehicle in ("connected", "away"):
        depth.add_metric([vehicle], found[vehicle])
        age.add_metric([vehicle], _age(found[f"{vehicle}_since"]))
    return iter((depth, age))


def _age(since: datetime | None) -> float:
    return max(0, (timezone.now() - since).total_seconds()) if since else 0


# --- The processes of this host


def remove_dead_gauges(directory: Path) -> None:
    """Remove the live gauges of killed processes. Their counters stay: a counter never falls."""
    for pid in _pids(directory.glob("gauge_live*.db")):
        if not _is_alive(pid):
            with suppress(FileNotFoundError):  # another scrape was faster
                mark_process_dead(pid, str(directory))


def reset_counters() -> None:
    """Tidy the files of earlier processes, when a process starts.

    The first process of the host deletes them. A later one adds the counters of dead processes up
    into one file, so that restarts do not leave more and more files.
    """
    directory = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", os.devnull))
    if not directory.is_dir():
        return
    with _locked(directory, fcntl.LOCK_EX):
        files = [*directory.glob("*.db")]
        dead = [file for file in files if not _is_alive(*_pids([file]))]
        if _pids(files) - _pids(dead) <= {os.getpid()}:
            for file in dead:
                file.unlink(missing_ok=True)
            return
        for kind in ("counter", "histogram"):
            _add_up([file for file in dead if file.stem.startswith(f"{kind}_")])


def _add_up(files: list[Path]) -> None:
    """Add the counters up in the first file. A kill in between may count some of them twice."""
    for file in files[1:]:
        total = MmapedDict(str(files[0]))
        counted = MmapedDict.read_all_values_from_file(str(file))
        for key, value, _, _ in counted:
            so_far, _ = total.read_value(key)
            total.write_value(key, so_far + value, 0)
        total.close()
        file.unlink()


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Lock the directory: a scrape must not see a sum and its parts together."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _pids(files: Iterable[Path]) -> set[int]:
    return {int(file.stem.rpartition("_")[2]) for file in files}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
