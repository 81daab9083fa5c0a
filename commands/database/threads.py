"""Threads in which the event loop uses the database."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, close_old_connections

# Errors of a statement when Postgres is away, busy or read-only, or ended a transaction: try again,
# or report it. `errors.py` tells them apart.
CONNECTION_LOST = (InterfaceError, InternalError, OperationalError)

EXPORTS_AT_ONCE = 2  # of this process
FACADE_AT_ONCE = 4

P = ParamSpec("P")
T = TypeVar("T")

# Half of the connection pool, so that HTTP requests always find a connection. (Channels' own
# helper shares one thread per process: five one-second calls of five sockets take five seconds.)
_threads = ThreadPoolExecutor(max(1, settings.DATABASE_POOL_SIZE // 2), thread_name_prefix="orm")
# Exports read for minutes: neither a stream nor a worker waits behind them.
_export_threads = ThreadPoolExecutor(EXPORTS_AT_ONCE, thread_name_prefix="export")
# A caller of the façade may submit faster than is good for streams and workers.
_facade_threads = ThreadPoolExecutor(FACADE_AT_ONCE, thread_name_prefix="facade")
# An import takes minutes.
_import_threads = ThreadPoolExecutor(1, thread_name_prefix="import")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that uses the database in a thread, and release its connection afterwards.

    Cancelling the caller does not stop the thread: its writes may still be committed.
    """
    return await _in_one_of(_threads, partial(function, *args, **kwargs))


async def in_export_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function like `in_thread`, in the threads of exports."""
    return await _in_one_of(_export_threads, partial(function, *args, **kwargs))


async def in_import_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function like `in_thread`, in the thread of imports."""
    return await _in_one_of(_import_threads, partial(function, *args, **kwargs))


async def in_facade_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function like `in_thread`, in the threads of the SOVD façade."""
    return await _in_one_of(_facade_threads, partial(function, *args, **kwargs))


async def _in_one_of(threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    call = partial(copy_context().run, _call, function)
    return await asyncio.get_running_loop().run_in_executor(threads, call)


def _call(function: Callable[[], T]) -> T:
    with connection_released():
        return function()


@contextmanager
def connection_released() -> Iterator[None]:
    """Release this thread's connection to the pool at the end."""
    try:
        yield
    finally:
        close_old_connections()
