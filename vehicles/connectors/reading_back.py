"""Reading back after a lost response, until the caller's time is up."""

import asyncio
from collections.abc import Awaitable, Callable

from vehicles.connectors.base import Response, VehicleError

RETRY_SECONDS = 0.5
TEMPORARY = {"vehicle_unreachable", "outcome_unknown"}
UNPROVEN_READS = 3  # an ECU may still be at work when it is first read


async def until_proved(read: Callable[[], Awaitable[list[Response]]]) -> list[Response]:
    """Return the responses of a read that proves the outcome; try an unreachable vehicle again.

    Raises VehicleError if the reads prove nothing.
    """
    unproven = 0
    while True:
        try:
            return await read()
        except VehicleError as error:
            unproven += error.error_code == "outcome_unknown"
            if error.error_code not in TEMPORARY or unproven == UNPROVEN_READS:
                raise
        await asyncio.sleep(RETRY_SECONDS)
