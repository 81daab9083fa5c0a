"""The metrics, moved in two places: where a move commits and where a socket opens and closes.

All processes of a host write into PROMETHEUS_MULTIPROC_DIR, so that the web server's /metrics
shows the worker's counters. No VIN, user or command id is ever a label.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from django.db import Error as DatabaseError
from django.db import connection
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from commands.models import TERMINAL
from vehicles.models import Vehicle

commands_executed = Counter("commands_executed_total", "Commands that ended.", ["status"])
command_execution_duration = Histogram(
    "command_execution_duration_seconds",
    "From the submission of a command to its end.",
    buckets=(0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60),
)
websocket_connections = Gauge(
    "websocket_connections_active",
    "Authenticated WebSocket subscribers.",
    multiprocess_mode="livesum",
)
command_timeouts = Counter("sovd_command_timeout_total", "Commands the vehicle did not answer.")

ASK_SECONDS = 2.0  # a scrape does not wait as long as the connection pool would
_asking = ThreadPoolExecutor(1, thread_name_prefix="metrics")

for status in TERMINAL:
    commands_executed.labels(status)  # so that each series is there before its first command

# A process that took the id of a killed one (in a container it often does) inherits its file.
websocket_connections.set(0)


class ConnectedVehicles(Collector):
    """Read at scrape time, by effective presence, so that it falls when no worker lives.

    Absent while the database does not answer: that is when the rest of the page is wanted most.
    """

    def collect(self) -> Iterable[Metric]:
        asked = _asking.submit(_count_connected)
        try:
            connected = asked.result(ASK_SECONDS)
        except (DatabaseError, TimeoutError):
            asked.cancel()
            return
        yield GaugeMetricFamily(
            "vehicle_connections_active", "Vehicles that are connected.", value=connected
        )


def _count_connected() -> int:
    try:
        count: int = Vehicle.objects.connected().count()
    finally:
        connection.close()  # this thread's: it goes back to the pool
    return count


def registry() -> CollectorRegistry:
    """What one scrape shows: every process of this host, and this process's own figures."""
    forget_the_dead(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    scrape = CollectorRegistry()
    MultiProcessCollector(scrape)  # type: ignore[no-untyped-call]
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=scrape)
    return scrape


def forget_the_dead(directory: Path) -> None:
    """Drop the live gauges of killed processes; their counters stay, as counters must."""
    for pid in _pids(directory.glob("gauge_live*.db")):
        if not _is_alive(pid):
            with suppress(FileNotFoundError):  # another scrape was faster
                mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]


def start_afresh() -> None:
    """The first process on a host throws away what an earlier life of the service has counted."""
    directory = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", os.devnull))
    dead = [file for file in directory.glob("*.db") if not _is_alive(*_pids([file]))]
    if _pids(directory.glob("*.db")) - _pids(dead) <= {os.getpid()}:
        for file in dead:
            file.unlink(missing_ok=True)


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
