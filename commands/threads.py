"""The way from the event loop to the database."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, close_old_connections

# What a statement raises when Postgres is away, gives way to a standby, or took a lock or an idle
# transaction for too long: try again, or say so.
CONNECTION_LOST = (InterfaceError, InternalError, OperationalError)

EXPORTS_AT_ONCE = 2  # of this process

P = ParamSpec("P")
T = TypeVar("T")

# Half of the connection pool, so that HTTP requests always find a connection. (Channels' own
# helper shares one thread per process: five one-second calls of five sockets take five seconds.)
_threads = ThreadPoolExecutor(max(1, settings.DATABASE_POOL_SIZE // 2), thread_name_prefix="orm")
# Exports read for minutes: neither a stream nor a worker waits behind them.
_export_threads = ThreadPoolExecutor(EXPORTS_AT_ONCE, thread_name_prefix="export")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what touches the database in a thread that gives its connection back afterwards.

    A cancelled caller does not stop the thread: what it writes may be written all the same.
    """
    return await _in_one_of(_threads, partial(function, *args, **kwargs))


async def in_export_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await _in_one_of(_export_threads, partial(function, *args, **kwargs))


async def _in_one_of(threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    call = partial(copy_context().run, _call, function)
    return await asyncio.get_running_loop().run_in_executor(threads, call)


def _call(function: Callable[[], T]) -> T:
    with connection_given_back():
        return function()


@contextmanager
def connection_given_back() -> Iterator[None]:
    """To the pool: this thread's, at the end."""
    try:
        yield
    finally:
        close_old_connections()
