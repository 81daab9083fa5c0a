"""An HTTP server of raw answers on loopback: it sends anything, right or wrong."""

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dev.servers import free_port


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[Request], Awaitable[bytes | None]]


def reply(status: int, body: Any = None, **headers: str) -> bytes:
    """Return an answer with JSON, or with the bytes as they are."""
    is_binary = isinstance(body, bytes)
    content = body if is_binary else b"" if body is None else json.dumps(body).encode()
    kind = "application/octet-stream" if is_binary else "application/json"
    lines = [f"HTTP/1.1 {status} Any reason", f"Content-Length: {len(content)}"]
    lines += [f"Content-Type: {kind}"] if body is not None else []
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class HttpPeer:
    """Answers each request with the bytes of `answer`; None closes the connection."""

    answer: Answer
    tls: ssl.SSLContext | None = None
    port: int = field(default_factory=free_port)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Listen at once; clients that come early wait for `start`."""
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self._starting: asyncio.Task[asyncio.Server] | None = None

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> "HttpPeer":
        starting = asyncio.start_server(self._serve, sock=self._socket, ssl=self.tls)
        self._starting = asyncio.get_running_loop().create_task(starting)
        return self

    async def stop(self) -> None:
        self.refuse()
        await self.all_closed()

    def refuse(self) -> None:
        """Accept no more connections, and break those that are open."""
        if self._starting and self._starting.done():
            self._starting.result().close()
        elif self._starting:
            self._starting.cancel()
        self._starting = None
        self._socket.close()
        for writer in self.open:
            writer.transport.abort()

    async def all_closed(self) -> None:
        """Return once no connection is open."""
        async with asyncio.timeout(30):
            while self.open:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while (answer := await self.answer(await self._request(reader))) is not None:
                writer.write(answer)
                await writer.drain()
        writer.transport.abort()
        self.open.remove(writer)

    async def _request(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, body)
        self.requests.append(request)
        return request


def always(*answers: bytes) -> Answer:
    """Return an answer that gives these one after the other, and then always the last."""
    left = [*answers]

    async def answer(_request: Request) -> bytes:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer
