"""Proof by a model that no event is missed, repeated or reordered: all interleavings of three.

In the right order every path leads to the end. For each wrong order the walk finds the shortest
path to a client that has a wrong line, or that waits for a line that never comes.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import commands
from commands import events
from commands.stream import subscription
from commands.stream.subscription import Subscription
from commands.tests.stream.stream_model import (
    BREAK,
    DIE,
    DOUBLE,
    EVENTS,
    FAIL,
    LOSE,
    PAGE_LINES,
    Line,
    Lines,
    State,
    Steps,
    Stream,
    Walk,
    newest,
    text,
)


def start(
    *faults: str, has_poll: bool = False, queue_lines: int = 2, has_room: bool | None = None
) -> State:
    return State(frozenset(faults), has_poll, queue_lines, has_room)


class PromptPoll(Stream):
    """A poll that offers at once what it finds, so that the walk with faults is shorter."""

    def poll(self, state: State) -> Steps:
        for name, polled in super().poll(state):
            yield name, next(super().poll(polled))[1]


class NoLayer(PromptPoll):
    """No message arrives: two processes in embedded mode, or Redis that stays away."""

    def join(self, state: State) -> Steps:
        yield "wait no longer for the group", state._replace(at="clear")

    def join_late(self, state: State) -> Steps:
        yield from ()


@pytest.mark.parametrize(
    ("stream", "start"),
    [
        (Stream(), start()),
        (Stream(), start(DOUBLE, FAIL, BREAK)),
        (Stream(), start(has_poll=True, queue_lines=1)),
        (PromptPoll(), start(LOSE, DIE, DOUBLE, FAIL, BREAK, has_poll=True, queue_lines=1)),
        (NoLayer(), start(DIE, FAIL, BREAK, has_poll=True)),
        (Stream(), start(DOUBLE, FAIL, BREAK, has_room=True)),
        (PromptPoll(), start(LOSE, DIE, DOUBLE, has_poll=True, queue_lines=1, has_room=True)),
    ],
    ids=[
        "no fault",
        "no loss",
        "no fault, and a poll",
        "loss, and a poll",
        "a poll alone",
        "pushes, no loss",
        "pushes, loss, and a poll",
    ],
)
def test_the_client_has_every_event_once_and_in_order(stream: Stream, start: State) -> None:
    walk = Walk(stream, start)
    path = walk.counterexample()
    assert not path, "\n".join(path)
    assert all(len(node.state.received) <= len(node.state.log) for node in walk.nodes)


# --- Wrong orders, and how the shortest path of each ends


class Wrong(Stream):
    faults: tuple[str, ...] = ()
    has_room: bool | None = None
    ends: str


def but(steps: Steps, **changes: Any) -> Steps:
    return ((name, state._replace(**changes)) for name, state in steps)


class ReadBeforeSubscribe(Wrong):
    ends = "publish 3; join; stuck with [] of [1, 2, 3]"

    def connect(self, state: State) -> Steps:
        for _, connected in super().connect(state):
            for name, read in self.look(connected):
                is_behind = len(read.lines) == PAGE_LINES
                yield f"connect, and {name}", read._replace(is_behind=is_behind, at="join")

    def join(self, state: State) -> Steps:
        yield "join", self.hand_out(state._replace(is_member=True), state.lines)


class ForwardWithoutReplay(Wrong):
    ends = "join; clear; take [] of []; stuck with [] of [1, 2, 3]"

    def connect(self, state: State) -> Steps:
        return but(super().connect(state), is_behind=False)


class ReadOnePage(Wrong):
    ends = "send 2; clear; take [] of []; stuck with [1, 2] of [1, 2, 3]"

    def page(self, state: State) -> Steps:
        yield "end the read", self.hand_out(state, state.lines)


class ClearAfterRead(Wrong):
    """The poll does not help: the line in the queue counts as arrived."""

    ends = "publish 3; deliver 3; end the read; stuck with [1, 2] of [1, 2, 3]"

    def clear(self, state: State) -> Steps:
        return but(super().clear(state), wake=state.wake)

    def hand_out(self, state: State, lines: Lines) -> State:
        return super().hand_out(state._replace(wake=False), lines)


class NotBehindAfterRead(Wrong):
    ends = "end the read; send 1; clear; take [] of []; stuck with [1] of [1, 2, 3]"

    def read(self, state: State) -> Steps:
        return but(super().read(state), is_behind=True)

    def page(self, state: State) -> Steps:
        return super().page(state._replace(is_behind=False))


class PublishBeforeCommit(Wrong):
    ends = "the log has []; append 3; end the read; stuck with [1, 2] of [1, 2, 3]"

    def write(self, state: State) -> Steps:
        if state.published == len(state.log) < EVENTS:
            yield self.publish(state)
        if state.published > len(state.log):
            yield self.append(state)
            yield from self.die(state)


class DieBeforeCommit(PublishBeforeCommit):
    faults = (DIE,)
    ends = "wake; clear; take [1] of [1]; send 1; receives [1] of [1*]"


class ForwardAcrossGaps(Wrong):
    ends = "deliver 2; end the read; wake; clear; take [2]; send 2; receives [2] of [1, 2]"

    def take(self, state: State) -> Steps:
        new = tuple(line for line in state.queue if line.number > state.position)
        yield f"take {text(new)}", self.hand_out(state._replace(queue=()), new)


class ForwardDuplicates(Wrong):
    ends = "send 1; clear; take [1]; send 1; receives [1, 1] of [1]"

    def take(self, state: State) -> Steps:
        old = tuple(line for line in state.queue if line.number <= state.position)
        again = f"take {text(old)}", self.hand_out(state._replace(queue=()), old)
        return iter([again]) if old else super().take(state)


class DropWhenFull(Wrong):
    ends = "take [2] of [1, 2]; send 2; clear; take [] of []; stuck with [1, 2] of [1, 2, 3]"

    def offer(self, state: State, line: Line) -> State:
        is_full = len(state.queue) == state.queue_lines
        return state._replace(wake=True) if is_full else super().offer(state, line)


class FallBehindSilently(Wrong):
    ends = "end the read; join late; stuck with [] of [1, 2, 3]"

    def fall_behind(self, state: State) -> State:
        return super().fall_behind(state)._replace(wake=state.wake)


class JoinLateUnnoticed(Wrong):
    ends = "end the read; join late; stuck with [] of [1, 2, 3]"

    def join_late(self, state: State) -> Steps:
        return ((name, state._replace(is_member=True)) for name, _ in super().join_late(state))


class ResumeFromTheStart(Wrong):
    faults = (BREAK,)
    ends = "the log has [1]; end the read; send 1; receives [1, 1] of [1]"

    def connect(self, state: State) -> Steps:
        return but(super().connect(state), position=0)


class PushWhileBusy(Wrong):
    has_room = True
    ends = "the log has [1]; deliver 1; end the read; send 1; receives [1, 1] of [1]"

    def is_idle(self, state: State) -> bool:
        return state.at != "connect"


class LoseWithoutPoll(Wrong):
    faults = (LOSE,)
    ends = "publish 3; the layer loses 3; end the read; stuck with [1, 2] of [1, 2, 3]"


class DieWithoutPoll(Wrong):
    faults = (DIE,)
    ends = "append 3; the writer dies; end the read; stuck with [] of [1, 2, 3]"


@pytest.mark.parametrize("wrong", [*Wrong.__subclasses__(), DieBeforeCommit])
def test_the_walk_refutes_each_wrong_order(wrong: type[Wrong]) -> None:
    began = start(*wrong.faults, has_room=wrong.has_room)
    path = "; ".join(Walk(wrong(), began).counterexample())
    assert path.endswith(wrong.ends), path


# --- The real code follows the model


def test_the_model_quotes_the_code() -> None:
    folder = Path(commands.__file__).parent
    paths = [path for part in ("", "lifecycle", "stream") for path in (folder / part).glob("*.py")]
    code = "".join(path.read_text() for path in paths)
    quotes = re.findall("`(.+?)`", "".join(step.__doc__ or "" for step in vars(Stream).values()))
    assert len(quotes) > 20
    assert [quote for quote in quotes if quote not in code] == []


def test_the_subscription_moves_like_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each queue of the model hands out the same lines, and has the same state after each offer."""
    monkeypatch.setattr(subscription, "QUEUE_LINES", start().queue_lines)
    for node in Walk(Stream(), start(has_room=True)).nodes:
        state = node.state._replace(at="take", lines=())
        real, after = subscription_in(state), next(Stream().take(state))[1]
        assert real.newest == newest(state)
        real.position += len(real._take_queue())
        assert content(real) == content(subscription_in(after)), state
        for line in (Line(number, writer=0) for number in range(1, EVENTS + 1)):
            for at in ("take", "wait"):
                check_offer(state._replace(at=at), line)


def check_offer(state: State, line: Line) -> None:
    real, after = subscription_in(state), Stream().offer(state, line)
    is_pushed = real.offer(line_of(line))
    assert content(real) == content(subscription_in(after)), state
    assert is_pushed == (len(after.received) > len(state.received))


def subscription_in(state: State) -> Subscription:
    real = Subscription(uuid4(), after=state.position)
    real.is_behind = state.is_behind
    real.push = lambda _: bool(state.has_room)
    real._queue.extend(map(line_of, state.queue))
    if state.wake:
        real._wake.set()
    real._is_idle = state.at == "wait" and not state.wake
    return real


def line_of(line: Line) -> events.Line:
    return events.Line(
        line.number, str(line), line.number == EVENTS, datetime(2026, 1, 1, tzinfo=UTC)
    )


def content(real: Subscription) -> tuple[Any, ...]:
    return real.position, real.is_behind, real._wake.is_set(), list(real._queue)
