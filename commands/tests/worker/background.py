"""Workers that run beside a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commands.worker.worker import Worker


@asynccontextmanager
async def working(*workers: Worker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.gather(*tasks)
