"""Yardsticks: work that the product cannot avoid, by the least code."""

import asyncio

import psycopg
from redis import Redis

from dev.bench.load import PARAMS, Http
from dev.bench.measures.run import Figures, Run, closing
from dev.bench.product import PLAIN


async def plain(run: Run) -> Figures:
    run.bench.needs(PLAIN)
    token = run.bench.plain_token()
    body = {"name": "ReadDataByID", "params": PARAMS}
    with closing([Http(run.bench.ports[PLAIN], token) for _ in range(16)]) as clients:

        async def step(client: int) -> None:
            await clients[client].request("POST", "/commands/", body)

        rate = await run.loop(16, step)
    return {
        "plain_per_s": rate.per_second,
        "plain_web_ms": rate.cpu_ms(PLAIN),
        "plain_postgres_ms": rate.cpu_ms("postgres"),
    }


async def inserts(run: Run) -> Figures:
    """Store single rows, each in a transaction of its own, from the core of the load."""
    run.bench.needs()
    statement = "INSERT INTO bench_command VALUES (gen_random_uuid(), 'x', '{}', 1, now())"
    async with await psycopg.AsyncConnection.connect(
        run.bench.servers.postgres.url, autocommit=True
    ) as connection:

        async def step(_: int) -> None:
            await connection.execute(statement)

        rate = await run.loop(1, step)
    return {"insert_per_s": rate.per_second, "insert_us": rate.cpu_ms("postgres") * 1000}


async def publishes(run: Run) -> Figures:
    run.bench.needs()
    with Redis.from_url(run.bench.servers.valkey.url) as redis:

        async def step(_: int) -> None:
            redis.publish("nobody", b"x" * 300)
            await asyncio.sleep(0)

        rate = await run.loop(1, step)
    return {"publish_per_s": rate.per_second, "publish_us": rate.cpu_ms("valkey") * 1000}
