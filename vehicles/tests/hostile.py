"""A gateway of raw bytes on loopback: it sends anything, right or wrong."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat

from dev.servers import free_port
from vehicles.tests.targets import Target, TargetEcu

TESTER, ECU, OTHER_ECU, GATEWAY = 0x0E00, 0x1010, 0x1018, 0x1000

Answer = Callable[[bytes, int], Awaitable[list[bytes] | None]]


def frame(kind: int, payload: bytes, version: int = 2) -> bytes:
    return struct.pack("!BBHL", version, version ^ 0xFF, kind, len(payload)) + payload


def diagnostic(uds: bytes, source: int = ECU) -> bytes:
    return frame(0x8001, struct.pack("!HH", source, TESTER) + uds)


def acknowledgement(source: int = ECU) -> bytes:
    return frame(0x8002, struct.pack("!HHB", source, TESTER, 0))


def negative_acknowledgement(code: int, source: int = ECU) -> bytes:
    return frame(0x8003, struct.pack("!HHB", source, TESTER, code))


def activation(code: int = 0x10) -> bytes:
    return frame(0x0006, struct.pack("!HHBL", TESTER, GATEWAY, code, 0))


@dataclass
class HostileGateway:
    """Answers each UDS request with the frames of `answer`; None closes the connection."""

    answer: Answer
    activations: Iterator[bytes]
    port: int = field(default_factory=free_port)
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def vehicle(self) -> Target:
        settings = {"host": "127.0.0.1", "port": self.port, "check_vin": False}
        ecus = (
            TargetEcu("0x10", "Engine", f"0x{ECU:04X}"),
            TargetEcu("0x18", "Transmission", f"0x{OTHER_ECU:04X}"),
        )
        return Target(connector_settings=settings | {"response_timeout": 0.2}, configured_ecus=ecus)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._converse(reader, writer)
        writer.transport.abort()
        self.open.remove(writer)

    async def all_closed(self) -> None:
        """Return once the tester has closed its connections."""
        async with asyncio.timeout(30):
            while self.open:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, kind, size = struct.unpack("!BBHL", await reader.readexactly(8))
            payload = await reader.readexactly(size)
            if kind == 0x0005:
                writer.write(next(self.activations))
            if kind == 0x8001:
                frames = await self._answers(payload)
                if frames is None:
                    return
                writer.write(b"".join(frames))
            await writer.drain()

    async def _answers(self, payload: bytes) -> list[bytes] | None:
        ecu, uds = int.from_bytes(payload[2:4]), payload[4:]
        self.requests.append((ecu, uds))
        return await self.answer(uds, ecu)


@asynccontextmanager
async def gateway(answer: Answer, *activations: bytes) -> AsyncIterator[HostileGateway]:
    """Serve on a free port. The last activation is repeated; without any, each succeeds."""
    activations = activations or (activation(),)
    hostile = HostileGateway(answer, chain(activations, repeat(activations[-1])))
    server = await asyncio.start_server(hostile.serve, "127.0.0.1", hostile.port)
    try:
        yield hostile
    finally:
        server.close()
        for writer in hostile.open:
            writer.transport.abort()
        await hostile.all_closed()


def always(*frames: bytes) -> Answer:
    """Return an answer that is the same for each request."""

    async def answer(_uds: bytes, _ecu: int) -> list[bytes]:
        return list(frames)

    return answer
