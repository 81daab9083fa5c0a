"""Fewer bytes on the wire: pages and answers of the API when they are made, static files once."""

import asyncio
import gzip
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers
from servestatic.middleware import ServeStaticMiddleware

NO_DOCUMENTS = ("text/javascript", "text/css")  # a policy is for documents: here it is weight
TEXT = ("text/", "application/json", "image/svg+xml")


class Gzip(GZipMiddleware):
    """Leaves alone what is streamed by an async iterator: of that Django makes a gzip file per
    chunk, and browsers read the first alone."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if response.streaming and response.is_async:
            return response
        return super().process_response(request, response)


class StaticFiles(ServeStaticMiddleware):  # type: ignore[misc]
    """There is no build step that could compress them: it is done when the first one asks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._compressed: dict[str, tuple[str, bytes]] = {}  # by path: the ETag it had, and it

    async def aserve(self, static_file: Any, request: HttpRequest) -> Any:
        response: Any = await self._answer(static_file, request)
        response._csp_exempt = response.get("Content-Type", "").startswith(NO_DOCUMENTS)
        return response

    async def _answer(self, static_file: Any, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await super().aserve(static_file, request)
        if not _is_text(request, response):
            return response
        patch_vary_headers(response, ["Accept-Encoding"])
        if not re_accepts_gzip.search(request.headers.get("Accept-Encoding", "")):
            return response
        body = await self._compress(request.path_info, response)
        about = {"Content-Encoding": "gzip", "Content-Length": str(len(body))}
        return HttpResponse(body, headers=dict(response.items()) | about)

    async def _compress(self, path: str, response: HttpResponseBase) -> bytes:
        etag, body = self._compressed.get(path, ("", b""))
        if etag != response["ETag"]:
            body = await asyncio.to_thread(gzip.compress, await _content(response))
            self._compressed[path] = response["ETag"], body
        return body


def _is_text(request: HttpRequest, response: HttpResponseBase) -> bool:
    """And all of it, with a body."""
    return (
        request.method == "GET"
        and response.status_code == 200
        and response["Content-Type"].startswith(TEXT)
    )


async def _content(response: Any) -> bytes:
    return b"".join([chunk async for chunk in response.streaming_content])
