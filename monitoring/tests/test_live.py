"""A real Prometheus against real processes: what it sees, and when it calls."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import psycopg
import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from websockets.sync.client import connect

from commands.events import group_of
from dev.servers import scratch_directory
from monitoring.tests.prometheus import (
    BASE,
    WINDOW,
    Prometheus,
    at_the_window_of_a_test,
    prometheus,
)
from monitoring.tests.stack import FAULTY, TOPOLOGIES, Stack, Topology, containers
from sovd.tests.processes import SECONDS, until
from sovd.tests.test_processes import OFFLINE, VINS, Site, frames_of

DASHBOARDS = BASE / "monitoring" / "grafana" / "dashboards"
CONNECTED = VINS[:-1]


# --- Load


def operate(site: Site, ends: Event) -> None:
    """What an operator does all day: submit to each vehicle, and follow to the end."""
    while not ends.is_set():
        for command_id in [site.submit(vin) for vin in CONNECTED]:
            with site.stream(command_id) as stream:
                list(frames_of(stream))


@contextmanager
def load(site: Site) -> Iterator[None]:
    ends = Event()
    operator = Thread(target=operate, args=(site, ends))
    operator.start()
    try:
        yield
    finally:
        ends.set()
        operator.join()


def refuse(site: Site, command_id: str) -> None:
    """Without a token."""
    address = f"ws://127.0.0.1:{site.port}/ws/responses/{command_id}"
    with connect(address, proxy=None, open_timeout=SECONDS) as stream:
        list(frames_of(stream))


@contextmanager
def watched(topology: Topology) -> Iterator[tuple[Stack, Prometheus]]:
    """Every target is up."""
    with scratch_directory() as directory, topology(directory) as stack:
        until(stack.site.is_up)
        with prometheus(directory, stack.targets) as watching:
            expected = sum(map(len, stack.targets.values()))
            until(lambda: watching.total("up") == expected)
            yield stack, watching


# --- What is seen, in each topology

MOVING = [  # under the load above
    "commands_executed_total",
    "command_execution_duration_seconds_count",
    "sovd_commands_submitted_total",
    "sovd_commands_ended_total",
    "sovd_command_wait_seconds_count",
    "sovd_command_events_total",
    "sovd_stream_frames_total",
    "sovd_worker_heartbeat_timestamp_seconds",
    "django_http_requests_total_by_method_total",
    "django_db_execute_total",
    "process_cpu_seconds_total",
]
SHOWING = [  # what is above zero meanwhile
    "vehicle_connections_active",
    "websocket_connections_active",
    "sovd_workers_active",
    "sovd_commands_in_progress",
    'sovd_commands_pending{vehicle="away"}',
    'sovd_oldest_pending_command_age_seconds{vehicle="away"}',
]
THERE = [  # what needs a fault to move: see the alerts below
    "sovd_command_timeout_total",
    "sovd_leases_taken_over_total",
    "sovd_stream_refusals_total",
    "sovd_stream_frames_dropped_total",
    "sovd_stream_delivery_seconds_count",
    "sovd_group_messages_failed_total",
    "python_info",
]


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_metric_is_seen_in_every_topology(topology: str) -> None:
    with ExitStack() as parts:
        stack, watching = parts.enter_context(watched(TOPOLOGIES[topology]))
        stack.site.submit(OFFLINE)
        parts.enter_context(load(stack.site))
        for metric in SHOWING:
            above_zero(watching, f"max_over_time({metric}[{WINDOW}])")
        for metric in MOVING:
            above_zero(watching, f"increase({metric}[{WINDOW}])")
        for metric in THERE:
            assert watching.query(metric), metric


def above_zero(watching: Prometheus, expression: str) -> None:
    until(lambda: watching.total(expression) > 0)


# --- When it calls


@pytest.fixture(scope="module")
def alarmed() -> Iterator[tuple[Stack, Prometheus]]:
    with watched(containers) as (stack, watching):
        yield stack, watching


@pytest.fixture
def stack(alarmed: tuple[Stack, Prometheus]) -> Stack:
    return alarmed[0]


@pytest.fixture
def watching(alarmed: tuple[Stack, Prometheus]) -> Iterator[Prometheus]:
    """Before and after each fault all is well, and nothing fires."""
    watching = alarmed[1]
    until(lambda: not watching.firing())
    yield watching
    until(lambda: not watching.firing())


def fires(watching: Prometheus, *names: str) -> None:
    until(lambda: {*names} <= watching.firing())


def test_vehicles_do_not_answer_and_workers_are_lost(stack: Stack, watching: Prometheus) -> None:
    stack.kill_workers()
    stack.start_workers(**FAULTY)
    with load(stack.site):
        fires(watching, "CommandsFail", "VehiclesDoNotAnswer")
        assert watching.total("sovd_command_timeout_total") > 0
        stack.kill_workers()
        stack.start_workers()
        until(lambda: watching.total("sovd_leases_taken_over_total") > 0)
        until(lambda: not watching.firing())


def test_redis_is_away(stack: Stack, watching: Prometheus) -> None:
    with load(stack.site):
        until(lambda: watching.total("sovd_stream_delivery_seconds_count") > 0)
        stack.own_servers.valkey.kill()
        fires(watching, "RedisPublishingFails")
        stack.own_servers.valkey.start()
        until(lambda: not watching.firing())


def test_a_message_from_the_future_sends_the_subscriber_to_the_log(
    stack: Stack, watching: Prometheus
) -> None:
    dropped = "sum(sovd_stream_frames_dropped_total)"
    before = watching.total(dropped)
    command_id = stack.site.submit(OFFLINE)
    with stack.site.stream(command_id) as stream:
        stream.recv(SECONDS)
        while watching.total(dropped) == before:
            asyncio.run(ring_too_early(stack, command_id))


async def ring_too_early(stack: Stack, command_id: str) -> None:
    """The doorbell of an event that is not there."""
    frame = {"command_id": command_id, "sequence_number": 9, "timestamp": "2026-01-01T00:00:00Z"}
    message = {**frame, "type": "command.event", "frame": json.dumps(frame)}
    layer = RedisPubSubChannelLayer(hosts=[stack.own_servers.valkey.url])
    await layer.group_send(group_of(command_id), message)
    await layer.flush()


def test_workers_are_frozen(stack: Stack, watching: Prometheus) -> None:
    stack.signal_workers(signal.SIGSTOP)
    make_older(stack, stack.site.submit())
    fires(watching, "CommandsWait", "TargetDown")
    stack.signal_workers(signal.SIGCONT)


def make_older(stack: Stack, command_id: str) -> None:
    """As if it had waited for two minutes."""
    with psycopg.connect(stack.own_servers.postgres.url) as connection:
        connection.execute(
            "UPDATE commands_command SET submitted_at = submitted_at - interval '2 minutes' "
            "WHERE command_id = %s",
            [command_id],
        )


def test_no_worker(stack: Stack, watching: Prometheus) -> None:
    stack.kill_workers()
    fires(watching, "NoWorker", "TargetDown")
    watching.watch({"web": stack.targets["web"]})
    fires(watching, "NoWorker", "NoTarget")
    stack.start_workers()
    watching.watch(stack.targets)


def test_the_database_is_away(stack: Stack, watching: Prometheus) -> None:
    stack.own_servers.postgres.stop()
    fires(watching, "DatabaseAway")
    stack.own_servers.postgres.start()


def test_streams_are_refused(stack: Stack, watching: Prometheus) -> None:
    command_id = stack.site.submit()
    while "StreamsRefused" not in watching.firing():
        refuse(stack.site, command_id)


# --- What is drawn


def drawn() -> dict[str, str]:
    """The expression of each panel, by dashboard, title and number."""
    boards = [json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))]
    return {
        f"{board['title']}: {panel['title']} {target['refId']}": target["expr"]
        for board in boards
        for panel in board["panels"]
        for target in panel["targets"]
    }


def test_every_panel_has_something_to_draw(stack: Stack, watching: Prometheus) -> None:
    with load(stack.site):
        for panel, expression in drawn().items():
            print(panel, expression)  # noqa: T201 - the last one is shown if it has no data
            has_data(watching, at_the_window_of_a_test(expression))


def has_data(watching: Prometheus, expression: str) -> None:
    until(lambda: watching.query(expression))
