"""Cheap clients: what they cost themselves must not limit what they measure."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

HOST = "127.0.0.1"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
BUSY, PAUSE = 503, 0.05
PATIENCE = 60.0
PARAMS = {"ecuAddress": "0x10", "dataId": "0xF190"}


class Failed(RuntimeError):
    """An answer that makes a measurement worthless."""


class Http:
    """One connection that is kept alive."""

    def __init__(self, port: int, token: str = "") -> None:
        self._port = port
        self._head = f"Host: {HOST}\r\nContent-Type: application/json\r\n"
        self._head += f"Authorization: Bearer {token}\r\n" if token else ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """Return the parsed JSON; repeat a request while the server is busy. Raise Failed."""
        content = json.dumps(body) if body is not None else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(content)}\r\n\r\n"
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port, limit=2**20)
        reader, writer = self._streams
        async with asyncio.timeout(PATIENCE):
            while True:
                writer.write((head + content).encode())
                status, answer = await _answer(reader)
                if status in (200, 201):
                    return json.loads(answer)
                if status != BUSY:
                    raise Failed(f"{method} {path}: {status}: {answer.decode()[:300]}")
                await asyncio.sleep(PAUSE)

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    return int(status.split()[1]), await reader.readexactly(int(headers["content-length"]))


def ignore(frame: bytes) -> None:
    pass


class Socket(asyncio.Protocol):
    """A WebSocket that only receives; a frame costs it about a microsecond."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        self.on_frame = on_frame
        self._rest = b""
        self._is_open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    @classmethod
    async def open(
        cls, port: int, path: str, on_frame: Callable[[bytes], None] = ignore
    ) -> "Socket":
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            transport, opened = await loop.create_connection(lambda: cls(on_frame), HOST, port)
            transport.write(
                f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            await opened.opened
        return opened

    @classmethod
    async def follow(
        cls, port: int, path: str, on_frame: Callable[[bytes], None] = ignore
    ) -> "Socket":
        """Open a stream of the product up to its first event, which `on_frame` does not get."""
        came = asyncio.Event()
        opened = await cls.open(port, path, lambda _: came.set())
        async with asyncio.timeout(PATIENCE):
            await came.wait()
        opened.on_frame = on_frame
        return opened

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Failed(f"the socket was closed before it opened: {error}"))

    def stop_reading(self) -> None:
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.transport.pause_reading()

    def close(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        self._rest = self._frames(buffer) if self._is_open else self._handshake(buffer)

    def _handshake(self, buffer: bytes) -> bytes:
        head, end, rest = buffer.partition(b"\r\n\r\n")
        if not end:
            return buffer
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            self.opened.set_exception(Failed(head.decode()))
            return b""
        self._is_open = True
        self.opened.set_result(None)
        return self._frames(rest)

    def _frames(self, buffer: bytes) -> bytes:
        """Take the frames that are complete; return the rest."""
        at = 0
        while len(buffer) >= at + 2:
            length, start = buffer[at + 1], at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                length = int.from_bytes(buffer[at + 2 : start], "big")
            if len(buffer) < start + length:
                break
            self._frame(buffer[at] & 15, buffer[start : start + length])
            at = start + length
        return buffer[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self.on_frame(payload)
        elif opcode == PING:
            self.transport.write(bytes([0x80 | PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload)


@dataclass
class Loop:
    """Clients in a closed loop: each begins its next step when the one before has ended."""

    number: int
    step: Callable[[int], Awaitable[None]]
    done: int = 0
    latencies: list[float] = field(default_factory=list)
    _is_over: bool = False
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, warm_up: float, seconds: float, on_edge: Callable[[], None]) -> None:
        """Call `on_edge` after the warm-up, when counting starts, and again when it ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for client in range(self.number):
                    tasks.create_task(self._client(client))
                await asyncio.sleep(warm_up)
                self.done, self.latencies = 0, []
                on_edge()
                await asyncio.sleep(seconds)
                await self._enough.wait()
                on_edge()
                self._is_over = True
        except* Failed as failures:
            raise failures.exceptions[0] from None

    async def _client(self, client: int) -> None:
        while not self._is_over:
            start = time.perf_counter()
            await self.step(client)
            if not self._is_over:
                self.done += 1
                self.latencies.append(time.perf_counter() - start)
            if self.done >= self.number:  # fewer tell little of those in flight at both ends
                self._enough.set()


def percentiles_ms(seconds: list[float]) -> tuple[float, float]:
    """Return the 50th and the 99th percentile."""
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    return (cuts[49] * 1000, cuts[98] * 1000) if cuts else (0.0, 0.0)
