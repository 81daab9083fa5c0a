"""What one scrape shows: every process of this host, and what the database says at that moment.

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
from django.db.models import Count, Exists, Min, OuterRef, Q
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

from commands.models import Command, Status
from vehicles.models import Vehicle

ASK_SECONDS = 1.0  # a scrape does not wait as long as the connection pool would
MOST_COUNTED = 10_000  # of what waits or runs: beyond, the exact number says nothing more
_asking = ThreadPoolExecutor(1, thread_name_prefix="metrics")


def page() -> bytes:
    """With what the database says: for the web processes."""
    scrape = CollectorRegistry()
    scrape.register(FromDatabase())
    return generate_latest(scrape) + page_of_processes()


def page_of_processes() -> bytes:
    with _locked(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]), fcntl.LOCK_SH):
        return generate_latest(registry())


def registry() -> CollectorRegistry:
    """Every process of this host, and this process's own figures."""
    forget_the_dead(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    scrape = CollectorRegistry()
    MultiProcessCollector(scrape)  # type: ignore[no-untyped-call]
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=scrape)
    return scrape


# --- What the database says


class FromDatabase(Collector):
    """Read at scrape time, so that it is true also when no worker lives.

    Absent while the database does not answer: that is when the rest of the page is wanted most.
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
        connection.close()  # this thread's: it goes back to the pool


def in_progress() -> int:
    running = Command.objects.filter(status=Status.IN_PROGRESS).order_by("lease_expires_at")
    count: int = running.values("lease_expires_at")[:MOST_COUNTED].count()
    return count


def waiting() -> dict[str, Any]:
    """How many commands wait and since when, for connected vehicles and for those that are away.

    In the order of the index that holds all it reads: the work grows with what waits, not with
    the table.
    """
    is_here = Exists(Vehicle.objects.connected().filter(pk=OuterRef("vehicle_id")))
    here, away = Q(is_here=True), Q(is_here=False)
    queue = Command.objects.filter(status=Status.PENDING)
    queue = queue.order_by("vehicle_id", "submitted_at", "command_id")
    found: dict[str, Any] = (
        queue.annotate(is_here=is_here)
        .values("command_id", "submitted_at", "is_here")[:MOST_COUNTED]
        .aggregate(
            connected=Count("command_id", filter=here),
            away=Count("command_id", filter=away),
            connected_since=Min("submitted_at", filter=here),
            away_since=Min("submitted_at", filter=away),
        )
    )
    return found


def _pending(found: dict[str, Any]) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "sovd_commands_pending",
        f"Commands that wait, by what their vehicle is; counted up to {MOST_COUNTED}.",
        labels=["vehicle"],
    )
    age = GaugeMetricFamily(
        "sovd_oldest_pending_command_age_seconds",
        "For how long the oldest of the commands that wait has waited; 0 if none does.",
        labels=["vehicle"],
    )
    for vehicle in ("connected", "away"):
        depth.add_metric([vehicle], found[vehicle])
        age.add_metric([vehicle], _age(found[f"{vehicle}_since"]))
    return iter((depth, age))


def _age(since: datetime | None) -> float:
    return max(0, (timezone.now() - since).total_seconds()) if since else 0


# --- The processes of this host


def forget_the_dead(directory: Path) -> None:
    """Drop the live gauges of killed processes; their counters stay, as counters must."""
    for pid in _pids(directory.glob("gauge_live*.db")):
        if not _is_alive(pid):
            with suppress(FileNotFoundError):  # another scrape was faster
                mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]


def start_afresh() -> None:
    """The first process on a host throws away what an earlier life of the service has counted;
    a later one adds up what the dead have left, so that restarts do not pile up files."""
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
    """Into the first of them. A kill in between counts some twice: better than not at all."""
    for file in files[1:]:
        total = MmapedDict(str(files[0]))  # type: ignore[no-untyped-call]
        counted = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
        for key, value, _, _ in counted:
            so_far, _ = total.read_value(key)  # type: ignore[no-untyped-call]
            total.write_value(key, so_far + value, 0)  # type: ignore[no-untyped-call]
        total.close()  # type: ignore[no-untyped-call]
        file.unlink()


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """A scrape must not see a sum beside what it was made of."""
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
