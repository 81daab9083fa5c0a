"""Mutants of the product, each with one guard taken out: the campaign must fail on every one.

A moment that chance would have to hit is made longer, as it is on a slow machine.
"""

import asyncio
import math
import re
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from commands import events

# As modules without types, since mutants are not what the types promise.
execution: Any = import_module("commands.worker.execution")
lifecycle: Any = import_module("commands.lifecycle")
claims: Any = import_module("commands.lifecycle.claims")
claiming: Any = import_module("commands.lifecycle.claim_statements")
releases: Any = import_module("commands.lifecycle.releases")
steps: Any = import_module("commands.lifecycle.worker_moves")
writing: Any = import_module("commands.lifecycle.writing")
models: Any = import_module("commands.models")
subscription: Any = import_module("commands.stream.subscription")

MUTANTS: dict[str, Callable[[], None]] = {}


def mutant(function: Callable[[], None]) -> Callable[[], None]:
    MUTANTS[function.__name__] = function
    return function


@mutant
def forwards_without_replay() -> None:
    """Give a subscriber what is published from now on, as any group of Channels does."""

    def forward(self: Any) -> list[Any]:
        lines = list(self._queue)
        self._queue.clear()
        return lines

    async def read_nothing(self: Any) -> list[Any]:
        self.is_behind = False
        return []

    subscription.Subscription._take_queue = forward
    subscription.Subscription._read_log = read_nothing


@mutant
def claims_without_guard() -> None:
    """SELECT, then UPDATE, without a lock between them: two workers find the same row."""

    def claim(limit: int, *_: Any) -> list[Any]:
        first = models.Command.objects.with_may_run().filter(may_run=True)
        commands = list(first.order_by("turn", "command_id").select_related("vehicle")[:limit])
        claiming.read_ecus(commands)
        claims._attach_meanings(commands)
        time.sleep(0.05)
        return [command for command in commands if is_taken(command)]

    def is_taken(command: Any) -> bool:
        try:
            with transaction.atomic():
                row = models.Command.objects.filter(pk=command.pk)
                row.update(
                    status="in_progress",
                    claim_token=(token := uuid.uuid4()),
                    claim_sequence_number=F("last_sequence_number") + 1,
                    lease_expires_at=claiming.lease_end(),
                    sent_at=None,
                    last_sequence_number=F("last_sequence_number") + 1,
                )
                command.refresh_from_db(fields=["last_sequence_number", "status"])
                entry = events.status(models.Status.IN_PROGRESS)
                writing.record([writing.event_of(command, command.last_sequence_number, entry)])
        except IntegrityError:  # its vehicle is busy with another command
            return False
        command.claim_token, command.sent_at = token, None
        return True

    lifecycle.claim = claim


@mutant
def writes_without_fence() -> None:
    """Let a worker write about any command that it once claimed, whatever the clock says."""
    begin, write, store = execution.Execution.__init__, writing.write, steps.store

    def begin_for_ever(self: Any, command: Any, connector: Any, _: float, writer: Any) -> None:
        begin(self, command, connector, math.inf, writer)

    def unguarded(command: Any) -> Any:
        return models.Command.objects.filter(pk=command.pk)

    def write_anyway(command: Any, *arguments: Any, **changes: Any) -> None:
        command.refresh_from_db(fields=["last_sequence_number"])
        write(command, *arguments, **changes)

    def store_anyway(group: list[Any]) -> list[Any]:
        for step in group:
            step.command.refresh_from_db(fields=["last_sequence_number"])
        return list(store(group))

    def held(commands: list[Any]) -> dict[Any, bool]:
        return {(command.pk, command.claim_token): False for command in commands}

    execution.Execution.__init__ = begin_for_ever
    writing._unchanged_row = writing.claimed_row = unguarded
    writing.write = write_anyway
    guard = re.compile(r"command.status = .* = step.is_sent", re.DOTALL)
    steps.STATEMENT, _ = guard.subn("true", steps.STATEMENT, count=1)
    steps.store = store_anyway
    lifecycle.held = held


@mutant
def repeats_unsafe_commands() -> None:
    """Give every command of a lost worker back to the queue."""
    releases._may_be_repeated = lambda command: True


@mutant
def never_renews() -> None:
    """Make a lease the upper bound of a command's duration."""
    lifecycle.renew = lambda commands: None


@mutant
def publishes_before_the_commit() -> None:
    """Publish events that may never be committed."""
    store, publish = steps.store, writing.publish

    def record(log: list[Any]) -> None:
        models.Event.objects.bulk_create(log)
        publish(log)
        time.sleep(0.2)

    def store_and_publish(group: list[Any]) -> list[Any]:
        with transaction.atomic():
            log: list[Any] = store(group)
            publish(log)
            time.sleep(0.2)
        return log

    writing.record = record
    steps.store = store_and_publish


@mutant
def clears_the_wake_up_after_reading() -> None:
    """Lose the events that are published while the log is read."""

    async def next_lines(self: Any) -> list[Any]:
        while True:
            lines: list[Any] = await self._read_log() if self.is_behind else self._take_queue()
            await asyncio.sleep(0.3)
            self._wake.clear()
            if lines:
                self.position = lines[-1].sequence_number
                return lines
            if not self.is_behind:
                await self._wake.wait()

    subscription.Subscription.next_lines = next_lines


@mutant
def sends_again_after_taking_over() -> None:
    """Let a worker that takes over a command which was sent begin it anew."""
    run = execution.Execution._run

    async def run_anew(self: Any) -> None:
        self.command.sent_at = None
        await run(self)

    execution.Execution._run = run_anew


@mutant
def sends_without_marking() -> None:
    """Send what is not safe to repeat without noting it before."""

    async def note_nothing(self: Any, before: Any = None) -> None:
        self._check_time()

    execution.Execution.about_to_send = note_nothing
