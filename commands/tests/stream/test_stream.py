"""No subscriber misses, repeats or reorders an event, whenever it connects."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.typing import ASGISendEvent
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from commands import events, lifecycle
from commands.database.threads import in_thread
from commands.events import Line, line_of
from commands.models import Command, Event
from commands.stream.subscription import PAGE_LINES, QUEUE_LINES, Subscription
from conftest import (
    claim_one,
    drain,
    follow,
    in_order,
    log_of,
    make_vehicle,
    read_all,
    submit,
    token_of,
    until,
)
from sovd.asgi import application
from vehicles.models import Vehicle


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.mark.embedded
async def test_a_subscriber_from_before_the_run_has_every_event(
    operator: User, command: Command
) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        first = await stream.frame()
        await drain()
        frames, code = await stream.rest()
    log = await in_thread(log_of, operator, command)
    assert [first, *frames] == log
    assert in_order(log) == list(range(1, len(log) + 1))
    assert (log[-1]["status"], code) == ("completed", 1000)


@pytest.mark.embedded
async def test_a_subscriber_from_after_the_end_has_every_event(
    operator: User, command: Command
) -> None:
    await drain()
    assert await read_all(command, operator) == (await in_thread(log_of, operator, command), 1000)


@pytest.mark.embedded
async def test_a_subscriber_from_during_the_run_has_every_event(
    operator: User, command: Command
) -> None:
    """The command runs inside accept(): after its row was read, before the group is joined."""

    async def busy_application(scope: Any, receive: Any, send: Any) -> None:
        async def send_and_work(message: ASGISendEvent) -> None:
            await send(message)
            if message["type"] == "websocket.accept":
                await drain()

        await application(scope, receive, send_and_work)

    async with follow(command.pk, token_of(operator), application=busy_application) as stream:
        frames, code = await stream.rest()
    assert (frames, code) == (await in_thread(log_of, operator, command), 1000)


async def test_subscribers_from_between_any_two_events_have_every_event(
    operator: User, command: Command
) -> None:
    """One subscriber joins at each step."""
    claimed = await in_thread(claim_one)
    steps: list[tuple[Any, ...]] = [(lifecycle.respond, {"n": n}) for n in range(3)]
    steps.append((lifecycle.complete, {"n": 3}))
    readers = []
    for move, *arguments in steps:
        readers.append(asyncio.create_task(read_all(command, operator)))
        await in_thread(move, claimed, *arguments)
    log = await in_thread(log_of, operator, command)
    assert in_order(log) == [1, 2, 3, 4, 5, 6, 7]
    assert [await reader for reader in readers] == [(log, 1000)] * len(steps)


# --- Resume


@pytest.mark.embedded
async def test_a_stream_resumes_after_every_event(operator: User, command: Command) -> None:
    await drain()
    log = await in_thread(log_of, operator, command)
    for k in range(len(log) + 1):
        assert await read_all(command, operator, after=k) == (log[k:], 1000)
    assert await read_all(command, operator, after=len(log) + 7) == ([], 1000)


async def test_a_stream_resumes_while_the_command_runs(operator: User, command: Command) -> None:
    async with follow(command.pk, token_of(operator), after=1) as stream:
        await drain()
        frames, _ = await stream.rest()
    assert frames == (await in_thread(log_of, operator, command))[1:]


@pytest.mark.parametrize(
    "after", ["x", "-1", "1e99", "", "1.0", "%00", "%EF%BC%91", "9" * 5000, "2"]
)
async def test_a_bad_number_to_resume_after_is_refused(
    operator: User, command: Command, after: str
) -> None:
    """The last case is beyond the log of a command that has not ended."""
    (frame,), code = await read_all(command, operator, after=after)
    assert (frame["event"], frame["sequence_number"], code) == ("error", 0, 4400)
    assert frame["error_code"] == "bad_request"
    assert "`after`" in frame["error_message"]


# --- Messages that are lost, doubled, reordered or forged


@pytest.fixture
def no_poll(settings: Settings) -> None:
    """Leave the delivery to the messages."""
    settings.STREAM_POLL_SECONDS = 3600


def unreachable_redis() -> dict[str, Any]:
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    return {"default": {"BACKEND": backend, "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]}}}


async def publish(group: str, message: Any) -> None:
    await get_channel_layer().group_send(group, message)


async def test_lost_messages_lose_no_event(
    operator: User, command: Command, settings: Settings
) -> None:
    """Redis is away while the command runs."""
    settings.STREAM_POLL_SECONDS = 0.05
    async with follow(command.pk, token_of(operator)) as stream:
        first = await stream.frame()
        settings.CHANNEL_LAYERS = unreachable_redis()
        await drain()
        frames, code = await stream.rest()
    assert ([first, *frames], code) == (await in_thread(log_of, operator, command), 1000)


async def run_unpublished(settings: Settings) -> list[events.CommandEvent]:
    """Run the command while the layer is away. Return the messages that were not published."""
    layers = settings.CHANNEL_LAYERS
    settings.CHANNEL_LAYERS = unreachable_redis()
    await drain()
    settings.CHANNEL_LAYERS = layers
    log = await in_thread(list, Event.objects.order_by("sequence_number"))
    return [events.message_of(event) for event in log]


@pytest.mark.parametrize(
    "order",
    [
        [2, 3, 4, 5, 6],
        [2, 2, 3, 3, 4, 4, 5, 5, 6, 6],
        [6, 5, 4, 3, 2],
        [3, 5, 4, 4, 6, 2],
        [6],
        [4],
    ],
)
@pytest.mark.usefixtures("no_poll")
async def test_doubled_reordered_and_missing_messages_change_no_stream(
    operator: User, command: Command, settings: Settings, order: list[int]
) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        first = await stream.frame()
        messages = await run_unpublished(settings)
        assert len(messages) == 6
        for number in order:
            await publish(events.group_of(command.pk), messages[number - 1])
        frames, code = await stream.rest()
    assert ([first, *frames], code) == (await in_thread(log_of, operator, command), 1000)


@pytest.mark.usefixtures("no_poll")
async def test_forged_messages_are_ignored(operator: User, command: Command) -> None:
    """Forgeries are malformed, stale, of another command or beyond the log."""
    async with follow(command.pk, token_of(operator)) as stream:
        first = await stream.frame()
        for message in forgeries(command, first):
            await publish(events.group_of(command.pk), message)
        await drain()
        frames, code = await stream.rest()
    assert ([first, *frames], code) == (await in_thread(log_of, operator, command), 1000)


def forgeries(command: Command, first: Any) -> list[Any]:
    other = "00000000-0000-0000-0000-000000000000"
    good = {"type": "command.event", "command_id": str(command.pk), "sequence_number": 2}
    frame = first | {"sequence_number": 2, "status": "completed"}
    return [
        {"type": "command.event"},
        good | {"frame": "no JSON"},
        good | {"frame": "[]"},
        good | {"frame": events.encode(first)},
        good | {"frame": events.encode(frame), "sequence_number": "2"},
        good | {"frame": events.encode(frame), "type": "something.else"},
        good | {"frame": events.encode(frame | {"command_id": other})},
        good | {"frame": events.encode(frame | {"command_id": other}), "command_id": other},
        good | {"frame": events.encode(first), "sequence_number": 1},
        good | {"frame": events.encode(first | {"sequence_number": 99}), "sequence_number": 99},
    ]


# --- Many


@pytest.mark.embedded
async def test_many_subscribers_of_one_command_have_every_event(
    operator: User, command: Command
) -> None:
    readers = [asyncio.create_task(read_all(command, operator)) for _ in range(100)]
    await drain()
    log = await in_thread(log_of, operator, command)
    assert await asyncio.gather(*readers) == [(log, 1000)] * 100


@pytest.mark.embedded
async def test_each_subscriber_has_the_events_of_its_command_only(
    operator: User, vehicle: Vehicle
) -> None:
    vehicles = [await in_thread(make_vehicle, n) for n in range(200, 210)]
    commands = [await in_thread(submit, operator, vehicle) for vehicle in vehicles]
    readers = [asyncio.create_task(read_all(command, operator)) for command in commands]
    await drain()
    for command, reader in zip(commands, readers, strict=True):
        assert await reader == (await in_thread(log_of, operator, command), 1000)


# --- A subscription by itself


@pytest.fixture
def subscription(operator: User, command: Command) -> Subscription:
    return Subscription(command.pk, after=0)


def lines_of(command: Command) -> list[Line]:
    return [line_of(event) for event in command.events.order_by("sequence_number")]


async def test_a_line_offered_before_the_first_read_comes_once(
    command: Command, subscription: Subscription
) -> None:
    claimed = await in_thread(claim_one)
    log = await in_thread(lines_of, command)
    for line in log:
        subscription.offer(line)
    await in_thread(lifecycle.complete, claimed, {})
    log = await in_thread(lines_of, command)
    assert await subscription.next_lines() == log


async def test_a_line_missed_during_a_read_is_not_lost(
    command: Command, subscription: Subscription
) -> None:
    """The next read brings it."""
    locked, may_end = threading.Event(), threading.Event()

    def lock() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE commands_event IN ACCESS EXCLUSIVE MODE")
            locked.set()
            may_end.wait(4)

    locking = asyncio.create_task(in_thread(lock))
    await asyncio.to_thread(locked.wait, 10)
    reading = asyncio.create_task(subscription.next_lines())
    await until(lambda: not subscription.is_behind)
    assert not reading.done()
    subscription.fall_behind()
    may_end.set()
    await locking
    assert [line.sequence_number for line in await reading] == [1]
    assert subscription.is_behind


async def test_a_full_queue_leads_back_to_the_log(
    command: Command, subscription: Subscription
) -> None:
    claimed = await in_thread(claim_one)
    await subscription.next_lines()
    for n in range(QUEUE_LINES + 1):
        await in_thread(lifecycle.respond, claimed, {"n": n})
    log = await in_thread(lines_of, command)
    for line in log[2:]:
        subscription.offer(line)
    assert subscription.is_behind
    assert await subscription.next_lines() == log[2:]


async def test_a_log_longer_than_a_page_comes_in_pages(
    command: Command, subscription: Subscription
) -> None:
    payload = {"response": {}, "is_final": False}
    answers = [
        Event(command=command, sequence_number=2 + n, kind="response", payload=payload)
        for n in range(PAGE_LINES)
    ]
    await in_thread(Event.objects.bulk_create, answers)
    first, second = await subscription.next_lines(), await subscription.next_lines()
    assert (len(first), len(second)) == (PAGE_LINES, 1)
    assert [line.sequence_number for line in first + second] == list(range(1, PAGE_LINES + 2))


async def test_a_subscription_waits_for_the_next_line(
    command: Command, subscription: Subscription
) -> None:
    await subscription.next_lines()
    waiting = asyncio.create_task(subscription.next_lines())
    now = timezone.now()
    subscription.offer(Line(1, "sent before", is_terminal=False, created_at=now))
    subscription.offer(Line(7, "beyond the log", is_terminal=False, created_at=now))
    await in_thread(claim_one)
    (line,) = await in_thread(lambda: lines_of(command)[1:])
    subscription.offer(line)
    assert await waiting == [line]


async def test_another_path_is_refused(operator: User) -> None:
    communicator = WebsocketCommunicator(application, "/ws/nothing/here")
    accepted, _ = await communicator.connect(timeout=10)
    assert not accepted
