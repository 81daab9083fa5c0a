"""A port for machines alone: /metrics and /healthz, whatever Host they ask for.

It is for the network behind: who reaches it may read it.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST


def no_problem() -> str:
    return ""


def serve(setting: str, page: Callable[[], bytes], problem: Callable[[], str] = no_problem) -> None:
    """On the port that the setting of this name gives; 0 is none."""
    port = getattr(settings, setting)
    if not port:
        return
    try:
        server = ThreadingHTTPServer(("", port), partial(Answer, page, problem))
    except OSError as error:
        message = f"sovd: will not start: {setting}={port} cannot be used ({error.strerror})"
        raise SystemExit(message) from None
    Thread(target=server.serve_forever, name="metrics port", daemon=True).start()


class Answer(BaseHTTPRequestHandler):
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
        """Nothing: a scrape every few seconds is no news."""
