"""Deliveries to webhooks, beside the commands: a slow receiver holds up no other webhook."""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from uuid import UUID

from django.db import Error as DatabaseError

from commands.database.threads import in_thread
from commands.deliveries import delivery, outbox
from commands.models import Webhook
from commands.worker.leases import poll_seconds

logger = logging.getLogger(__name__)

AT_ONCE = 20  # webhooks that one worker serves at the same time


class Deliveries:
    """Servants of the webhooks that have something due, one for each at a time."""

    def __init__(self) -> None:
        self._serving: dict[UUID, asyncio.Task[None]] = {}

    async def run(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            try:
                await self.step()
            except DatabaseError as error:
                logger.warning("The database refused a delivery (%s)", str(error).strip())
            with suppress(TimeoutError):
                async with asyncio.timeout(poll_seconds()):
                    await is_over.wait()
        for task in self._serving.values():
            task.cancel()  # what was claimed is sent again
        await asyncio.gather(*self._serving.values(), return_exceptions=True)

    async def step(self) -> None:
        """Note the ends of batches, and begin to serve the webhooks that are waiting."""
        for webhook_id in await in_thread(_look, AT_ONCE):
            if webhook_id not in self._serving and len(self._serving) < AT_ONCE:
                task = asyncio.create_task(_serve(webhook_id))
                self._serving[webhook_id] = task
                task.add_done_callback(partial(self._ended, webhook_id))

    def _ended(self, webhook_id: UUID, _task: asyncio.Task[None]) -> None:
        del self._serving[webhook_id]

    async def settle(self) -> None:
        """Serve until nothing is due."""
        await self.step()
        while self._serving:
            await asyncio.wait(self._serving.values())
            await self.step()


def _look(limit: int) -> list[UUID]:
    outbox.note_ended_batches()
    waiting = Webhook.objects.to_serve().order_by("paused_until").values_list("pk", flat=True)
    return list(waiting[: 2 * limit])


async def _serve(webhook_id: UUID) -> None:
    try:
        await delivery.serve(webhook_id)
    except DatabaseError as error:
        logger.warning("The database refused a delivery (%s)", str(error).strip())
    except Exception:
        logger.exception("The deliveries of webhook %s failed", webhook_id)
