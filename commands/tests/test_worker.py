"""The worker: what vehicles do becomes events, and nothing is lost or done twice on the way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from pytest_django.fixtures import Settings

from commands import lifecycle
from commands.models import Command
from commands.scrape import registry
from commands.threads import in_thread
from commands.worker import Worker
from conftest import (
    ClearDTC,
    ReadDTC,
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
)
from dev.servers import Valkey
from vehicles.connector import Answer, TargetVehicle, VehicleError
from vehicles.mock_vehicle import MockVehicle
from vehicles.models import Vehicle


class Bench:
    """A vehicle on the test bench: it notes what it was asked and answers when the test says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers or (Answer({"done": True}, is_final=True),)
        self.asked: list[tuple[str, str]] = []
        self.running = 0
        self.most_at_once = 0
        self.go = asyncio.Event()

    async def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
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


@asynccontextmanager
async def working(*workers: Worker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.gather(*tasks)


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
async def test_reads_trouble_codes(operator: User, command: Command) -> None:
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
    mock = MockVehicle()
    for body in (ReadDTC, ClearDTC, ReadDTC):
        last = await in_thread(submit, operator, vehicle, body)
    await drain(mock)
    (answer,) = (await in_thread(log_of, operator, last))[2:-1]
    assert answer["response"]["dtcCount"] == 0


def test_the_command_line_drains(command: Command) -> None:
    call_command("runworker", drain=True)
    assert row(command).status == "completed"


async def test_vehicles_run_side_by_side_and_each_one_in_order(operator: User) -> None:
    vehicles = [await in_thread(make_vehicle, n) for n in range(5)]
    for body in (ReadDTC, ClearDTC, ReadDTC):
        for vehicle in vehicles:
            await in_thread(submit, operator, vehicle, body)
    bench = Bench()
    async with working(Worker(bench), Worker(bench)):
        await until(lambda: bench.running == 5)
        bench.go.set()
        await until(lambda: len(bench.asked) == 15 and bench.running == 0)
        await until(lambda: all_completed(15))
    assert bench.most_at_once == 5
    for vehicle in vehicles:
        asked = [name for vin, name in bench.asked if vin == vehicle.vin]
        assert asked == ["ReadDTC", "ClearDTC", "ReadDTC"]


async def test_no_more_at_once_than_allowed(operator: User, settings: Settings) -> None:
    settings.WORKER_CONCURRENCY = 2
    for n in range(5):
        await in_thread(submit, operator, await in_thread(make_vehicle, n))
    bench = Bench()
    async with working(Worker(bench)):
        await until(lambda: bench.running == 2)
        bench.go.set()
        await until(lambda: all_completed(5))
    assert (len(bench.asked), bench.most_at_once) == (5, 2)


async def test_expired_is_not_sent(command: Command) -> None:
    past = (await in_thread(row, command)).submitted_at
    await in_thread(Command.objects.update, expires_at=past)
    bench = Bench()
    await Worker(bench).drain()
    assert bench.asked == []
    assert (await outcome(command))[:2] == ("expired", "expired")


async def test_waits_for_its_vehicle(command: Command, vehicle: Vehicle) -> None:
    """The row says connected but nobody saw it; the worker's presence keeps it fresh."""
    await in_thread(Vehicle.objects.update, connection_status="disconnected")
    await drain()
    assert (await outcome(command))[0] == "pending"
    await in_thread(Vehicle.objects.update, connection_status="connected", last_seen_at=None)
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
async def test_faults(operator: User, command: Command, settings: Settings, fault: str) -> None:
    settings.COMMAND_TIMEOUT_SECONDS = 0.05
    rates, (status, error_code), counted = FAULTS[fault]
    before = timeouts()
    await drain(MockVehicle(**rates))
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
async def test_hostile_answers_are_not_stored(command: Command, response: Any) -> None:
    bench = Bench(Answer({"good": 1}), Answer(response), Answer({"never": 1}, is_final=True))
    bench.go.set()
    await Worker(bench).drain()
    assert (await outcome(command))[:2] == ("failed", "malformed_answer")
    stored = await in_thread(list, command.events.filter(kind="response"))
    assert [event.payload["response"] for event in stored] == [{"good": 1}]


async def test_odd_but_plain_answers_are_stored_as_they_are(
    operator: User, command: Command
) -> None:
    odd = {"": [None, True, -1.5e300, 2**63 - 1, "\u2028<script>\x01\U0001f697"], "event": "error"}
    bench = Bench(Answer(odd), Answer(nested(31), is_final=True))
    bench.go.set()
    await Worker(bench).drain()
    frames, _ = await read_all(command, operator)
    assert [frame["response"] for frame in frames[2:4]] == [odd, nested(31)]
    assert frames[-1]["status"] == "completed"


@pytest.mark.parametrize(
    ("answers", "error_code"),
    [
        ((Answer({}),), "malformed_answer"),
        ((VehicleError("vehicle_refused", "NRC 0x22"),), "vehicle_refused"),
        ((ZeroDivisionError(),), "malformed_answer"),
        ((Answer({}), TimeoutError()), "malformed_answer"),
    ],
    ids=["no last answer", "refused", "bug in the connector", "its own time-out"],
)
async def test_connectors_that_fail(
    command: Command, answers: tuple[Any, ...], error_code: str
) -> None:
    bench = Bench(*answers)
    bench.go.set()
    await Worker(bench).drain()
    assert (await outcome(command))[:2] == ("failed", error_code)


# --- Workers that are lost


async def killed_while_running(bench: Bench, command: Command) -> None:
    """A worker dies while the vehicle works; then its lease runs out."""
    worker = asyncio.create_task(Worker(bench).run())
    await until(lambda: bench.running)
    worker.cancel()
    await asyncio.wait([worker])
    past = (await in_thread(row, command)).submitted_at
    await in_thread(Command.objects.filter(pk=command.pk).update, lease_expires_at=past)


async def test_safe_command_of_a_lost_worker_is_repeated(operator: User, command: Command) -> None:
    await killed_while_running(Bench(), command)
    bench = Bench()
    bench.go.set()
    await Worker(bench).drain()
    frames, _ = await read_all(command, operator)
    assert [frame.get("status") or frame["response"] for frame in frames] == [
        *("pending", "in_progress", "pending", "in_progress", {"done": True}, "completed")
    ]


async def test_dangerous_command_of_a_lost_worker_is_not_repeated(clear: Command) -> None:
    await killed_while_running(Bench(), clear)
    bench = Bench()
    bench.go.set()
    await Worker(bench).drain()
    assert bench.asked == []
    assert (await outcome(clear))[:2] == ("failed", "worker_lost")


async def test_worker_that_lost_its_claim_stops_and_writes_nothing(
    operator: User, command: Command
) -> None:
    bench = Bench()
    async with working(Worker(bench)):
        await until(lambda: bench.running)
        await in_thread(Vehicle.objects.update, connection_status="disconnected")
        await in_thread(lifecycle.release, await in_thread(row, command))
        await until(lambda: not bench.running)
    frames = await in_thread(log_of, operator, command)
    assert [frame["status"] for frame in frames] == ["pending", "in_progress", "pending"]


async def test_lease_is_renewed_while_the_vehicle_works(
    command: Command, settings: Settings
) -> None:
    settings.COMMAND_LEASE_SECONDS = 2
    bench = Bench()
    async with working(Worker(bench)):
        await until(lambda: bench.running)
        before = (await in_thread(row, command)).lease_expires_at
        await until(lambda: renewed(command, before))
        bench.go.set()
        await until(lambda: has_status(command, "completed"))


async def renewed(command: Command, before: Any) -> bool:
    lease_expires_at = (await in_thread(row, command)).lease_expires_at
    return bool(lease_expires_at > before)


# --- Stopping


async def test_first_stop_lets_finish_what_runs(
    operator: User, command: Command, vehicle: Vehicle
) -> None:
    second = await in_thread(submit, operator, vehicle)
    bench = Bench()
    worker = Worker(bench)
    task = asyncio.create_task(worker.run())
    await until(lambda: bench.running)
    worker.stop()
    bench.go.set()
    await asyncio.wait_for(task, 10)
    assert ((await outcome(command))[0], (await outcome(second))[0]) == ("completed", "pending")


async def stopped_twice(bench: Bench) -> None:
    worker = Worker(bench)
    task = asyncio.create_task(worker.run())
    await until(lambda: bench.running)
    worker.stop()
    worker.stop()
    await asyncio.wait_for(task, 10)


async def test_second_stop_gives_back_what_may_be_repeated(command: Command) -> None:
    await stopped_twice(Bench())
    assert (await outcome(command))[0] == "pending"


async def test_second_stop_does_not_give_back_what_must_not(clear: Command) -> None:
    await stopped_twice(Bench())
    assert (await outcome(clear))[:2] == ("failed", "worker_lost")


async def test_cancel_while_the_vehicle_works(operator: User, command: Command) -> None:
    bench = Bench()
    url = f"/api/v1/commands/{command.pk}/cancel/"
    async with follow(command.pk, token_of(operator)) as stream, working(Worker(bench)):
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
    async with working(Worker(MockVehicle())):
        command = await in_thread(submit, operator, vehicle)
        frames, code = await read_all(command, operator)
    assert (frames, code) == (await in_thread(log_of, operator, command), 1000)


async def test_redis_dies_and_comes_back(
    operator: User, vehicle: Vehicle, settings: Settings, tmp_path: Any
) -> None:
    """A real one, killed while a subscriber waits: nothing is missed, and live is live again."""
    valkey = Valkey(tmp_path)
    await asyncio.to_thread(valkey.start)
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    here = {"BACKEND": backend, "CONFIG": {"hosts": [valkey.url]}}
    settings.CHANNEL_LAYERS = {"default": here}
    settings.STREAM_POLL_SECONDS = 0.1
    try:
        bench = Bench()
        async with working(Worker(bench)):
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
