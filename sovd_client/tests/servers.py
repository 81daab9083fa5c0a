"""Servers for tests of the client: scripted answers, and a proxy that breaks connections."""

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha1
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, cast

from sovd.tests.live import Live
from sovd.tests.processes import SECONDS

Answer = bytes | Callable[[bytes], bytes]  # or made from the request's head

ID = "00000000-0000-4000-8000-000000000000"
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455


def http(status: int, body: bytes | str | object = b"", **headers: str) -> bytes:
    """Return a whole answer. A body that is no text is sent as JSON."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    payload = body if isinstance(body, bytes) else body.encode()
    fields = {"Content-Length": str(len(payload)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} ", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def websocket(*frames: bytes | str | object, close: int = 1000) -> Callable[[bytes], bytes]:
    """Return an answer that opens a WebSocket, sends text frames, and closes it."""

    def answer(head: bytes) -> bytes:
        key = head.lower().partition(b"sec-websocket-key:")[2][:30]
        key = head[head.lower().index(key) :].split()[0]
        accept = b64encode(sha1(key + WEBSOCKET_GUID, usedforsecurity=False).digest())
        opened = b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        opened += b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        return opened + b"".join(map(_frame, frames)) + b"\x88\x02" + close.to_bytes(2)

    return answer


def _frame(content: bytes | str | object) -> bytes:
    if not isinstance(content, bytes | str):
        content = json.dumps(content)
    payload = content if isinstance(content, bytes) else content.encode()
    return b"\x81\x7e" + len(payload).to_bytes(2) + payload


def event(number: int, **fields: object) -> dict[str, object]:
    given = {"event": "status", "timestamp": "2026-11-21T23:32:08.420000Z", **fields}
    return {"command_id": ID, "sequence_number": number, **given}


TOKEN = http(200, {"access": "a-token"})
PENDING = event(1, status="pending")
COMPLETED = event(2, status="completed")


class Scripted(ThreadingTCPServer):
    """Answers by the first part of the path that fits; the last answer is repeated.

    An empty answer is silence on an open connection.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers: Mapping[str, Sequence[Answer]], tls: ssl.SSLContext | None) -> None:
        self.answers = {part: [*given] for part, given in ({"token/": [TOKEN], **answers}).items()}
        self.requests: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def answer(self, head: bytes) -> bytes:
        self.requests.append(head)
        path = head.split(b" ")[1].decode()
        queue = next((given for part, given in self.answers.items() if part in path), [http(404)])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        return answer(head) if callable(answer) else answer

    def asked(self, part: str) -> int:
        return sum(part.encode() in head.split(b"\r\n")[0] for head in self.requests)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients of these tests hang up as they like."""


class _Handler(StreamRequestHandler):
    timeout = SECONDS

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := self.rfile.readline()):
                return
            head += line
        length = head.lower().partition(b"content-length:")[2].split()[:1]
        self.rfile.read(int(length[0]) if length else 0)
        answer = cast(Scripted, self.server).answer(head)
        self.wfile.write(answer)
        if not answer:
            self.rfile.read()  # until the client hangs up
        if answer.startswith(b"HTTP/1.1 101"):
            self.rfile.read(8)  # the client's close frame


@contextmanager
def scripted(
    answers: Mapping[str, Sequence[Answer]] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Scripted]:
    with Scripted(answers or {}, tls) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Proxy:
    """Passes on what the server says, and hangs up in the middle of a piece that has a limit."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.limits: list[int | None] = []  # of the next pieces, in bytes
        self.broken = 0
        self.edit: Callable[[bytes], bytes] = bytes  # of what clients send
        self.connections: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.create_task(self._connect(reader, writer)))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._live.port)
        ways = [
            asyncio.create_task(self._pass_on(reader, back, lambda: None, self.edit)),
            asyncio.create_task(self._pass_on(there, writer, self._limit, bytes)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (back, writer):
            end.transport.abort()
            with suppress(ConnectionError):
                await end.wait_closed()

    def _limit(self) -> int | None:
        return self.limits.pop(0) if self.limits else None

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        next_limit: Callable[[], int | None],
        edit: Callable[[bytes], bytes],
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                limit = next_limit()
                writer.write(edit(data)[:limit])
                await writer.drain()
                if limit is not None:
                    self.broken += 1
                    return


@asynccontextmanager
async def proxy_of(live: Live) -> AsyncIterator[tuple[Proxy, int]]:
    proxy = Proxy(live)
    async with await asyncio.start_server(proxy.accept, "127.0.0.1", 0) as server:
        yield proxy, server.sockets[0].getsockname()[1]
    if proxy.connections:
        await asyncio.wait(proxy.connections, timeout=SECONDS)
