"""Worker: vehicles' responses become events, and none is lost or doubled on the way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from commands import lifecycle
from commands.database.threads import in_thread
from commands.metrics.scrape import registry
from commands.models import Command
from commands.tests.worker.background import working
from conftest import (
    WAIT_SECONDS,
    ClearDTC,
    ReadDTC,
    ScriptedConnector,
    announce,
    api,
    drain,
    follow,
    log_of,
    make_vehicle,
    read_all,
    row,
    submit,
    token_of,
    until,
    worker_of,
)
from dev.servers import Valkey
from vehicles.connectors.base import Attempt, Response, TargetVehicle, VehicleError
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle


class Bench(ScriptedConnector):
    """Connector of a vehicle that records its requests and responds when the test says."""

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers = answers or (Response({"done": True}, is_final=True),)
        self.asked: list[tuple[str, str]] = []
        self.running = 0
        self.most_at_once = 0
        self.go = asyncio.Event()

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        await announce(attempt, command_name)
        self.asked.append((vehicle.vin, command_name))
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.go.wait()
            for answer in self.answers:
                if isinstance(answer, Exception):
                    raise answer
                yield answer
        finally:
            self.running -= 1


async def has_status(command: Command, status: str) -> bool:
    return (await in_thread(row, command)).status == status


async def all_completed(count: int) -> bool:
    return await in_thread(Command.objects.filter(status="completed").count) == count


async def outcome(command: Command) -> tuple[str, str, str]:
    ended = await in_thread(row, command)
    return ended.status, ended.error_code, ended.error_message


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def clear(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle, ClearDTC)


# --- From claim to end


@pytest.mark.embedded
async def test_a_worker_reads_trouble_codes(operator: User, command: Command) -> None:
    await drain()
    pending, running, *answers, completed = await in_thread(log_of, operator, command)
    assert [f["status"] for f in (pending, running, completed)] == [
        *("pending", "in_progress", "completed")
    ]
    assert [answer["is_final"] for answer in answers] == [False] * (len(answers) - 1) + [True]
    codes = [a["response"]["dtcCode"] for a in answers if a["response"]["type"] == "dtc"]
    assert "P0420" in codes
    assert answers[-1]["response"]["dtcCount"] == len(codes)


@pytest.mark.embedded
async def test_cleared_codes_stay_cleared(operator: User, vehicle: Vehicle) -> None:
    mock = MockConnector()
    for body in (ReadDTC, ClearDTC, ReadDTC):
        last = await in_thread(submit, operator, vehicle, body)
    await drain(mock)
    (answer,) = (await in_thread(log_of, operator, last))[2:-1]
    assert answer["response"]["dtcCount"] == 0


def test_runworker_drain_carries_out_all_commands(command: Command) -> None:
    call_command("runworker", drain=True)
    assert row(command).status == "completed"


async def test_vehicles_run_at_the_same_time_and_each_one_in_order(operator: User) -> None:
    vehicles = [await in_thread(make_vehicle, n) for n in range(5)]
    for body in (ReadDTC, ClearDTC, ReadDTC):
        for vehicle in vehicles:
            await in_thread(submit, operator, vehicle, body)
    bench = Bench()
    async with working(worker_of(bench), worker_of(bench)):
        await until(lambda: bench.running == 5)
        bench.go.set()
        await until(lambda: len(bench.asked) == 15 and bench.running == 0)
        await until(lambda: all_completed(15))
    assert bench.most_at_once == 5
    for vehicle in vehicles:
        asked = [name for vin, name in bench.asked if vin == vehicle.vin]
        assert asked == ["ReadDTC", "ClearDTC", "ReadDTC"]


async def test_a_worker_runs_no_more_commands_than_allowed(
    operator: User, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = 2
    for n in range(5):
        await in_thread(submit, operator, await in_thread(make_vehicle, n))
    bench = Bench()
    async with working(worker_of(bench)):
        await until(lambda: bench.running == 2)
        bench.go.set()
        await until(lambda: all_completed(5))
    assert (len(bench.asked), bench.most_at_once) == (5, 2)


class OneByOne(Bench):
    """Connector whose vehicles respond one by one, as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = asyncio.Semaphore(0)
        self.go.set()

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        self.running += 1
        await self.turns.acquire()
        self.running -= 1
        async for response in super().execute(vehicle, command_name, command_params, attempt):
            yield response


async def test_a_worker_that_runs_more_commands_than_allowed_claims_none_until_it_may(
    operator: User, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = 4
    for n in range(5):
        await in_thread(submit, operator, await in_thread(make_vehicle, n))
    bench = OneByOne()
    drained = asyncio.create_task(worker_of(bench).drain())
    await until(lambda: bench.running == 4)
    settings.WORKER_CONCURRENCY = 1
    for count in range(1, 6):
        bench.turns.release()
        await until(partial(all_completed, count))
    await drained
    assert len(bench.asked) == 5


async def test_an_expired_command_is_not_sent(command: Command) -> None:
    past = (await in_thread(row, command)).submitted_at
    await in_thread(Command.objects.update, expires_at=past)
    bench = Bench()
    await worker_of(bench).drain()
    assert bench.asked == []
    assert (await outcome(command))[:2] == ("expired", "expired")


async def test_a_command_is_carried_out_when_its_vehicle_is_connected(
    command: Command, vehicle: Vehicle
) -> None:
    """Only a probe makes a vehicle connected, also if its row says so."""
    vehicles = Vehicle.objects.all()
    await in_thread(vehicles.update, connector_settings={"online": False})
    await drain()
    assert (await outcome(command))[0] == "pending"
    await in_thread(vehicles.update, connector_settings={}, probe_at=timezone.now())
    await drain()
    assert (await outcome(command))[0] == "completed"


# --- What vehicles do wrong


def timeouts() -> float:
    return registry().get_sample_value("sovd_command_timeout_total") or 0.0


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, str], float]] = {
    "timeout": ({"timeout_rate": 1}, ("timed_out", "vehicle_timeout"), 1),
    "unreachable": ({"unreachable_rate": 1}, ("failed", "vehicle_unreachable"), 0),
    "malformed": ({"malformed_rate": 1}, ("failed", "malformed_answer"), 0),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.embedded
async def test_each_fault_of_a_vehicle_has_its_error(
    operator: User, command: Command, settings: Settings, fault: str
) -> None:
    settings.COMMAND_TIMEOUT_SECONDS = 0.05
    rates, (status, error_code), counted = FAULTS[fault]
    before = timeouts()
    await drain(MockConnector(**rates))
    frames, code = await read_all(command, operator)
    last = frames[-1]
    assert (last["event"], last["status"], last["error_code"]) == ("error", status, error_code)
    assert last["error_message"] == (await outcome(command))[2] != ""
    assert (code, timeouts() - before) == (1000, counted)


HOSTILE: list[Any] = [
    [],
    "text",
    None,
    {"a": "\x00"},
    {"\x00": 1},
    {"a": "\ud800"},
    {"a": float("nan")},
    {"a": float("inf")},
    {"a": 10**4000},
    {"a": b"bytes"},
    {1: "key"},
    {"a": "x" * 300_000},
    {"a": object()},
]


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("response", [*HOSTILE, nested(100_000)], ids=range(len(HOSTILE) + 1))
async def test_hostile_responses_are_not_stored(command: Command, response: Any) -> None:
    bench = Bench(Response({"good": 1}), Response(response), Response({"never": 1}, is_final=True))
    bench.go.set()
    await worker_of(bench).drain()
    assert (await outcome(command))[:2] == ("failed", "malformed_answer")
    stored = await in_thread(list, command.events.filter(kind="response"))
    assert [event.payload["response"] for event in stored] == [{"good": 1}]


async def test_unusual_responses_are_stored_unchanged(operator: User, command: Command) -> None:
    odd = {"": [None, True, -1.5e300, 2**63 - 1, "\u2028<script>\x01\U0001f697"], "event": "error"}
    bench = Bench(Response(odd), Response(nested(31), is_final=True))
    bench.go.set()
    await worker_of(bench).drain()
    frames, _ = await read_all(command, operator)
    assert [frame["response"] for frame in frames[2:4]] == [odd, nested(31)]
    assert frames[-1]["status"] == "completed"


@pytest.mark.parametrize(
    ("answers", "error_code"),
    [
        ((Response({}),), "malformed_answer"),
        ((VehicleError("vehicle_refused", "NRC 0x22"),), "vehicle_refused"),
        ((ZeroDivisionError(),), "malformed_answer"),
        ((Response({}), TimeoutError()), "malformed_answer"),
    ],
    ids=["no last answer", "refused", "bug in the connector", "its own time-out"],
)
async def test_a_connector_that_raises_fails_its_command(
    command: Command, answers: tuple[Any, ...], error_code: str
) -> None:
    bench = Bench(*answers)
    bench.go.set()
    await worker_of(bench).drain()
    assert (await outcome(command))[:2] == ("failed", error_code)


# --- Workers that are lost


async def killed_while_running(bench: Bench, command: Command) -> None:
    """A worker dies while the vehicle works; then its lease runs out."""
    worker = asyncio.create_task(worker_of(bench).run())
    await until(lambda: bench.running)
    worker.cancel()
    await asyncio.wait([worker])
    past = (await in_thread(row, command)).submitted_at
    await in_thread(Command.objects.filter(pk=command.pk).update, lease_expires_at=past)


async def test_a_safe_command_of_a_lost_worker_is_repeated(
    operator: User, command: Command
) -> None:
    await killed_while_running(Bench(), command)
    bench = Bench()
    bench.go.set()
    await worker_of(bench).drain()
    frames, _ = await read_all(command, operator)
    assert [frame.get("status") or frame["response"] for frame in frames] == [
        *("pending", "in_progress", "pending", "in_progress", {"done": True}, "completed")
    ]


async def test_an_unsafe_command_of_a_lost_worker_is_not_repeated(clear: Command) -> None:
    await killed_while_running(Bench(), clear)
    bench = Bench()
    bench.go.set()
    await worker_of(bench).drain()
    assert bench.asked == []
    assert (await outcome(clear))[:2] == ("failed", "worker_lost")


async def test_a_worker_that_lost_its_claim_stops_and_writes_nothing(
    operator: User, command: Command
) -> None:
    bench = Bench()
    async with working(worker_of(bench)):
        await until(lambda: bench.running)
        await in_thread(Vehicle.objects.update, connection_status="disconnected")
        await in_thread(lifecycle.release, await in_thread(row, command))
        await until(lambda: not bench.running)
    frames = await in_thread(log_of, operator, command)
    assert [frame["status"] for frame in frames] == ["pending", "in_progress", "pending"]


async def test_a_lease_is_renewed_while_the_vehicle_works(
    command: Command, settings: Settings
) -> None:
    settings.COMMAND_LEASE_SECONDS = 2
    bench = Bench()
    async with working(worker_of(bench)):
        await until(lambda: bench.running)
        before = (await in_thread(row, command)).lease_expires_at
        await until(lambda: renewed(command, before))
        bench.go.set()
        await until(lambda: has_status(command, "completed"))


async def renewed(command: Command, before: Any) -> bool:
    lease_expires_at = (await in_thread(row, command)).lease_expires_at
    return bool(lease_expires_at > before)


# --- Stopping


async def test_the_first_stop_lets_running_commands_finish(
    operator: User, command: Command, vehicle: Vehicle
) -> None:
    second = await in_thread(submit, operator, vehicle)
    bench = Bench()
    worker = worker_of(bench)
    task = asyncio.create_task(worker.run())
    await until(lambda: bench.running)
    worker.stop()
    bench.go.set()
    await asyncio.wait_for(task, 10)
    assert ((await outcome(command))[0], (await outcome(second))[0]) == ("completed", "pending")


async def stopped_twice(bench: Bench) -> None:
    worker = worker_of(bench)
    task = asyncio.create_task(worker.run())
    await until(lambda: bench.running)
    worker.stop()
    worker.stop()
    await asyncio.wait_for(task, 10)


async def test_the_second_stop_gives_back_commands_that_are_safe_to_repeat(
    command: Command,
) -> None:
    await stopped_twice(Bench())
    assert (await outcome(command))[0] == "pending"


async def test_the_second_stop_ends_commands_that_are_not_safe_to_repeat(clear: Command) -> None:
    await stopped_twice(Bench())
    assert (await outcome(clear))[:2] == ("failed", "worker_lost")


async def test_a_command_is_cancelled_while_the_vehicle_works(
    operator: User, command: Command
) -> None:
    bench = Bench()
    url = f"/api/v1/commands/{command.pk}/cancel/"
    async with follow(command.pk, token_of(operator)) as stream, working(worker_of(bench)):
        await until(lambda: bench.running)
        response = await in_thread(api(operator).post, url)
        assert response.status_code == 202
        frames, _ = await stream.rest()
        assert not bench.running
    assert [frame["status"] for frame in frames] == ["pending", "in_progress", "cancelled"]


# --- Without the channel layer


async def test_a_worker_needs_no_channel_layer(
    operator: User, vehicle: Vehicle, settings: Settings
) -> None:
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    away = {"BACKEND": backend, "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]}}
    settings.CHANNEL_LAYERS = {"default": away}
    settings.STREAM_POLL_SECONDS = 0.1
    async with working(worker_of(MockConnector())):
        command = await in_thread(submit, operator, vehicle)
        frames, code = await read_all(command, operator)
    assert (frames, code) == (await in_thread(log_of, operator, command), 1000)


async def test_a_worker_goes_on_when_redis_dies_and_comes_back(
    operator: User, vehicle: Vehicle, settings: Settings, tmp_path: Any
) -> None:
    """A real server is killed while a subscriber waits: no event is missed."""
    valkey = Valkey(tmp_path)
    await asyncio.to_thread(valkey.start)
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    here = {"BACKEND": backend, "CONFIG": {"hosts": [valkey.url]}}
    settings.CHANNEL_LAYERS = {"default": here}
    settings.STREAM_POLL_SECONDS = 0.1
    try:
        bench = Bench()
        async with working(worker_of(bench)):
            command = await in_thread(submit, operator, vehicle)
            async with follow(command.pk, token_of(operator)) as stream:
                first = await stream.frame()
                await asyncio.to_thread(valkey.kill)
                await until(lambda: bench.running)
                bench.go.set()
                await until(lambda: has_status(command, "completed"))
                await asyncio.to_thread(valkey.start)
                frames, code = await stream.rest()
        assert ([first, *frames], code) == (await in_thread(log_of, operator, command), 1000)
    finally:
        await asyncio.to_thread(valkey.stop)


# --- The pause between two claims


@pytest.mark.parametrize("is_busy", [True, False])
async def test_a_worker_lets_more_come_while_commands_run(is_busy: bool) -> None:
    """A busy one waits longer than the last claim took, but not for the end of its commands."""
    worker: Any = worker_of(Bench())
    passed = asyncio.Event()
    running = asyncio.create_task(asyncio.sleep(WAIT_SECONDS))
    if is_busy:
        worker._running[running] = None
    asyncio.get_running_loop().call_later(0.02, passed.set)
    async with asyncio.timeout(WAIT_SECONDS / 2):
        await worker._let_more_come(0.01)
    assert passed.is_set() is is_busy
    running.cancel()
