"""The way from the event loop to the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

# Half of the connection pool, so that HTTP requests always find a connection. (Channels' own
# helper shares one thread per process: five one-second calls of five sockets take five seconds.)
_threads = ThreadPoolExecutor(max(1, settings.DATABASE_POOL_SIZE // 2), thread_name_prefix="orm")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what touches the database in a thread that gives its connection back afterwards.

    A cancelled caller does not stop the thread: what it writes may be written all the same.
    """
    call = partial(copy_context().run, and_close, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def and_close(function: Callable[[], T]) -> T:
    """Call it, and give this thread's connection back to the pool."""
    try:
        return function()
    finally:
        close_old_connections()
