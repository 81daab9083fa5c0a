"""Commands from submission to end, claims, and pages of the API."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import psycopg

from dev.bench.load import PARAMS, Failed, Http, Socket, percentiles_ms
from dev.bench.measures.run import COMMANDS, Figures, Rate, Run, any_command, closing
from dev.bench.product import WEB, WORKER, Bench
from dev.chaos.gather import settle


class Ends:
    """Tells when commands have ended: a poll of the database, by a connection that is not counted.

    A stream per command would be measured with it: see `end_to_end`.
    """

    QUERY = "SELECT command_id::text, status FROM commands_command WHERE command_id = ANY(%s)"

    def __init__(self, connection: psycopg.AsyncConnection[tuple[str, str]]) -> None:
        self._connection = connection
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def wait_for(self, command_id: str) -> None:
        self._waiting[command_id] = asyncio.get_running_loop().create_future()
        await self._waiting[command_id]

    async def poll(self) -> None:
        while True:
            await asyncio.sleep(0.005)
            if self._waiting:
                found = await self._connection.execute(self.QUERY, [[*self._waiting]])
                for command_id, status in await found.fetchall():
                    if status == "completed":
                        self._waiting.pop(command_id).set_result(None)
                    elif status not in ("pending", "in_progress"):
                        self._waiting.pop(command_id).set_exception(Failed(status))


@contextlib.asynccontextmanager
async def ends(bench: Bench) -> AsyncIterator[Ends]:
    url = bench.servers.postgres.url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        bench.excluded = frozenset([connection.info.backend_pid])
        found = Ends(connection)
        polling = asyncio.create_task(found.poll())
        try:
            yield found
        finally:
            polling.cancel()
            await asyncio.wait([polling])


def command_for(bench: Bench, client: int) -> dict[str, object]:
    vehicle_id = bench.vehicles[client].vehicle_id
    return {"vehicle_id": vehicle_id, "command_name": "ReadDataByID", "command_params": PARAMS}


async def commands(run: Run) -> Figures:
    bench, figures = run.bench, Figures()
    bench.needs(WEB, WORKER)
    for number in (1, 64, 16):
        rate = await _commands(run, number)
        figures[f"completed_at_{number}_per_s"] = rate.per_second
    return figures | {
        "command_ms": rate.cpu_ms(),
        "command_web_ms": rate.cpu_ms(WEB),
        "command_worker_ms": rate.cpu_ms(WORKER),
        "command_postgres_ms": rate.cpu_ms("postgres"),
        "command_valkey_ms": rate.cpu_ms("valkey"),
    }


async def _commands(run: Run, number: int) -> Rate:
    bench, token = run.bench, await run.bench.token()
    ports = itertools.cycle(bench.ports[name] for name in bench.web if name in bench.running)
    with closing([Http(next(ports), token) for _ in range(number)]) as clients:
        async with ends(bench) as ended:

            async def step(client: int) -> None:
                body = command_for(bench, client)
                command = await clients[client].request("POST", COMMANDS, body)
                await ended.wait_for(command["command_id"])

            return await run.loop(number, step)


async def processes(run: Run) -> Figures:
    """Let more processes share the one core: more would be done only if they cost nothing."""
    bench, figures = run.bench, Figures()
    for number in range(1, len(bench.web) + 1):
        bench.needs(*bench.web[:number], *bench.workers[:number])
        rate = await _commands(run, 16)
        figures[f"processes_{number}_per_s"] = rate.per_second
        figures[f"processes_{number}_command_ms"] = rate.cpu_ms()
    return figures


async def end_to_end(run: Run) -> Figures:
    """Submit, follow by a WebSocket, and wait for the terminal event."""
    run.bench.needs(WEB, WORKER)
    figures = Figures()
    for number in (1, 16, 64):
        rate = await _followed(run, number)
        p50, p99 = percentiles_ms(rate.latencies)
        figures |= {f"end_to_end_at_{number}_p50_ms": p50, f"end_to_end_at_{number}_p99_ms": p99}
        figures[f"followed_at_{number}_per_s"] = rate.per_second
    return figures


async def _followed(run: Run, number: int) -> Rate:
    bench, token = run.bench, await run.bench.token()
    with closing([Http(bench.ports[WEB], token) for _ in range(number)]) as clients:

        async def step(client: int) -> None:
            command = await clients[client].request("POST", COMMANDS, command_for(bench, client))
            ended = asyncio.get_running_loop().create_future()

            def on_frame(frame: bytes) -> None:
                if b'"status":"completed"' in frame and not ended.done():
                    ended.set_result(None)

            path = f"/ws/responses/{command['command_id']}?token={quote(token)}"
            socket = await Socket.open(bench.ports[WEB], path, on_frame)
            await ended
            socket.close()

        return await run.loop(number, step)


OPEN = "SELECT count(*) FROM commands_command WHERE completed_at IS NULL"
EMPTY_SECONDS = 300.0


async def worker(run: Run) -> Figures:
    """Let the worker empty a full queue while no web process runs."""
    bench, number = run.bench, run.scale.queue
    bench.needs(WORKER)
    bench.empty()
    with bench.paused(WORKER):
        bench.fill(number)
    before = bench.usage()
    if not settle(lambda: bench.execute(OPEN) == [(0,)], EMPTY_SECONDS):
        raise Failed(f"{number} commands were not carried out in {EMPTY_SECONDS:.0f} s")
    rate = Rate(number, bench.usage().since(before), [])
    ((seconds,),) = bench.execute(
        "SELECT extract(epoch FROM max(completed_at) - min(started_at)) FROM commands_command"
    )
    return {
        "worker_per_s": number / float(seconds),
        "worker_ms": rate.cpu_ms(WORKER),
        "worker_postgres_ms": rate.cpu_ms("postgres"),
    }


async def claim(run: Run) -> Figures:
    bench = run.bench
    bench.needs()
    bench.empty()
    bench.execute("ALTER TABLE commands_command SET (autovacuum_enabled = false)")
    try:
        program = ("-m", "dev.with_django", "dev.bench.inside", "claim", str(run.scale.waiting))
        bench.run("claim", *program)
    finally:
        bench.execute("ALTER TABLE commands_command RESET (autovacuum_enabled)")
        bench.empty()
    figures: Figures = json.loads((bench.logs / "claim.log").read_text().splitlines()[-1])
    return figures


async def pages(run: Run) -> Figures:
    """GET the list of commands, a command and the list of vehicles, with 16 connections."""
    bench = run.bench
    bench.needs(WEB)
    bench.empty()
    bench.fill(1_000)
    token = await bench.token()
    paths = {"list": COMMANDS, "detail": f"{COMMANDS}{any_command(bench)}/"}
    paths["vehicles"] = "/api/v1/vehicles/"
    figures = Figures()
    with closing([Http(bench.ports[WEB], token) for _ in range(16)]) as clients:
        for name, path in paths.items():

            async def step(client: int, path: str = path) -> None:
                await clients[client].request("GET", path)

            rate = await run.loop(16, step)
            figures |= {f"{name}_per_s": rate.per_second, f"{name}_web_ms": rate.cpu_ms(WEB)}
    return figures
