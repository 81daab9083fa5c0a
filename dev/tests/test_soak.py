"""A short soak, and the proof that a soak sees growth and broken streams."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from dev.processes import ROOT
from dev.soak.__main__ import VEHICLES, size_of
from dev.soak.clients import BATCH, Broken, Position, targets
from dev.soak.figures import MB, Sample, grown

MAX_SECONDS = 120


@pytest.mark.faults
def test_a_short_soak() -> None:
    command = [sys.executable, "-m", "dev.soak", "--events", "3000", "--connects", "60"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    *_, at_rest, verdict = ended.stdout.splitlines()
    events, connects, *_ = at_rest.split()
    assert int(events) >= 3000
    assert int(connects) >= 60
    assert verdict == "soak: nothing grew, and nothing was lost"


# --- Growth

START = Sample(
    events=0, connects=0, seconds=0, streams=20, rss=150 * MB, fds=60, threads=17, connections=20
)


def samples(**growth: int) -> list[Sample]:
    """Return twenty samples, each with so much more than the one before."""
    return [
        replace(
            START,
            events=n * 50_000,
            **{name: getattr(START, name) + n * more for name, more in growth.items()},
        )
        for n in range(1, 21)
    ]


@pytest.mark.parametrize(
    ("growth", "description"),
    [
        ({"rss": 2 * MB}, "MB of RSS: from 163.0 to 187.0"),
        ({"fds": 2}, "file descriptors besides the streams: from 53.0 to 77.0"),
        ({"threads": 1}, "threads: from 23.5 to 35.5"),
        ({"connections": 1}, "database connections: from 26.5 to 38.5"),
    ],
)
def test_a_figure_that_grows_is_named(growth: dict[str, int], description: str) -> None:
    (found,) = grown(samples(**growth))
    assert found.startswith(description)


def test_sockets_of_streams_are_no_growth() -> None:
    assert grown(samples()) == []
    assert grown(samples(streams=1, fds=1)) == []


def test_growth_while_it_warms_up_does_not_count() -> None:
    cold = [replace(sample, rss=80 * MB, fds=30, threads=5, connections=1) for sample in samples()]
    assert grown([*cold[:4], *samples()[4:]]) == []


@pytest.mark.parametrize(("was", "became"), [(100, 111), (300, 321)])
def test_memory_may_grow_by_a_tenth_but_not_by_twenty_megabytes(was: int, became: int) -> None:
    def grow_to(late: int) -> list[str]:
        return grown(
            [replace(s, rss=(late if s.events > 800_000 else was) * MB) for s in samples()]
        )

    assert grow_to(became - 1) == []
    assert grow_to(became) != []


def test_a_run_that_ended_early_proves_nothing() -> None:
    assert grown(samples()[:1]) != []
    assert grown([]) != []


# --- Streams

Frames = list[dict[str, object]]
LOG: Frames = [
    {"sequence_number": 1, "status": "pending"},
    {"sequence_number": 2, "status": "in_progress"},
    {"sequence_number": 3},
    {"sequence_number": 4, "status": "completed"},
]


async def read(frames: Frames, after: int = 0) -> Position:
    """Read from a server that sends just these frames, and closes."""

    async def send(socket: ServerConnection) -> None:
        for frame in frames:
            await socket.send(json.dumps(frame))

    position = Position("a command", after, end=4)
    async with serve(send, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as socket:
            await position.read_until(socket, 4)
            await position.wait_until_closed(socket)
    return position


async def test_a_whole_stream_is_accepted() -> None:
    assert (await read(LOG)).is_at_end
    assert (await read(LOG[2:], after=2)).is_at_end
    assert (await read([], after=4)).is_at_end


@pytest.mark.parametrize(
    "frames",
    [
        [*LOG[:1], *LOG[2:]],
        [*LOG[:2], *LOG[1:]],
        LOG[:3],
        [*LOG[:2], {"sequence_number": 3, "status": "completed"}],
        [*LOG[:3], {"sequence_number": 4}],
    ],
    ids=["a gap", "a repeat", "closed early", "ended early", "no end"],
)
async def test_a_stream_that_differs_from_its_log_is_found(frames: Frames) -> None:
    with pytest.raises(Broken, match=r"^a command, after event \d of 4: "):
        await read(frames)


# --- Size of the load


@pytest.mark.parametrize(
    ("events", "connects"), [(3_000, 60), (50_000, 1_000), (1_000_000, 20_000), (9_999, 999)]
)
def test_the_load_has_at_least_the_requested_size(events: int, connects: int) -> None:
    size = size_of(events, connects)
    assert size.commands >= VEHICLES
    assert events <= size.commands * size.events < events + size.commands
    assert connects <= size.commands * (1 + size.visits) < connects + size.commands


@pytest.mark.parametrize("events", [100, 149, 150, 1000, 1049])
def test_a_log_is_written_in_batches_that_one_stream_can_queue(events: int) -> None:
    ends = targets(events)
    assert ends[-1] == events
    assert all(2 < after - before <= BATCH for before, after in pairwise([0, *ends]))
