"""Django's two ways with a request: synchronous in one thread, or asynchronous."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import IO, Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.db import close_old_connections
from django.http import HttpResponseBadRequest, JsonResponse
from django.urls import set_script_prefix

from sovd.databases import POOL_SECONDS

BUSY = {
    "code": "busy",
    "detail": "The server is busy, so nothing was done. Ask again in a few seconds.",
}
T = TypeVar("T")

_threads = ThreadPoolExecutor(settings.HTTP_THREADS, thread_name_prefix="http")


class AsyncHandler(ASGIHandler):
    """Django's own, for views that wait: each middleware is another hand-over to a thread."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Answer 400 for a `Content-Type` with an unknown charset, where Django answers 500."""
        try:
            return super().create_request(scope, body_file)
        except ValueError:
            return None, HttpResponseBadRequest()


class ThreadHandler(AsyncHandler):
    """Middlewares and view in one hand-over to one of few threads."""

    def __init__(self) -> None:
        super().__init__()
        self._free = asyncio.Semaphore(settings.HTTP_THREADS)

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)  # a large one goes to a file
        except RequestAborted:
            return
        with body:
            response = await self._in_free_thread(scope, body)
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    async def _in_free_thread(self, scope: Any, body: IO[bytes]) -> Any:
        """Return the response, or 503 if all threads stay taken for as long as the pool waits."""
        try:
            async with asyncio.timeout(POOL_SECONDS["timeout"]):
                await self._free.acquire()
        except TimeoutError:
            return JsonResponse(BUSY, status=503, headers={"Retry-After": "5"})
        try:
            return await _in_thread(self._respond, scope, body)
        finally:
            self._free.release()

    def _respond(self, scope: Any, body: IO[bytes]) -> Any:
        """Return the response. One that is no stream is closed, which frees the database."""
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, body)
        response = self.get_response(request) if request else refusal
        if response.streaming:
            close_old_connections()
        else:
            response.close()
        return response

    async def _stream(self, response: Any, receive: Any, send: Any) -> None:
        """Send until the end, or until the client has left."""
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in (sending, leaving):
            task.cancel()
        ended, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
        await _in_thread(response.close)
        if isinstance(ended, Exception):
            raise ended


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    call = copy_context().run
    return await asyncio.get_running_loop().run_in_executor(_threads, call, function, *args)
