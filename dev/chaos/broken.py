"""The product with one guard taken out, to see that the campaign notices.

Where a moment has to be hit by chance, it is made longer, as it is on a slow machine.

python -m dev.chaos.broken VARIANT daphne …    or    … VARIANT manage.py runworker
"""

import asyncio
import math
import os
import runpy
import sys
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django
from django.db import IntegrityError, transaction
from django.db.models import F

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
django.setup()

# As modules without types: what follows is not what they were made for.
execution: Any = import_module("commands.execution")
lifecycle: Any = import_module("commands.lifecycle")
models: Any = import_module("commands.models")
subscription: Any = import_module("commands.stream.subscription")

VARIANTS: dict[str, Callable[[], None]] = {}


def variant(function: Callable[[], None]) -> Callable[[], None]:
    VARIANTS[function.__name__] = function
    return function


@variant
def forwards_without_replay() -> None:
    """A subscriber gets what rings from now on, as of any group of Channels."""

    def forward(self: Any) -> list[Any]:
        lines = list(self._queue)
        self._queue.clear()
        return lines

    async def read_nothing(self: Any) -> list[Any]:
        self.is_behind = False
        return []

    subscription.Subscription._take_queue = forward
    subscription.Subscription._read_log = read_nothing


@variant
def claims_without_guard() -> None:
    """SELECT, then UPDATE, and nothing between them: two workers find the same row."""

    def claim(limit: int, has_suspect: bool = False) -> list[Any]:
        commands = list(models.Command.objects.claimable().select_related("vehicle")[:limit])
        time.sleep(0.05)
        return [command for command in commands if is_taken(command)]

    def is_taken(command: Any) -> bool:
        row = models.Command.objects.filter(pk=command.pk)
        try:
            with transaction.atomic():
                row.update(
                    status="in_progress",
                    claim_token=uuid.uuid4(),
                    lease_expires_at=lifecycle._lease_end(),
                    last_sequence_number=F("last_sequence_number") + 1,
                )
                command.refresh_from_db(fields=["claim_token", "last_sequence_number", "status"])
                told = lifecycle.events.status(models.Status.IN_PROGRESS)
                lifecycle._record([lifecycle._event(command, command.last_sequence_number, told)])
        except IntegrityError:  # its vehicle is busy with another command
            return False
        return True

    lifecycle.claim = claim


@variant
def writes_without_fence() -> None:
    """Who has once claimed a command may write of it for ever, and does not look at the clock."""
    begin = execution.Execution.__init__

    def begin_for_ever(self: Any, command: Any, connector: Any, lease_ends: float) -> None:
        begin(self, command, connector, math.inf)

    def anybody(command: Any) -> Any:
        row = models.Command.objects.filter(pk=command.pk)
        command.last_sequence_number = row.values_list("last_sequence_number", flat=True)[0]
        return row

    def held(commands: list[Any]) -> dict[Any, bool]:
        return {(command.pk, command.claim_token): False for command in commands}

    execution.Execution.__init__ = begin_for_ever
    lifecycle._still = lifecycle._ours = anybody
    lifecycle.held = held


@variant
def repeats_what_must_not_be() -> None:
    """Every command of a lost worker goes back into the line."""
    lifecycle._may_be_repeated = lambda command: True


@variant
def never_renews() -> None:
    """A lease is as long as a command may take."""
    lifecycle.renew = lambda commands: None


@variant
def rings_before_the_commit() -> None:
    """The bell tells of what may never come to be."""
    publish = lifecycle._publish

    def record(log: list[Any]) -> None:
        models.Event.objects.bulk_create(log)
        publish(log)
        time.sleep(0.2)

    lifecycle._record = record


@variant
def clears_the_bell_after_reading() -> None:
    """What rings while the log is read is never heard."""

    async def next_lines(self: Any) -> list[Any]:
        while True:
            lines: list[Any] = await self._read_log() if self.is_behind else self._take_queue()
            await asyncio.sleep(0.3)
            self._bell.clear()
            if lines:
                self.position = lines[-1].sequence_number
                return lines
            if not self.is_behind:
                await self._bell.wait()

    subscription.Subscription.next_lines = next_lines


def main() -> None:
    name, program, *arguments = sys.argv[1:]
    VARIANTS[name]()
    sys.argv = [program, *arguments]
    if program == "manage.py":
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__")


if __name__ == "__main__":
    main()
