"""Why nothing is missed, repeated or reordered: three events, every interleaving.

In the right order all is well and the end is always near. Of each wrong order the walk finds the
shortest way to a client that has what it must not have, or waits for what never comes.
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
from commands.tests.stream_model import (
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


def start(*faults: str, has_net: bool = False, queue_lines: int = 2) -> State:
    return State(frozenset(faults), has_net, queue_lines)


class PromptNet(Stream):
    """What it catches it offers at once, so that the walk with faults is shorter."""

    def cast_net(self, state: State) -> Steps:
        for name, cast in super().cast_net(state):
            yield name, next(super().cast_net(cast))[1]


class NoLayer(PromptNet):
    """Nobody hears anything: two processes in embedded mode, or Redis that stays away."""

    def join(self, state: State) -> Steps:
        yield "wait no longer for the group", state._replace(at="clear")

    def join_late(self, state: State) -> Steps:
        yield from ()


@pytest.mark.parametrize(
    ("stream", "start"),
    [
        (Stream(), start()),
        (Stream(), start(DOUBLE, FAIL, BREAK)),
        (Stream(), start(has_net=True, queue_lines=1)),
        (PromptNet(), start(LOSE, DIE, DOUBLE, FAIL, BREAK, has_net=True, queue_lines=1)),
        (NoLayer(), start(DIE, FAIL, BREAK, has_net=True)),
    ],
    ids=["no fault", "no loss", "no fault, and a net", "loss, and a net", "a net alone"],
)
def test_every_event_once_and_in_order(stream: Stream, start: State) -> None:
    walk = Walk(stream, start)
    story = walk.counterexample()
    assert not story, "\n".join(story)
    assert all(len(place.state.received) <= len(place.state.log) for place in walk.places)


# --- Wrong orders, and how the shortest story of each ends


class Wrong(Stream):
    faults: tuple[str, ...] = ()
    ends: str


def but(steps: Steps, **changes: Any) -> Steps:
    return ((name, state._replace(**changes)) for name, state in steps)


class ReadBeforeSubscribe(Wrong):
    ends = "ring 3; join; stuck with [] of [1, 2, 3]"

    def connect(self, state: State) -> Steps:
        for _, connected in super().connect(state):
            for name, read in self.look(connected):
                is_behind = len(read.lines) == PAGE_LINES
                yield f"connect, and {name}", read._replace(is_behind=is_behind, at="join")

    def join(self, state: State) -> Steps:
        yield "join", self.hand_out(state._replace(is_member=True), state.lines)


class ForwardWithoutReplay(Wrong):
    ends = "join; clear the bell; take [] of []; stuck with [] of [1, 2, 3]"

    def connect(self, state: State) -> Steps:
        return but(super().connect(state), is_behind=False)


class ReadOnePage(Wrong):
    ends = "send 2; clear the bell; take [] of []; stuck with [1, 2] of [1, 2, 3]"

    def page(self, state: State) -> Steps:
        yield "end the read", self.hand_out(state, state.lines)


class ClearAfterRead(Wrong):
    """The net does not help: what is in the queue has arrived."""

    ends = "ring 3; deliver 3; end the read; stuck with [1, 2] of [1, 2, 3]"

    def clear(self, state: State) -> Steps:
        return but(super().clear(state), bell=state.bell)

    def hand_out(self, state: State, lines: Lines) -> State:
        return super().hand_out(state._replace(bell=False), lines)


class NotBehindAfterRead(Wrong):
    ends = "end the read; send 1; clear the bell; take [] of []; stuck with [1] of [1, 2, 3]"

    def read(self, state: State) -> Steps:
        return but(super().read(state), is_behind=True)

    def page(self, state: State) -> Steps:
        return super().page(state._replace(is_behind=False))


class RingBeforeCommit(Wrong):
    ends = "the log has []; append 3; end the read; stuck with [1, 2] of [1, 2, 3]"

    def write(self, state: State) -> Steps:
        if state.rung == len(state.log) < EVENTS:
            yield self.ring(state)
        if state.rung > len(state.log):
            yield self.append(state)
            yield from self.die(state)


class DieBeforeCommit(RingBeforeCommit):
    faults = (DIE,)
    ends = "wake; clear the bell; take [1] of [1]; send 1; receives [1] of [1*]"


class ForwardAcrossGaps(Wrong):
    ends = "deliver 2; end the read; wake; clear the bell; take [2]; send 2; receives [2] of [1, 2]"

    def take(self, state: State) -> Steps:
        new = tuple(line for line in state.queue if line.number > state.position)
        yield f"take {text(new)}", self.hand_out(state._replace(queue=()), new)


class ForwardDuplicates(Wrong):
    ends = "send 1; clear the bell; take [1]; send 1; receives [1, 1] of [1]"

    def take(self, state: State) -> Steps:
        old = tuple(line for line in state.queue if line.number <= state.position)
        again = f"take {text(old)}", self.hand_out(state._replace(queue=()), old)
        return iter([again]) if old else super().take(state)


class DropWhenFull(Wrong):
    ends = (
        "take [2] of [1, 2]; send 2; clear the bell; take [] of []; stuck with [1, 2] of [1, 2, 3]"
    )

    def offer(self, state: State, line: Line) -> State:
        is_full = len(state.queue) == state.queue_lines
        return state._replace(bell=True) if is_full else super().offer(state, line)


class FallBehindSilently(Wrong):
    ends = "end the read; join late; stuck with [] of [1, 2, 3]"

    def fall_behind(self, state: State) -> State:
        return super().fall_behind(state)._replace(bell=state.bell)


class JoinLateUnnoticed(Wrong):
    ends = "end the read; join late; stuck with [] of [1, 2, 3]"

    def join_late(self, state: State) -> Steps:
        return ((name, state._replace(is_member=True)) for name, _ in super().join_late(state))


class ResumeFromTheStart(Wrong):
    faults = (BREAK,)
    ends = "the log has [1]; end the read; send 1; receives [1, 1] of [1]"

    def connect(self, state: State) -> Steps:
        return but(super().connect(state), position=0)


class LoseWithoutNet(Wrong):
    faults = (LOSE,)
    ends = "ring 3; the layer loses 3; end the read; stuck with [1, 2] of [1, 2, 3]"


class DieWithoutNet(Wrong):
    faults = (DIE,)
    ends = "append 3; the writer dies; end the read; stuck with [] of [1, 2, 3]"


@pytest.mark.parametrize("wrong", [*Wrong.__subclasses__(), DieBeforeCommit])
def test_a_wrong_order_is_refuted(wrong: type[Wrong]) -> None:
    story = "; ".join(Walk(wrong(), start(*wrong.faults)).counterexample())
    assert story.endswith(wrong.ends), story


# --- The real code follows the model


def test_the_model_quotes_the_code() -> None:
    folder = Path(commands.__file__).parent
    code = "".join(path.read_text() for path in [*folder.glob("*.py"), *folder.glob("stream/*.py")])
    quotes = re.findall("`(.+?)`", "".join(step.__doc__ or "" for step in vars(Stream).values()))
    assert len(quotes) > 20
    assert [quote for quote in quotes if quote not in code] == []


def test_the_subscription_moves_like_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in its queue, when it is asked for its lines or offered any other."""
    monkeypatch.setattr(subscription, "QUEUE_LINES", start().queue_lines)
    for place in Walk(Stream(), start()).places:
        state = place.state._replace(at="take", lines=())
        real, after = subscription_in(state), next(Stream().take(state))[1]
        assert real.newest == newest(state)
        real.position += len(real._take_queue())
        assert content(real) == content(subscription_in(after)), state
        for line in (Line(number, writer=0) for number in range(1, EVENTS + 1)):
            real, after = subscription_in(state), Stream().offer(state, line)
            real.offer(line_of(line))
            assert content(real) == content(subscription_in(after)), state


def subscription_in(state: State) -> Subscription:
    real = Subscription(uuid4(), user_id=1, after=state.position)
    real.is_behind = state.is_behind
    real._queue.extend(map(line_of, state.queue))
    if state.bell:
        real._bell.set()
    return real


def line_of(line: Line) -> events.Line:
    return events.Line(
        line.number, str(line), line.number == EVENTS, datetime(2026, 1, 1, tzinfo=UTC)
    )


def content(real: Subscription) -> tuple[Any, ...]:
    return real.position, real.is_behind, real._bell.is_set(), list(real._queue)
