"""What daphne lets pass, refused before it gets to the application or into memory."""

import json
from typing import Any

from daphne import (
    http_protocol,
    server,  # installs the asyncio reactor, so it comes before any other
)
from daphne.ws_protocol import WebSocketProtocol
from django.conf import settings
from twisted.internet import reactor as twisted_reactor

reactor: Any = twisted_reactor  # a module of which no type tells what it is

NOT_FOR_CLIENTS = b"daphne-root-path"  # moves every address that the application makes
MUST_BE_ASCII = b"sec-websocket-protocol"


class StrictRequest(http_protocol.WebRequest):  # type: ignore[misc]
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._has_hung_up = False
        self._room = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        self._deadline: Any = reactor.callLater(settings.REQUEST_SECONDS, self._too_slow)

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        super().gotLength(length)
        if length and length > self._room:
            self._too_large()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """A body may come without saying its length, and daphne holds all of it in memory."""
        self._room -= len(data)
        if self._room >= 0:
            super().handleContentChunk(data)
        else:
            self._too_large()

    def process(self) -> object:
        self._cancel_deadline()
        self.requestHeaders.removeHeader(NOT_FOR_CLIENTS)
        protocols = self.requestHeaders.getRawHeaders(MUST_BE_ASCII) or []
        if not all(text.isascii() for text in (self.method, self.clientproto, *protocols)):
            self.basic_error(400, b"Bad Request", "Invalid characters")
            return None
        return super().process()

    def connectionLost(self, reason: object) -> None:  # noqa: N802
        self._cancel_deadline()
        super().connectionLost(reason)

    def _cancel_deadline(self) -> None:
        if self._deadline.active():
            self._deadline.cancel()

    def _too_slow(self) -> None:
        detail = f"The request was not here within {settings.REQUEST_SECONDS:g} seconds."
        self._hang_up("408 Request Timeout", {"code": "too_slow", "detail": detail})

    def _too_large(self) -> None:
        detail = f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."
        self._hang_up("413 Content Too Large", {"code": "too_large", "detail": detail})

    def _hang_up(self, status: str, error: dict[str, str]) -> None:
        """The rest of the request is not waited for."""
        self._cancel_deadline()
        if self._has_hung_up or not self.channel:
            return
        self._has_hung_up = True
        body = json.dumps(error)
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.channel.transport.write(f"{head}{body}".encode())
        self.channel.loseConnection()


class StrictFactory(http_protocol.HTTPFactory):  # type: ignore[misc]
    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        # Of a connection on which nothing is said: one that has begun a request is told first.
        self.timeOut = 2 * settings.REQUEST_SECONDS


http_protocol.WebRequest = StrictRequest

# A client that is busy answers the closing handshake late. Autobahn waits one second for it, by a
# timer that may be as short as none, and then resets the connection: what was still on its way,
# the last event among it, is lost.
WebSocketProtocol.closeHandshakeTimeout = 10
WebSocketProtocol.openHandshakeTimeout = settings.HANDSHAKE_SECONDS
server.HTTPFactory = StrictFactory
