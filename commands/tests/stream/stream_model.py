"""The stream as a small pure model, and a walk through all of its interleavings.

A step is a line of the real code, which its docstring quotes. Between any two steps every other
step is possible, which is more than the real code allows. There are one writer, one client and
three events. The last event is terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import ne
from typing import NamedTuple

EVENTS = 3
PAGE_LINES = 2  # fewer than EVENTS: the log is longer than a page

# The faults. Delay, reordering and a late join are no faults: they always happen.
DOUBLE = "the layer doubles"
LOSE = "the layer loses"
DIE = "the writer dies"
FAIL = "the database fails"
BREAK = "the connection breaks"


class Line(NamedTuple):
    number: int
    writer: int  # another writer may use the same number for another line

    def __str__(self) -> str:
        return f"{self.number}{'*' * self.writer}"


Lines = tuple[Line, ...]


class State(NamedTuple):
    faults: frozenset[str]  # one of them may happen
    has_poll: bool
    queue_lines: int
    has_room: bool | None = None  # the socket, for a line that is pushed; None: it takes none ever
    # The writer, the log, and the layer
    writer: int = 0
    log: Lines = ()
    published: int = 0
    in_flight: Lines = ()  # to arrive in any order
    is_member: bool = False  # of the group
    # The stream: its next step, the subscription, the lines that it is about to send
    at: str = "connect"
    position: int = 0
    is_behind: bool = True
    wake: bool = False
    queue: Lines = ()
    lines: Lines = ()
    # The lines that the poll has found and will offer, and those that the client has
    found: Lines = ()
    received: Lines = ()


STREAM = "is_member", "at", "position", "is_behind", "wake", "queue", "lines"
CLOSED = {name: State._field_defaults[name] for name in STREAM}

Step = tuple[str, State]
Steps = Iterator[Step]


class Stream:
    """The possible next steps. A wrong order is a subclass."""

    def steps(self, state: State) -> Steps:
        yield from self.write(state)
        yield from self.deliver(state)
        yield from getattr(self, state.at)(state)
        if state.at != "connect":
            yield from self.join_late(state)
            yield from self.poll(state)
            yield from self.lose_connection(state)
            yield from self.fill(state)

    # --- commands/lifecycle/ and commands/notifications.py: commit, then publish

    def write(self, state: State) -> Steps:
        """`transaction.on_commit(lambda: publish(log), robust=True)`"""
        if len(state.log) < EVENTS:
            yield self.append(state)
        if state.published < len(state.log):
            yield self.publish(state)
            yield from self.die(state)

    def append(self, state: State) -> Step:
        """`Event.objects.bulk_create(log)` and its commit"""
        line = Line(len(state.log) + 1, state.writer)
        return f"append {line}", state._replace(log=(*state.log, line))

    def publish(self, state: State) -> Step:
        """`await layer.group_send(group, message)`, which reaches the present members"""
        line = Line(state.published + 1, state.writer)
        arriving = (line,) if state.is_member else ()
        in_flight = tuple(sorted(state.in_flight + arriving))
        return f"publish {line}", state._replace(published=line.number, in_flight=in_flight)

    def die(self, state: State) -> Steps:
        """Keep the log, publish nothing more of it, and let another writer go on."""
        if DIE in state.faults:
            yield DIE, spend(state)._replace(writer=state.writer + 1, published=len(state.log))

    def deliver(self, state: State) -> Steps:
        """`self._on_message(await self._layer.receive(channel))`"""
        for i, line in enumerate(state.in_flight):
            rest = state._replace(in_flight=state.in_flight[:i] + state.in_flight[i + 1 :])
            yield f"deliver {line}", self.offer(rest, line)
            if LOSE in state.faults:
                yield f"{LOSE} {line}", spend(rest)
            if DOUBLE in state.faults:
                yield f"{DOUBLE} {line}", self.offer(spend(state), line)

    # --- commands/stream/connection_manager.py: join, then read; and the poll

    def connect(self, state: State) -> Steps:
        """`streams.add(subscription)`, a new one after the lines that the client has"""
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
        """`streams.discard(subscription)`: messages in flight miss it"""
        if BREAK in state.faults:
            yield BREAK, spend(state)._replace(**CLOSED)

    def poll(self, state: State) -> Steps:
        """`in_thread(missed_lines, known)`, and afterwards `self._offer(command_id, line)`"""
        if state.found:
            offered = reduce(self.offer, state.found, state._replace(found=()))
            yield f"the poll offers {text(state.found)}", offered
        elif state.has_poll and not state.is_behind and newest(state) < len(state.log):
            found = state.log[newest(state) :]
            yield f"the poll finds {text(found)}", state._replace(found=found)

    def fill(self, state: State) -> Steps:
        """Let the client read nothing for a while."""
        if state.has_room is not None:
            yield "fill" if state.has_room else "drain", state._replace(has_room=not state.has_room)

    # --- commands/stream/subscription.py: clear the wake-up, read the log, then wait

    def offer(self, state: State, line: Line) -> State:
        """`self._has_pushed(line)`, `if len(self._queue) < QUEUE_LINES:`, or no subscription"""
        if state.at == "connect":
            return state
        is_next = line.number == state.position + 1 and line.number < EVENTS
        if state.has_room and self.is_idle(state) and is_next:
            return state._replace(position=line.number, received=(*state.received, line))
        if len(state.queue) < state.queue_lines:
            return state._replace(queue=(*state.queue, line), wake=True)
        return self.fall_behind(state)

    def is_idle(self, state: State) -> bool:
        """`self._is_idle = not self._wake.is_set()`, which `self._is_idle = False` ends"""
        return state.at == "wait" and not state.wake

    def fall_behind(self, state: State) -> State:
        """`self._queue.clear()`, `self.is_behind = True`, `self._wake.set()`"""
        return state._replace(queue=(), is_behind=True, wake=True)

    def clear(self, state: State) -> Steps:
        """`self._wake.clear()`"""
        yield (
            "clear",
            state._replace(wake=False, at="read" if state.is_behind else "take"),
        )

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
        """`await self._wake.wait()`"""
        if state.wake:
            yield "wake", state._replace(at="clear")


def newest(state: State) -> int:
    return state.queue[-1].number if state.queue else state.position


def spend(state: State) -> State:
    return state._replace(faults=frozenset())


def text(lines: Sequence[Line]) -> str:
    return f"[{', '.join(map(str, lines))}]"


# --- Every interleaving


@dataclass(eq=False, slots=True)
class Node:
    """A state, the last step of the shortest path to it, and its fault-free predecessors."""

    state: State
    step: str = ""
    parent: "Node | None" = None
    before: "list[Node]" = field(default_factory=list)

    @property
    def path(self) -> list[str]:
        return [*self.parent.path, self.step] if self.parent else []


class Walk:
    """A visit of every state that can be reached, the nearest first, up to the first wrong one."""

    def __init__(self, stream: Stream, start: State) -> None:
        self.nodes = [Node(start)]
        self._known = {start: self.nodes[0]}
        for node in self.nodes:  # the list grows meanwhile
            if is_wrong(node.state):
                break
            if not is_finished(node.state):
                self._go_on(node, stream.steps(node.state))

    def _go_on(self, node: Node, steps: Steps) -> None:
        for step, state in steps:
            if state not in self._known:
                self._known[state] = Node(state, step, node)
                self.nodes.append(self._known[state])
            if state.faults == node.state.faults:
                self._known[state].before.append(node)

    def counterexample(self) -> list[str]:
        """Return the steps to a wrong state, and that state. Return nothing if there is none."""
        wrong = [node for node in self.nodes if is_wrong(node.state)] or self._lost()
        return [*wrong[0].path, verdict(wrong[0].state)] if wrong else []

    def _lost(self) -> list[Node]:
        """Return the states from which nothing leads to the end; dead ends come first."""
        good = [node for node in self.nodes if is_finished(node.state)]
        seen = set(good)
        for node in good:  # the list grows meanwhile
            good += (new := set(node.before) - seen)
            seen |= new
        lost = [node for node in self.nodes if node not in seen]
        leads_on = {before for node in lost for before in node.before}
        return sorted(lost, key=leads_on.__contains__)


def is_finished(state: State) -> bool:
    return len(state.received) == EVENTS


def is_wrong(state: State) -> bool:
    """Tell whether the client has other lines than the first ones of the log, in order."""
    numbers = [line.number for line in state.received]
    return numbers != list(range(1, len(numbers) + 1)) or any(map(ne, state.received, state.log))


def verdict(state: State) -> str:
    outcome = "receives" if is_wrong(state) else "stuck with"
    return f"{outcome} {text(state.received)} of {text(state.log)}"
