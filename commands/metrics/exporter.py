"""Separate port for /metrics and /healthz, which answers for any Host.

Everybody who reaches the port may read it: keep it in the internal network.
"""

import socket
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread, Timer
from typing import Any

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST

from commands.start_refusal import refuse


def no_problem() -> str:
    return ""


def serve(setting: str, page: Callable[[], bytes], problem: Callable[[], str] = no_problem) -> None:
    """Serve on the port in the setting of this name; 0 means no port."""
    port = getattr(settings, setting)
    if not port:
        return
    try:
        server = ThreadingHTTPServer(("", port), partial(MetricsHandler, page, problem))
    except OSError as error:
        refuse(f"{setting}={port} cannot be used ({error.strerror})")
    Thread(target=server.serve_forever, name="metrics port", daemon=True).start()


class MetricsHandler(BaseHTTPRequestHandler):
    def handle(self) -> None:
        """Handle a request, and read it no longer than REQUEST_SECONDS."""
        deadline = Timer(settings.REQUEST_SECONDS, self.connection.shutdown, [socket.SHUT_RD])
        deadline.daemon = True
        deadline.start()
        try:
            super().handle()
        finally:
            deadline.cancel()

    def __init__(self, page: Callable[[], bytes], problem: Callable[[], str], *given: Any) -> None:
        self._page, self._problem = page, problem
        super().__init__(*given)

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(HTTPStatus.OK, self._page(), CONTENT_TYPE_LATEST)
        elif self.path == "/healthz":
            problem = self._problem()
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            self._answer(status, (problem or "ok").encode())
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"Here are /metrics and /healthz.")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Log nothing: Prometheus asks every few seconds."""
