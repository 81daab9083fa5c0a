"""The server's end of a WebSocket.

The clients of this product have nothing to say, so nothing of it is kept: libraries would keep a
message up to its end, and have no limit of frames. An ASGI application sees each frame as an empty
message, or as one of CLIENT_FRAME_BYTES + 1 zeros if its message is too large.
"""

import asyncio
import logging
import socket
import struct
from base64 import b64encode
from collections.abc import Awaitable
from enum import Enum, auto
from hashlib import sha1
from http import HTTPStatus
from typing import Any, ClassVar, cast

from django.conf import settings
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from sovd.server import frames
from sovd.server.frames import FrameReader, Malformed, close_frame, frame

logger = logging.getLogger(__name__)

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
# In memory for a client that does not read: an application waits when the first is full. The
# second is the kernel's.
BUFFER_BYTES = 64 * 1024
KERNEL_BUFFER_BYTES = 64 * 1024
# A busy client answers the closing handshake late. Hanging up before would reset the connection and
# lose the last event that is still on its way.
CLOSING_SECONDS = 10.0
FLUSHING_SECONDS = 20.0  # after that, for a client that has not read everything
NORMAL, PROTOCOL_ERROR, ABNORMAL, FAILED, RESTARTS = 1000, 1002, 1006, 1011, 1012


class State(Enum):
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()  # a close frame was sent
    LOST = auto()


def http_answer(status: HTTPStatus, *headers: str, body: str = "") -> bytes:
    head = [
        f"HTTP/1.1 {status} {status.phrase}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*head, "", body]).encode()


class Socket(asyncio.Protocol):
    """A WebSocket, from a request that asks for one."""

    _opening: ClassVar[set["Socket"]] = set()
    _last_text = ""
    _last_frame = frame(frames.TEXT, b"")

    @classmethod
    def is_busy(cls) -> bool:
        return len(cls._opening) >= settings.HANDSHAKES_AT_ONCE

    def __init__(self, server: ServerState, transport: asyncio.Transport, key: bytes) -> None:
        self._connections = cast(set[Any], server.connections)  # uvicorn calls `shutdown()`
        self._tasks = server.tasks
        self._transport = transport
        self._key = key
        self._loop = asyncio.get_running_loop()
        self._state = State.OPENING
        self._reader = FrameReader()
        self._is_ignored = False
        self._message_bytes = 0
        self._inbox: list[dict[str, Any]] = [{"type": "websocket.connect"}]
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Event | None = None  # while the buffer is full
        self._is_pinged = False
        self._timer = self._loop.call_later(settings.HANDSHAKE_SECONDS, self._end_opening)
        self._opening.add(self)
        self._connections.add(self)
        transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._set_option(socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)

    def _set_option(self, name: int, value: int | bytes) -> None:
        connection: Any = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, name, value)

    # --- For the application

    def start(self, application: Any, scope: dict[str, Any]) -> None:
        task = self._loop.create_task(self._run(application(scope, self.receive, self.send)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, work: Awaitable[None]) -> None:
        try:
            await work
        except ClientDisconnected:
            pass
        except Exception:
            logger.exception("The application of a WebSocket failed")
        if self._state is State.OPENING:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
        elif self._state is State.OPEN:
            self._close(FAILED)

    async def receive(self) -> dict[str, Any]:
        while not self._inbox:
            self._arrival = self._loop.create_future()
            await self._arrival
        return self._inbox.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        """Send, as soon as the client has read enough of what was sent before."""
        while self._room:
            await self._room.wait()
        if self._state not in (State.OPENING, State.OPEN):
            raise ClientDisconnected
        if message["type"] == "websocket.send":
            text = message.get("text")
            is_text = text is not None
            data = self._text_frame(text) if is_text else frame(frames.BINARY, message["bytes"])
            self._transport.write(data)
        elif message["type"] == "websocket.accept":
            self._accept()
        elif self._state is State.OPENING:
            self._refuse(HTTPStatus.FORBIDDEN)
        else:
            self._close(message.get("code", NORMAL), message.get("reason") or "")

    def push(self, text: str) -> bool:
        """Send a text at once; return False if the client has not read enough, or has left."""
        if self._room or self._state is not State.OPEN:
            return False
        self._transport.write(self._text_frame(text))
        return True

    @classmethod
    def _text_frame(cls, text: Any) -> bytes:
        """Return the frame of a text, the same bytes for all sockets that get it in turn."""
        if text is not cls._last_text:
            cls._last_text, cls._last_frame = text, frame(frames.TEXT, text.encode())
        return cls._last_frame

    def _tell(self, message: dict[str, Any]) -> None:
        self._inbox.append(message)
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    # --- Opening and closing

    def _accept(self) -> None:
        self._state = State.OPEN
        self._opening.discard(self)
        answer = b64encode(sha1(self._key + GUID, usedforsecurity=False).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n"
        )
        self._set_timer(settings.STREAM_PING_SECONDS, self._ping)

    def _end_opening(self) -> None:
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def _refuse(self, status: HTTPStatus) -> None:
        self._transport.write(http_answer(status))
        self._disconnect(ABNORMAL)
        self._transport.close()

    def _close(self, code: int, reason: str = "") -> None:
        self._transport.write(close_frame(code, reason))
        self._disconnect(code)
        self._set_timer(CLOSING_SECONDS, self._hang_up)
        if self._is_ignored:
            self._end_sending()

    def _disconnect(self, code: int) -> None:
        self._state = State.CLOSING
        self._opening.discard(self)
        self._tell({"type": "websocket.disconnect", "code": code})

    def _hang_up(self) -> None:
        self._transport.close()  # when all has been written
        self._set_timer(FLUSHING_SECONDS, self._cut)

    def _cut(self) -> None:
        """End the connection at once: without this option, the kernel would go on sending."""
        self._set_option(socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def shutdown(self) -> None:
        """End the connection, since the server ends."""
        if self._state is State.OPENING:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        elif self._state is State.OPEN:
            self._close(RESTARTS)
        self._transport.close()

    def _set_timer(self, seconds: float, action: Any) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, action)

    def _ping(self) -> None:
        """Ask for a sign of life, unless the last question is still open: then hang up."""
        if self._is_pinged:
            self._cut()
            return
        self._is_pinged = True
        self._transport.write(frame(frames.PING, b""))
        self._set_timer(settings.STREAM_PING_SECONDS, self._ping)

    # --- From the connection

    def pause_writing(self) -> None:
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        self._is_pinged = False  # a slow client that reads is alive
        if self._room:
            self._room.set()
            self._room = None

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        if self._state is not State.CLOSING:
            self._disconnect(ABNORMAL)
        self._state = State.LOST
        self._connections.discard(self)
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._state is State.OPENING:  # it must wait: nobody would read what it says
            self._transport.abort()
        elif not self._is_ignored:
            self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            for each in self._reader.read(data):
                self._take(each)
                if self._is_ignored:
                    return
        except Malformed:
            self._ignore_client()
            if self._state is State.OPEN:
                self._close(PROTOCOL_ERROR)

    def _take(self, read: frames.Frame) -> None:
        if read.opcode == frames.CLOSE:
            self._take_close(frames.close_code(read.payload))
        elif read.opcode == frames.PONG and self._is_pinged:
            self._is_pinged = False
        elif self._state is not State.OPEN or len(self._inbox) > settings.CLIENT_FRAMES_PER_MINUTE:
            self._ignore_client()
        else:
            self._report(read)

    def _take_close(self, code: int) -> None:
        if self._state is State.OPEN:
            self._transport.write(close_frame(NORMAL if code == 1005 else code))
            self._disconnect(code)
        self._is_ignored = True
        self._hang_up()

    def _report(self, read: frames.Frame) -> None:
        """Let the application count the frame, by an empty one or, if too large, a blank one."""
        if read.opcode == frames.PING:
            self._transport.write(frame(frames.PONG, read.payload))
        elif read.opcode == frames.CONTINUATION:
            self._message_bytes += read.length
        elif read.opcode != frames.PONG:
            self._message_bytes = read.length
        limit = settings.CLIENT_FRAME_BYTES
        is_too_large = self._message_bytes > limit
        shown = bytes(limit + 1) if is_too_large else b""
        self._tell({"type": "websocket.receive", "bytes": shown})
        if is_too_large:
            self._ignore_client()

    def _ignore_client(self) -> None:
        """Read nothing more. The application will close the socket, or already has."""
        self._is_ignored = True
        self._transport.pause_reading()
        if self._state is State.CLOSING:
            self._end_sending()

    def _end_sending(self) -> None:
        """Let the client read all that was sent. A full close would reset the connection.

        What is left of the connection ends after CLOSING_SECONDS.
        """
        self._transport.write_eof()
