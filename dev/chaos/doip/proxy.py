"""A proxy between workers and a DoIP gateway that cuts connections, and loses or delays responses.

It reads the frames of ISO 13400 and chooses its moment: before a request reaches the vehicle, in
the middle of it, after it, or in the middle of the response.
"""

import asyncio
import random
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from typing import Any

from dev.chaos.doip.commands import UNSAFE
from dev.servers import free_port

HOST = "127.0.0.1"
HEADER_BYTES = 8
DIAGNOSTIC_MESSAGE = 0x8001
SERVICE_AT = HEADER_BYTES + 4  # after the addresses of tester and ECU
RELAY_SECONDS = 2.0
MAX_DELAY_SECONDS = 2.5  # above the response timeout of the vehicles

CUTS = {
    "cut before the request": 7,
    "cut in the request": 5,
    "cut after the request": 10,
    "cut in the response": 6,
}
FAULTS = CUTS | {"response lost": 4, "response delayed": 14, "": 54}
FAULTS_OF_READS = CUTS | {"": 1000}


class Proxy:
    def __init__(
        self, gateway_port: int, chance: random.Random, note: Callable[[str, str], None]
    ) -> None:
        """`note`: is told of each fault and of the frame that it hits."""
        self.port = free_port()
        self._gateway_port = gateway_port
        self._random = chance
        self._note = note

    async def start(self, *, passes_identification: bool) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        if passes_identification:
            await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: Relay(self._gateway_port), local_addr=(HOST, self.port)
            )

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            gateway = await asyncio.open_connection(HOST, self._gateway_port)
        except OSError:
            writer.transport.abort()
            return
        await Tunnel((reader, writer), gateway, self._fault, self._random).run()

    def _fault(self, frame: bytes) -> str:
        if not is_diagnostic(frame):
            return ""
        faults = FAULTS if frame[SERVICE_AT] in UNSAFE.values() else FAULTS_OF_READS
        (fault,) = self._random.choices(tuple(faults), tuple(faults.values()))
        if fault:
            self._note(fault, frame[SERVICE_AT:].hex().upper())
        return fault


class Tunnel:
    """One connection of a worker, and the one to the gateway that belongs to it."""

    def __init__(
        self,
        worker: tuple[StreamReader, StreamWriter],
        gateway: tuple[StreamReader, StreamWriter],
        choose_fault: Callable[[bytes], str],
        chance: random.Random,
    ) -> None:
        self._from_worker, self._to_worker = worker
        self._from_gateway, self._to_gateway = gateway
        self._choose_fault = choose_fault
        self._random = chance
        self._fault = ""

    async def run(self) -> None:
        pumps = [asyncio.create_task(self._requests()), asyncio.create_task(self._responses())]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._to_worker.close()
        self._to_gateway.close()

    async def _requests(self) -> None:
        while True:
            frame = await read_frame(self._from_worker)
            self._fault = self._choose_fault(frame)
            if self._fault == "cut before the request":
                return
            if self._fault == "cut in the request":
                await send(self._to_gateway, frame[: len(frame) // 2])
                return
            await send(self._to_gateway, frame)
            if self._fault == "cut after the request":
                self._to_worker.transport.abort()
                await asyncio.get_running_loop().create_future()  # until the vehicle has answered

    async def _responses(self) -> None:
        while True:
            frame = await read_frame(self._from_gateway)
            fault = self._fault if is_diagnostic(frame) else ""
            if fault == "cut after the request":
                return
            if fault == "cut in the response":
                await send(self._to_worker, frame[: len(frame) // 2])
                return
            if fault == "response delayed":
                await asyncio.sleep(self._random.uniform(0.2, MAX_DELAY_SECONDS))
            if fault != "response lost":
                await send(self._to_worker, frame)


class Relay(asyncio.DatagramProtocol):
    """Passes on vehicle identification."""

    def __init__(self, gateway_port: int) -> None:
        self._gateway_port = gateway_port
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        task = asyncio.create_task(self._ask(data, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, data: bytes, address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        there, _ = await loop.create_datagram_endpoint(
            lambda: _Answer(self._transport, address), remote_addr=(HOST, self._gateway_port)
        )
        there.sendto(data)
        await asyncio.sleep(RELAY_SECONDS)
        there.close()


class _Answer(asyncio.DatagramProtocol):
    def __init__(self, transport: asyncio.DatagramTransport, address: tuple[str, int]) -> None:
        self._transport = transport
        self._address = address

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        self._transport.sendto(data, self._address)


async def read_frame(reader: StreamReader) -> bytes:
    header = await reader.readexactly(HEADER_BYTES)
    return header + await reader.readexactly(int.from_bytes(header[4:]))


async def send(writer: StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def is_diagnostic(frame: bytes) -> bool:
    return int.from_bytes(frame[2:4]) == DIAGNOSTIC_MESSAGE and len(frame) > SERVICE_AT
