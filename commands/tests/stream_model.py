"""The stream as a small pure model, and a walk through every interleaving of it.

A step is a line of the real code, which its docstring quotes, and between any two steps everything
else may happen: that is more than the real code allows. There are one writer, one client, and three
events, the last of which is terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import ne
from typing import NamedTuple

EVENTS = 3
PAGE_LINES = 2  # so few that the log is longer than a page

# What may go wrong. Delay, reordering and a late join need no fault.
DOUBLE = "the layer doubles"
LOSE = "the layer loses"
DIE = "the writer dies"
FAIL = "the database fails"
BREAK = "the connection breaks"


class Line(NamedTuple):
    number: int
    writer: int  # the next one may use a number again, but for another line

    def __str__(self) -> str:
        return f"{self.number}{'*' * self.writer}"


Lines = tuple[Line, ...]


class State(NamedTuple):
    faults: frozenset[str]  # of which one may happen
    has_net: bool
    queue_lines: int
    # The writer, the log, and the layer
    writer: int = 0
    log: Lines = ()
    rung: int = 0
    in_flight: Lines = ()  # to arrive in any order
    is_member: bool = False  # of the group
    # The stream: which step is next, the subscription, what is about to be sent
    at: str = "connect"
    position: int = 0
    is_behind: bool = True
    bell: bool = False
    queue: Lines = ()
    lines: Lines = ()
    # What the net caught and will offer, and what the client has
    caught: Lines = ()
    received: Lines = ()


STREAM = "is_member", "at", "position", "is_behind", "bell", "queue", "lines"
CLOSED = {name: State._field_defaults[name] for name in STREAM}

Step = tuple[str, State]
Steps = Iterator[Step]


class Stream:
    """Which steps may come next. A wrong order is a subclass."""

    def steps(self, state: State) -> Steps:
        yield from self.write(state)
        yield from self.deliver(state)
        yield from getattr(self, state.at)(state)
        if state.at != "connect":
            yield from self.join_late(state)
            yield from self.cast_net(state)
            yield from self.lose_connection(state)

    # --- commands/lifecycle.py and commands/doorbell.py: commit, then ring

    def write(self, state: State) -> Steps:
        """`transaction.on_commit(lambda: _publish(log), robust=True)`"""
        if len(state.log) < EVENTS:
            yield self.append(state)
        if state.rung < len(state.log):
            yield self.ring(state)
            yield from self.die(state)

    def append(self, state: State) -> Step:
        """`Event.objects.bulk_create(log)` and its commit"""
        line = Line(len(state.log) + 1, state.writer)
        return f"append {line}", state._replace(log=(*state.log, line))

    def ring(self, state: State) -> Step:
        """`await layer.group_send(group, message)`, which reaches the members of this moment"""
        line = Line(state.rung + 1, state.writer)
        heard = (line,) if state.is_member else ()
        in_flight = tuple(sorted(state.in_flight + heard))
        return f"ring {line}", state._replace(rung=line.number, in_flight=in_flight)

    def die(self, state: State) -> Steps:
        """The log stays, what was not rung never rings, and another writer goes on."""
        if DIE in state.faults:
            yield DIE, spend(state)._replace(writer=state.writer + 1, rung=len(state.log))

    def deliver(self, state: State) -> Steps:
        """`self._on_message(await self._layer.receive(channel))`"""
        for i, line in enumerate(state.in_flight):
            rest = state._replace(in_flight=state.in_flight[:i] + state.in_flight[i + 1 :])
            yield f"deliver {line}", self.offer(rest, line)
            if LOSE in state.faults:
                yield f"{LOSE} {line}", spend(rest)
            if DOUBLE in state.faults:
                yield f"{DOUBLE} {line}", self.offer(spend(state), line)

    # --- commands/stream/connections.py: join, then read; and the net

    def connect(self, state: State) -> Steps:
        """`streams.add(subscription)`, a new one after what the client has"""
        after = len(state.received)
        yield f"connect after {after}", state._replace(at="join", position=after)

    def join(self, state: State) -> Steps:
        """`done, _ = await asyncio.wait([joined], timeout=JOIN_SECONDS)`"""
        yield "join", state._replace(is_member=True, at="clear")
        yield "wait no longer for the group", state._replace(at="clear")

    def join_late(self, state: State) -> Steps:
        """`joined.add_done_callback(lambda _: subscription.fall_behind())`"""
        if state.at != "join" and not state.is_member:
            yield "join late", self.fall_behind(state._replace(is_member=True))

    def lose_connection(self, state: State) -> Steps:
        """`streams.discard(subscription)`: what is in flight meets nobody, or the next one"""
        if BREAK in state.faults:
            yield BREAK, spend(state)._replace(**CLOSED)

    def cast_net(self, state: State) -> Steps:
        """`in_thread(missed_lines, known)`, and when it ends `self._offer(command_id, line)`"""
        if state.caught:
            offered = reduce(self.offer, state.caught, state._replace(caught=()))
            yield f"the net offers {text(state.caught)}", offered
        elif state.has_net and not state.is_behind and newest(state) < len(state.log):
            caught = state.log[newest(state) :]
            yield f"the net catches {text(caught)}", state._replace(caught=caught)

    # --- commands/stream/subscription.py: clear the bell, read the log, then wait

    def offer(self, state: State, line: Line) -> State:
        """`if len(self._queue) < QUEUE_LINES:`, and without a subscription nothing"""
        if state.at == "connect":
            return state
        if len(state.queue) < state.queue_lines:
            return state._replace(queue=(*state.queue, line), bell=True)
        return self.fall_behind(state)

    def fall_behind(self, state: State) -> State:
        """`self._queue.clear()`, `self.is_behind = True`, `self._bell.set()`"""
        return state._replace(queue=(), is_behind=True, bell=True)

    def clear(self, state: State) -> Steps:
        """`self._bell.clear()`"""
        yield "clear the bell", state._replace(bell=False, at="read" if state.is_behind else "take")

    def read(self, state: State) -> Steps:
        """`self.is_behind = False`"""
        yield "begin to read", state._replace(is_behind=False, at="look")

    def look(self, state: State) -> Steps:
        """`page = await in_thread(read_log, self.command_id, self.position)`"""
        page = state.log[state.position : state.position + PAGE_LINES]
        yield f"the log has {text(page)}", state._replace(lines=page, at="page")
        if FAIL in state.faults:
            yield FAIL, spend(state)._replace(at="read")

    def page(self, state: State) -> Steps:
        """`self.is_behind |= len(page) == PAGE_LINES`"""
        is_behind = state.is_behind or len(state.lines) == PAGE_LINES
        yield "end the read", self.hand_out(state._replace(is_behind=is_behind), state.lines)

    def take(self, state: State) -> Steps:
        """`if line.sequence_number == turn:`, `elif line.sequence_number > turn:`"""
        after = state._replace(queue=())
        lines: list[Line] = []
        for line in state.queue:
            turn = state.position + len(lines) + 1
            if line.number == turn:
                lines.append(line)
            elif line.number > turn:
                after = self.fall_behind(after)
                break
        yield f"take {text(lines)} of {text(state.queue)}", self.hand_out(after, tuple(lines))

    def hand_out(self, state: State, lines: Lines) -> State:
        """`self.position = lines[-1].sequence_number`, or `if not self.is_behind:`"""
        if lines:
            return state._replace(position=lines[-1].number, lines=lines, at="send")
        return state._replace(at="clear" if state.is_behind else "wait")

    def send(self, state: State) -> Steps:
        """`await self.send(text_data=line.text)`"""
        line, rest = state.lines[0], state.lines[1:]
        sent = state._replace(received=(*state.received, line), lines=rest)
        yield f"send {line}", sent._replace(at="send" if rest else "clear")

    def wait(self, state: State) -> Steps:
        """`await self._bell.wait()`"""
        if state.bell:
            yield "wake", state._replace(at="clear")


def newest(state: State) -> int:
    return state.queue[-1].number if state.queue else state.position


def spend(state: State) -> State:
    return state._replace(faults=frozenset())


def text(lines: Sequence[Line]) -> str:
    return f"[{', '.join(map(str, lines))}]"


# --- Every interleaving


@dataclass(eq=False, slots=True)
class Place:
    """A state, the last step of the shortest way to it, and from where no fault leads to it."""

    state: State
    step: str = ""
    parent: "Place | None" = None
    before: "list[Place]" = field(default_factory=list)

    @property
    def story(self) -> list[str]:
        return [*self.parent.story, self.step] if self.parent else []


class Walk:
    """To every state that can be reached, the nearest first, or up to one that must not be."""

    def __init__(self, stream: Stream, start: State) -> None:
        self.places = [Place(start)]
        self._known = {start: self.places[0]}
        for place in self.places:  # which grows meanwhile
            if is_wrong(place.state):
                break
            if not is_finished(place.state):
                self._go_on(place, stream.steps(place.state))

    def _go_on(self, place: Place, steps: Steps) -> None:
        for step, state in steps:
            if state not in self._known:
                self._known[state] = Place(state, step, place)
                self.places.append(self._known[state])
            if state.faults == place.state.faults:
                self._known[state].before.append(place)

    def counterexample(self) -> list[str]:
        """The steps to what must not be, and what that is. Empty if all is well."""
        wrong = [place for place in self.places if is_wrong(place.state)] or self._lost()
        return [*wrong[0].story, verdict(wrong[0].state)] if wrong else []

    def _lost(self) -> list[Place]:
        """From where nothing leads to the end; first, from where nothing leads on at all."""
        good = [place for place in self.places if is_finished(place.state)]
        seen = set(good)
        for place in good:  # which grows meanwhile
            good += (new := set(place.before) - seen)
            seen |= new
        lost = [place for place in self.places if place not in seen]
        leads_on = {before for place in lost for before in place.before}
        return sorted(lost, key=leads_on.__contains__)


def is_finished(state: State) -> bool:
    return len(state.received) == EVENTS


def is_wrong(state: State) -> bool:
    """What the client has is not 1, 2, 3 … or not what the log has by these numbers."""
    numbers = [line.number for line in state.received]
    return numbers != list(range(1, len(numbers) + 1)) or any(map(ne, state.received, state.log))


def verdict(state: State) -> str:
    what = "receives" if is_wrong(state) else "stuck with"
    return f"{what} {text(state.received)} of {text(state.log)}"
