"""The way from the event loop to the database."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar, cast

from channels.db import DatabaseSyncToAsync
from django.conf import settings

P = ParamSpec("P")
T = TypeVar("T")

# Half of the connection pool, so that HTTP requests always find a connection. (Channels' own
# helper shares one thread per process: five one-second calls of five sockets take five seconds.)
_threads = ThreadPoolExecutor(max(1, settings.DATABASE_POOL_SIZE // 2), thread_name_prefix="orm")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what touches the database in a thread that gives its connection back afterwards."""
    call = DatabaseSyncToAsync(function, thread_sensitive=False, executor=_threads)
    return await cast(Callable[P, Awaitable[T]], call)(*args, **kwargs)
