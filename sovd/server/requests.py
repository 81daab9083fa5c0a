"""Connections by HTTP: what uvicorn leaves unlimited is limited here."""

import asyncio
import json
import random
from base64 import b64decode
from binascii import Error as Base64Error
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from commands.stream import protocol
from commands.stream.consumer import PUSH
from commands.stream.protocol import Rejection
from sovd.server.websockets import Socket, http_answer
from vehicles.descriptions.storage import max_bytes

HEAD_BYTES = 16 * 1024  # of the request line and the headers
BYTES_PER_HEADER = 32  # what one costs beside its text, as HTTP/2 counts it
UPLOADS = {b"/api/v1/descriptions/", b"/admin/vehicles/description/add/"}
MULTIPART_BYTES = 65_536  # around the file
UPLOAD_SECONDS = 600.0  # for the whole file
REFUSED_SECONDS = 2.0  # for reading the answer: hanging up at once may lose it
STALLED_SECONDS = 60.0  # a client that has not read anything for so long is gone


class Connection(HttpToolsProtocol):
    """A connection on which each request must arrive whole within REQUEST_SECONDS."""

    _deadline: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _is_refused = False
    _is_in_head = False
    _head_bytes = 0
    _body_bytes = 0
    _max_body = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        self.resume_writing()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # also if the client has not read the last answer

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall:
            self._stall.cancel()

    # --- Reading

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._set_deadline(settings.REQUEST_SECONDS)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade() and not self._is_refused:
                self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "invalid", "The request is not valid HTTP.")
        else:
            self._count_head(len(data) if self._is_in_head else 0)

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > HEAD_BYTES:
            detail = f"Request line and headers are larger than {HEAD_BYTES} bytes."
            self._refuse(HTTPStatus.BAD_REQUEST, "too_large", detail)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._body_bytes = 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        size = sum(len(name) + len(value) + BYTES_PER_HEADER for name, value in self.headers)
        self._head_bytes = 0
        self._count_head(len(self.url) + size)
        lengths = [value for name, value in self.headers if name == b"content-length"]
        self._max_body = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if self.url.split(b"?")[0] in UPLOADS:
            self._max_body = max_bytes() + MULTIPART_BYTES
            self._set_deadline(UPLOAD_SECONDS)
        self._count_body(int(lengths[0]) if lengths else 0)
        self._body_bytes = 0
        if not self._is_refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            self._count_body(len(body))
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._set_deadline(None)
        if not self._is_refused:
            super().on_message_complete()

    def _count_body(self, count: int) -> None:
        self._body_bytes += count
        if self._body_bytes > self._max_body:
            detail = f"The body is larger than {self._max_body} bytes."
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._time_out, seconds)

    def _time_out(self, seconds: float) -> None:
        detail = f"The request did not arrive within {seconds:g} seconds."
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too_slow", detail)

    def _refuse(self, status: HTTPStatus, code: str, detail: str, *headers: str) -> None:
        """Answer with an error, and read nothing more from this client."""
        if self._is_refused:
            return
        self._is_refused = True
        self._set_deadline(None)
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        body = json.dumps({"code": code, "detail": detail})
        answer = http_answer(status, "Content-Type: application/json", *headers, body=body)
        self.transport.write(answer)
        self.transport.write_eof()
        self.loop.call_later(REFUSED_SECONDS, self.transport.abort)

    # --- WebSockets

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == b"websocket"

    def _upgrade(self, more: bytes) -> None:
        self._set_deadline(None)
        headers = dict(self.headers)
        key = headers.get(b"sec-websocket-key", b"")
        if Socket.is_busy():
            self._refuse_handshake()
        elif self._is_handshake(headers, key) and not more and (scope := self._scope()):
            socket = Socket(self.server_state, self.transport, key)
            self.transport.set_protocol(socket)
            self.connections.discard(self)
            socket.start(self.app, scope | {"extensions": {PUSH: socket.push}})
            del self.parser  # it refers to us
        else:
            detail = "This is no handshake of a WebSocket, version 13."
            version = "Sec-WebSocket-Version: 13"
            self._refuse(HTTPStatus.BAD_REQUEST, "invalid", detail, version)

    def _is_handshake(self, headers: dict[bytes, bytes], key: bytes) -> bool:
        try:
            length = len(b64decode(key, validate=True))
        except Base64Error:
            return False
        is_get = self.parser.get_method() == b"GET"
        return is_get and length == 16 and headers.get(b"sec-websocket-version") == b"13"

    def _scope(self) -> dict[str, Any] | None:
        """Return the ASGI scope, none if the address is not valid."""
        try:
            url = httptools.parse_url(self.url)
            path = url.path.decode("ascii")
        except (httptools.HttpParserError, UnicodeDecodeError):
            return None
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if self.scheme == "https" else "ws",
            "server": self.server,
            "client": self.client,
            "root_path": "",
            "path": unquote(path),
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "subprotocols": [],
        }

    def _refuse_handshake(self) -> None:
        """Refuse before any work is done for it: a server that falls behind never catches up."""
        protocol.count(Rejection.BUSY)
        detail = "The server is busy with other streams. Connect again after a random pause."
        pause = f"Retry-After: {random.randint(2, 10)}"
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, pause)
