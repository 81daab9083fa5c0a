"""Fewer bytes on the wire: pages and answers of the API when they are made, static files once."""

import asyncio
import gzip
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers
from servestatic.middleware import ServeStaticMiddleware

NO_DOCUMENTS = ("text/javascript", "text/css")  # a policy is for documents: here it is weight
GZIPPED = '-gzip"'  # how the ETag of a compressed copy ends
REFUSES_GZIP = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)", re.IGNORECASE)
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
        if request.META.get("HTTP_IF_RANGE", static_file.etag) != static_file.etag:
            request.META.pop("HTTP_RANGE", None)  # the client has a part of something else
        wants_gzip = _accepts_gzip(request)
        known = request.META.get("HTTP_IF_NONE_MATCH")
        if known and wants_gzip:
            request.META["HTTP_IF_NONE_MATCH"] = known.replace(GZIPPED, '"')
        response: HttpResponseBase = await super().aserve(static_file, request)
        patch_vary_headers(response, ["Accept-Encoding"])
        if (
            wants_gzip
            and response.status_code == 304
            and known != request.META["HTTP_IF_NONE_MATCH"]
        ):
            response["ETag"] = _gzipped(response)
        if not wants_gzip or not _is_text(request, response):
            return response
        body = await self._compress(request.path_info, response)
        about = {
            "Content-Encoding": "gzip",
            "Content-Length": str(len(body)),
            "ETag": _gzipped(response),
        }
        return HttpResponse(body, headers=dict(response.items()) | about)

    async def _compress(self, path: str, response: HttpResponseBase) -> bytes:
        etag, body = self._compressed.get(path, ("", b""))
        if etag != response["ETag"]:
            body = await asyncio.to_thread(gzip.compress, await _content(response))
            self._compressed[path] = response["ETag"], body
        return body


def _accepts_gzip(request: HttpRequest) -> bool:
    accepted = request.headers.get("Accept-Encoding", "")
    return bool(re_accepts_gzip.search(accepted)) and not REFUSES_GZIP.search(accepted)


def _gzipped(response: HttpResponseBase) -> str:
    """Of other bytes than those of the file: a part of one does not continue the other."""
    return response["ETag"].removesuffix('"') + GZIPPED


def _is_text(request: HttpRequest, response: HttpResponseBase) -> bool:
    """And all of it, with a body."""
    return (
        request.method == "GET"
        and response.status_code == 200
        and response["Content-Type"].startswith(TEXT)
    )


async def _content(response: Any) -> bytes:
    return b"".join([chunk async for chunk in response.streaming_content])
