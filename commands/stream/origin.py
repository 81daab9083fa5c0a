"""The origin of the page that opens a stream, judged by Django's rule for forms."""

from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

HTTP_SCHEME = {"wss": "https"}


def is_ours(scope: dict[str, Any]) -> bool:
    """Return whether the page might post a form; a program, which names no origin, may connect."""
    if all(name != b"origin" for name, _ in scope["headers"]):
        return True
    rule: Any = CsrfViewMiddleware(lambda _: HttpResponse())  # the method has no type
    return bool(rule._origin_verified(_request(scope)))


def _request(scope: dict[str, Any]) -> ASGIRequest:
    """Return the handshake as Django would see it by HTTP."""
    scheme = HTTP_SCHEME.get(scope.get("scheme", "ws"), "http")
    # A Content-Type that Django cannot read would raise.
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return ASGIRequest({**scope, "method": "GET", "scheme": scheme, "headers": headers}, BytesIO())
