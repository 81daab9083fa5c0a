"""Locks: one for each command that is not safe to repeat, as far as a server has them."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from django.conf import settings

from vehicles.connectors.base import VehicleError
from vehicles.connectors.errors import UnusableAnswer
from vehicles.connectors.sovd.entities import Entity, member
from vehicles.connectors.sovd.errors import locked
from vehicles.connectors.sovd.server import Answer, Body
from vehicles.connectors.sovd.session import Session

LONGER_SECONDS = 5  # than a command may take: a lost worker leaves nothing locked for long
UNLOCK_SECONDS = 2.0
REFUSED = {403, 409, 423}


@asynccontextmanager
async def held(session: Session, entity: Entity) -> AsyncIterator[None]:
    """Hold the lock of an ECU, if the server has locks. Raises VehicleError.

    It changes nothing in the vehicle, so that it is not announced; it is sent once all the same.
    """
    if not entity.offers("locks"):
        yield
        return
    url = await _lock(session, entity.link(session, "locks"))
    try:
        yield
    finally:
        # Also after a cancellation: the lock would keep others out until it expires.
        with suppress(VehicleError, TimeoutError):
            async with asyncio.timeout(UNLOCK_SECONDS):
                await session.ask("DELETE", url, "locks")


async def _lock(session: Session, locks: str) -> str:
    """Lock, and return the lock's URL."""
    seconds = math.ceil(settings.COMMAND_TIMEOUT_SECONDS) + LONGER_SECONDS
    body = Body(json={"lock_expiration": seconds})
    answer = await session.ask("POST", locks, "locks", body)
    if answer.status in REFUSED:
        raise locked(answer.status, await answer.error_body())
    if not answer.is_good:
        raise await session.error(answer, "POST", locks)
    return await _url(session, answer, locks)


async def _url(session: Session, answer: Answer, locks: str) -> str:
    found = await answer.error_body()
    lock_id = found.get("id") if isinstance(found, dict) else None
    if answer.location:
        with suppress(UnusableAnswer):
            return session.link(answer.location, locks)
    if not isinstance(lock_id, str | int):
        raise UnusableAnswer("The server does not tell which lock it gave. Nothing else was sent.")
    return member(locks, str(lock_id))
