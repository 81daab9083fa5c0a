"""The rows of commands and events, as the tests of the lifecycle write and read them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connections, transaction

from commands import lifecycle
from commands.models import Command

HOUR = timedelta(hours=1)


def put(command: Command, **fields: Any) -> None:
    """Write a state or a time into the row."""
    Command.objects.filter(pk=command.pk).update(**fields)


def told(command: Command) -> list[Any]:
    """Return the log in short: statuses, responses and error codes."""
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status") or event.payload["response"] for event in log]


def every_write() -> list[Callable[[Command], Any]]:
    return [
        lambda command: lifecycle.respond(command, {"n": 1}),
        lambda command: lifecycle.complete(command, {"n": 2}),
        lambda command: lifecycle.fail(command, "vehicle_refused", "No."),
        lambda command: lifecycle.time_out(command, "Silence."),
        lifecycle.cancel_running,
        lifecycle.release,
        lifecycle.mark_sent,
    ]


@contextmanager
def another_connection(work: Callable[[], Any]) -> Iterator[None]:
    """Hold a transaction open, in which `work` was done, on a connection of its own."""
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            work()
            begun.set()
            may_end.wait(10)
        connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert begun.wait(10)
        try:
            yield
        finally:
            may_end.set()
        holding.result()
