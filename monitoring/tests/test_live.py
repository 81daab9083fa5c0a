"""A real Prometheus with real processes: its metrics, its alerts, its panels."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from websockets.sync.client import connect

from commands.events import group_of
from conftest import ClearDTC, ReadDTC
from dev.servers import scratch_directory
from monitoring.tests.prometheus import (
    BASE,
    WINDOW,
    Prometheus,
    prometheus,
    with_short_windows,
)
from monitoring.tests.stack import FAULTY, TOPOLOGIES, Stack, Topology, containers
from sovd.tests.processes import SECONDS, until
from sovd.tests.site import OFFLINE, VINS, Site, ask, frames_of

DASHBOARDS = BASE / "monitoring" / "grafana" / "dashboards"
CONNECTED = VINS[:-1]
WEBHOOK_OF_VIEWER = """
    INSERT INTO commands_webhook (webhook_id, owner_id, url, secret, of_commands, of_batches,
        of_campaigns, is_active, sees_all)
    SELECT gen_random_uuid(), id, 'https://example.com/', '', true, false, false, true, false
    FROM auth_user WHERE username = 'viewer'
"""


# --- Load


def operate(site: Site, ends: Event) -> None:
    """Submit to each vehicle and follow to the end, again and again."""
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
    """Open a stream without a token."""
    address = f"ws://127.0.0.1:{site.port}/ws/responses/{command_id}"
    with connect(address, proxy=None, open_timeout=SECONDS) as stream:
        list(frames_of(stream))


@contextmanager
def watched(topology: Topology) -> Iterator[tuple[Stack, Prometheus]]:
    """Run the topology and a Prometheus that reaches every target."""
    with scratch_directory() as directory, topology(directory) as stack:
        until(stack.site.is_up)
        with prometheus(directory, stack.targets) as watching:
            expected = sum(map(len, stack.targets.values()))
            until(lambda: watching.total("up") == expected)
            yield stack, watching


# --- Metrics, in each topology

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
SHOWING = [  # above zero under the load
    "vehicle_connections_active",
    "websocket_connections_active",
    "sovd_workers_active",
    "sovd_commands_in_progress",
    'sovd_commands_pending{vehicle="away"}',
    'sovd_oldest_pending_command_age_seconds{vehicle="away"}',
]
THERE = [  # they need a fault to move: see the alerts below
    "sovd_command_timeout_total",
    "sovd_leases_taken_over_total",
    "sovd_unsafe_commands_lost_total",
    "sovd_stream_refusals_total",
    "sovd_stream_frames_dropped_total",
    "sovd_stream_delivery_seconds_count",
    "sovd_group_messages_failed_total",
    "sovd_webhook_deliveries_total",
    "sovd_webhooks_disabled_total",
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


# --- Alerts


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Stack, Prometheus]]:
    with watched(containers) as (stack, watching):
        yield stack, watching


@pytest.fixture
def stack(running: tuple[Stack, Prometheus]) -> Stack:
    return running[0]


@pytest.fixture
def watching(running: tuple[Stack, Prometheus]) -> Iterator[Prometheus]:
    """A Prometheus with no alert firing, before the fault and after it."""
    watching = running[1]
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
        until(lambda: are_frozen_at_work(stack))
        stack.kill_workers()
        stack.start_workers()
        until(lambda: watching.total("sovd_leases_taken_over_total") > 0)
        until(lambda: not watching.firing())


def are_frozen_at_work(stack: Stack) -> bool:
    """Freeze all workers while a command runs; let them go on if none does."""
    stack.signal_workers(signal.SIGSTOP)
    with psycopg.connect(stack.own_servers.postgres.url) as connection:
        running = "SELECT 1 FROM commands_command WHERE status = 'in_progress'"
        found = connection.execute(running).fetchone()
    if not found:
        stack.signal_workers(signal.SIGCONT)
    return bool(found)


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
            asyncio.run(publish_too_early(stack, command_id))


async def publish_too_early(stack: Stack, command_id: str) -> None:
    """Publish an event that is not in the log."""
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
    """Let the command look as if it had waited for two minutes."""
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


def test_an_unsafe_command_loses_its_worker(stack: Stack, watching: Prometheus) -> None:
    """The process that notices the loss has just started."""
    stack.kill_workers()
    stack.start_workers(MOCK_VEHICLE_TIMEOUT_RATE=1)
    _, text = post(stack.site, body_of(stack.site, ClearDTC))
    command_id = json.loads(text)["command_id"]
    until(lambda: stack.site.status_of(command_id) == "in_progress")
    until(lambda: is_sent(stack, command_id))
    stack.kill_workers()
    stack.start_workers()
    fires(watching, "UnsafeCommandLost")
    assert stack.site.status_of(command_id) == "failed"


def body_of(site: Site, command: dict[str, Any]) -> dict[str, Any]:
    (vehicle,) = site.get(f"/api/v1/vehicles/?search={VINS[0]}")["results"]
    return {"vehicle_id": vehicle["vehicle_id"], **command}


def post(site: Site, body: dict[str, Any]) -> tuple[int, str]:
    return ask(site.port, "POST", "/api/v1/commands/", body, site.token)


def is_sent(stack: Stack, command_id: str) -> bool:
    with psycopg.connect(stack.own_servers.postgres.url) as connection:
        sent = "SELECT 1 FROM commands_command WHERE command_id = %s AND sent_at IS NOT NULL"
        return bool(connection.execute(sent, [command_id]).fetchone())


def test_a_webhook_is_disabled(stack: Stack, watching: Prometheus) -> None:
    """Its owner has no longer the right to have webhooks, which a worker notices at its start."""
    with psycopg.connect(stack.own_servers.postgres.url) as connection:
        connection.execute(WEBHOOK_OF_VIEWER)
    stack.kill_workers()
    stack.start_workers()
    fires(watching, "WebhookDisabled")


def test_requests_fail(stack: Stack, watching: Prometheus) -> None:
    """The database takes no writes: submissions are refused, and everything else works."""
    body = body_of(stack.site, ReadDTC)
    with psycopg.connect(stack.own_servers.postgres.url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE sovd SET default_transaction_read_only = on")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'sovd' AND pid <> pg_backend_pid()"
        )
        try:
            while "RequestsFail" not in watching.firing():
                post(stack.site, body)
        finally:
            connection.execute("ALTER DATABASE sovd RESET default_transaction_read_only")
            until(lambda: post(stack.site, body)[0] == 201)


def test_streams_are_refused(stack: Stack, watching: Prometheus) -> None:
    command_id = stack.site.submit()
    while "StreamsRefused" not in watching.firing():
        refuse(stack.site, command_id)


# --- Panels


def expressions() -> dict[str, str]:
    """Return the expression of each panel, by dashboard, title and number."""
    boards = [json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))]
    return {
        f"{board['title']}: {panel['title']} {target['refId']}": target["expr"]
        for board in boards
        for panel in board["panels"]
        for target in panel["targets"]
    }


def test_every_panel_has_something_to_draw(stack: Stack, watching: Prometheus) -> None:
    with load(stack.site):
        for panel, expression in expressions().items():
            print(panel, expression)  # noqa: T201 - the last one is shown if it has no data
            has_data(watching, with_short_windows(expression))


def has_data(watching: Prometheus, expression: str) -> None:
    until(lambda: watching.query(expression))
