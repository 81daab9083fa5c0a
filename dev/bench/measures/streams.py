"""Streams: opening them, sending to many, and the memory that they take."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from urllib.parse import quote

from redis import Redis

from dev.bench.load import Http, Socket, ignore, percentiles_ms
from dev.bench.machine import resident_bytes
from dev.bench.measures.run import Figures, Run, any_command, closing
from dev.bench.product import BARE, BARE_DAPHNE, BROADCAST, PRODUCER, WEB, Bench
from dev.soak.requests import QUEUE, WriteRequest


async def handshakes(run: Run) -> Figures:
    """Open a stream up to its first event, and leave; the bare consumers are only opened."""
    bench = run.bench
    bench.needs(WEB)
    bench.empty()
    bench.fill(1)
    command_id, token = any_command(bench), await bench.token()
    path = f"/ws/responses/{command_id}?"

    async def with_token(_: int) -> None:
        (await Socket.follow(bench.ports[WEB], f"{path}token={quote(token)}")).close()

    by_token = await run.loop(16, with_token)
    with closing([Http(bench.ports[WEB], token) for _ in range(16)]) as clients:

        async def with_ticket(client: int) -> None:
            body = {"command_id": command_id}
            answer = await clients[client].request("POST", "/api/v1/stream-tickets/", body)
            address = f"{path}ticket={quote(answer['ticket'])}"
            (await Socket.follow(bench.ports[WEB], address)).close()

        by_ticket = await run.loop(16, with_ticket)
    figures = {
        "handshake_token_per_s": by_token.per_second,
        "handshake_token_web_ms": by_token.cpu_ms(WEB),
        "handshake_ticket_per_s": by_ticket.per_second,
        "handshake_ticket_web_ms": by_ticket.cpu_ms(WEB),
    }
    for name, figure in ((BARE_DAPHNE, "bare_daphne"), (BARE, "bare")):
        bench.needs(name)

        async def bare(_: int, port: int = bench.ports[name]) -> None:
            (await Socket.open(port, "/")).close()

        rate = await run.loop(16, bare)
        figures[f"handshake_{figure}_per_s"] = rate.per_second
        figures[f"handshake_{figure}_ms"] = rate.cpu_ms(name)
    return figures


BURST, BURSTS = 100, 5
PACE = 50  # events in a second
SIZE = 380  # bytes of a frame


class Received:
    """Counts the frames of all streams, and the time from their timestamp to their arrival."""

    def __init__(self) -> None:
        self.number = 0
        self.latencies: list[float] = []
        self.first = self.last = 0.0
        self.size = 0
        self._frame, self._sent = b"", 0.0
        self._target = 0
        self._arrived = asyncio.Event()

    def expect(self, number: int) -> None:
        self._target, self.number, self.first, self.latencies = number, 0, 0.0, []
        self._arrived.clear()

    async def all(self) -> None:
        async with asyncio.timeout(60):
            await self._arrived.wait()

    def on_frame(self, frame: bytes) -> None:
        now = time.time()
        self.first, self.last = self.first or now, now
        if frame != self._frame:
            self._frame, self.size = frame, len(frame)
            text = frame.partition(b'"timestamp":"')[2].partition(b'"')[0].decode()
            self._sent = datetime.fromisoformat(text).timestamp()
        self.latencies.append(now - self._sent)
        self.number += 1
        if self.number >= self._target:
            self._arrived.set()


Send = Callable[[int, float], Awaitable[None]]


async def fan_out(run: Run) -> Figures:
    """Send bursts, and then events at a steady pace, to many streams of one command."""
    bench = run.bench
    path, writer = await _stream_of_one_command(bench)
    with closing([writer]):
        figures = await _fan_out(run, WEB, path, writer.send)
    bench.needs(BROADCAST)
    port = bench.ports[BROADCAST]

    async def broadcast(number: int, pause: float) -> None:
        order = await Socket.open(port, f"/{SIZE}/{number}/{pause}")
        await asyncio.sleep(number * pause)
        order.close()

    bare = await _fan_out(run, BROADCAST, "/", broadcast)
    return figures | {f"bare_{name}": figure for name, figure in bare.items()}


async def _stream_of_one_command(bench: Bench) -> tuple[str, "Writer"]:
    bench.needs(WEB, PRODUCER)
    bench.empty()
    bench.fill(1)
    command_id = any_command(bench)
    path = f"/ws/responses/{command_id}?token={quote(await bench.token())}"
    return path, Writer(bench, command_id)


class Writer:
    """Lets the producer of the soak write events, which the streams of the command get."""

    def __init__(self, bench: Bench, command_id: str, padding: int = 0) -> None:
        self._redis = Redis.from_url(bench.servers.valkey.url)
        self._command_id = command_id
        self.last = 1
        self.padding = padding
        self.close = self._redis.close

    async def send(self, number: int, pause: float = 0.0) -> None:
        """Write all at once, or one after each pause."""
        due = time.monotonic()
        for _ in range(number if pause else 1):
            self.last += 1 if pause else number
            order = WriteRequest(self._command_id, self.last, is_end=False, padding=self.padding)
            self._redis.rpush(QUEUE, order.encode())
            due += pause
            await asyncio.sleep(due - time.monotonic())


async def _fan_out(run: Run, name: str, path: str, send: Send) -> Figures:
    bench, streams = run.bench, run.scale.streams
    received = Received()
    sockets = await _open(bench.ports[name], path, streams, received.on_frame)
    try:
        await _deliver(received, BURST * streams, send(BURST, 0.0))  # to warm up
        seconds, before = 0.0, bench.usage()
        for _ in range(BURSTS):
            await _deliver(received, BURST * streams, send(BURST, 0.0))
            seconds += received.last - received.first
        cpu = bench.usage().since(before).cpu[name]
        number = int(PACE * run.scale.seconds)
        await _deliver(received, number * streams, send(number, 1 / PACE))
    finally:
        for socket in sockets:
            socket.close()
    p50, p99 = percentiles_ms(received.latencies)
    deliveries = BURSTS * BURST * streams
    return {
        "burst_per_s": deliveries / seconds,
        "burst_us": cpu / deliveries * 1e6,
        "paced_p50_ms": p50,
        "paced_p99_ms": p99,
    }


async def _deliver(received: Received, number: int, sending: Awaitable[None]) -> None:
    received.expect(number)
    await sending
    await received.all()


async def _open(
    port: int, path: str, number: int, on_frame: Callable[[bytes], None] = ignore
) -> list[Socket]:
    """Open so many sockets, twenty at a time."""
    opened = Socket.follow if path.startswith("/ws/") else Socket.open
    sockets: list[Socket] = []
    while len(sockets) < number:
        batch = min(20, number - len(sockets))
        sockets += await asyncio.gather(*(opened(port, path, on_frame) for _ in range(batch)))
    return sockets


async def memory(run: Run) -> Figures:
    """Open many streams of one command in a new process, and look at its resident memory."""
    bench = run.bench
    path, _ = await _stream_of_one_command(bench)
    figures = {"memory_kib": await _kib_per_socket(run, WEB, path)}
    for name, figure in ((BARE_DAPHNE, "memory_bare_daphne_kib"), (BARE, "memory_bare_kib")):
        bench.needs(name)
        figures[figure] = await _kib_per_socket(run, name, "/")
    return figures


async def _kib_per_socket(run: Run, name: str, path: str) -> float:
    bench, port = run.bench, run.bench.ports[name]
    bench.restart(name)
    first = await _open(port, path, 50)
    before = resident_bytes(bench.running[name].pid)
    number = 2 * run.scale.streams
    sockets = await _open(port, path, number)
    after = resident_bytes(bench.running[name].pid)
    for socket in [*first, *sockets]:
        socket.close()
    return (after - before) / number / 1024


SILENT, FRAME_BYTES, MEGABYTES = 5, 4_000, 40


async def silent_clients(run: Run) -> Figures:
    """Send 40 MB to clients that read nothing, while another client reads all of it."""
    bench = run.bench
    path, writer = await _stream_of_one_command(bench)
    bench.restart(WEB)
    writer.padding = FRAME_BYTES
    received = Received()
    number = MEGABYTES * 1_000_000 // FRAME_BYTES // BURST
    (reader,) = await _open(bench.ports[WEB], path, 1, received.on_frame)
    with closing([writer]):
        for _ in range(number // 4):  # to warm up
            await _deliver(received, BURST, writer.send(BURST))
        silent: list[Socket] = []
        for _ in range(SILENT):
            silent.append(await Socket.open(bench.ports[WEB], f"{path}&after={writer.last}"))
            silent[-1].stop_reading()
        before = _resident_mib(bench)
        for _ in range(number):
            await _deliver(received, BURST, writer.send(BURST))
        sent = _resident_mib(bench)
        for socket in silent:
            socket.close()
        await asyncio.sleep(2)
        left = _resident_mib(bench)
    reader.close()
    return {
        "silent_client_mib": (sent - before) / SILENT,
        "silent_client_kept_mib": (left - before) / SILENT,
    }


def _resident_mib(bench: Bench) -> float:
    return resident_bytes(bench.running[WEB].pid) / 2**20
