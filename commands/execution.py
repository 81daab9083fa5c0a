"""One claimed command on its way to the vehicle and back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from enum import Enum
from time import monotonic
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from structlog.contextvars import bind_contextvars

from commands import batches, failpoints, lifecycle, plain_json
from commands.catalogue import is_safe_to_repeat
from commands.jitter import jittered
from commands.lifecycle import LostClaim
from commands.models import Command, Status
from commands.threads import CONNECTION_LOST, in_thread
from vehicles.connector import Answer, Connector, VehicleError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class Stop(Enum):
    """Why an execution is to end before the vehicle has answered."""

    CANCELLED = "somebody asked it to stop"
    RELEASED = "its worker shuts down"
    LOST = "its claim is gone"


class Execution:
    def __init__(self, command: Command, connector: Connector, lease_ends: float) -> None:
        self.command = command
        self._token = cast(UUID, command.claim_token)
        self.lease_ends = lease_ends  # like all times here by `monotonic`, the event loop's clock
        self._connector = connector
        self._deadline = monotonic() + settings.COMMAND_TIMEOUT_SECONDS
        self._stop: Stop | None = None
        self._waiting: asyncio.Timeout | None = None

    @property
    def is_overdue(self) -> bool:
        """Its connector did not even stop when it was told to: the lease may run out."""
        return monotonic() > self._deadline + settings.COMMAND_LEASE_SECONDS

    def stop(self, reason: Stop) -> None:
        """End the wait for the vehicle now. A write that is under way is left to finish."""
        self._stop = self._stop or reason
        self._deadline = min(self._deadline, monotonic())
        self._wait_anew()

    def _wait_anew(self) -> None:
        """Whatever cannot renew the lease, the clock alone then ends the wait."""
        if self._waiting and not self._waiting.expired():
            self._waiting.reschedule(min(self._deadline, self.lease_ends))

    def heed(self, claims: Mapping[tuple[UUID, UUID], bool], renewed_until: float) -> None:
        """Go on until then, unless the claim is not among those that stand or is to stop."""
        asked_to_stop = claims.get((self.command.pk, self._token))
        if asked_to_stop is None:
            self.stop(Stop.LOST)
        elif asked_to_stop:
            self.stop(Stop.CANCELLED)
        else:
            # What was told later may be older: the one who tells did not wait for us.
            self.lease_ends = max(self.lease_ends, renewed_until)
            self._wait_anew()

    async def run(self) -> None:
        ids = {"command_id": self.command.pk, "vehicle_id": self.command.vehicle_id}
        bind_contextvars(**{name: str(value) for name, value in ids.items()})
        try:
            await self._run()
        except LostClaim:
            # The row stays as it is: if it is still claimed, its lease runs out, and the sweep
            # applies the rules.
            logger.warning("%s is no longer ours: nothing more is written", self.command)
        except Exception:
            logger.exception("%s could not be carried on", self.command)
        if self.command.status != Status.COMPLETED:  # also when nobody knows how it ended
            await self._stop_batch_if_failing()

    async def _run(self) -> None:
        try:
            answer = await self._converse()
        except TimeoutError:
            await self._end_early()
        except VehicleError as error:
            await self._write(lifecycle.fail, error.error_code, str(error))
        else:
            await self._write(lifecycle.complete, answer)

    async def _stop_batch_if_failing(self) -> None:
        """As a rule before more of it is claimed. If that cannot be written, the sweep does it."""
        try:
            if self.command.batch_id:
                await in_thread(batches.stop_if_failing, self.command.batch_id)
        except CONNECTION_LOST as error:
            logger.warning("The batch of %s waits for the sweep (%s)", self.command, error)

    async def _converse(self) -> dict[str, Any]:
        """Ask the vehicle, write down its answers, and return the last one."""
        command = self.command
        self._check_time()
        if not is_safe_to_repeat(command.command_name):
            await self._write(lifecycle.mark_sent)
        failpoints.reached("before_send")
        answers = self._connector.execute(
            command.vehicle, command.command_name, command.command_params
        )
        try:
            while True:
                answer = await self._next(answers)
                failpoints.reached("after_send")
                response = _clean(answer)
                if answer.is_final:
                    return response
                await self._write(lifecycle.respond, response)
        finally:
            await self._leave(answers)

    async def _leave(self, answers: Any) -> None:
        """A clean-up that fails must not throw away what the vehicle has answered."""
        try:
            await answers.aclose()
        except Exception:
            logger.exception("The connector failed when it left the vehicle of %s", self.command)

    async def _next(self, answers: AsyncIterator[Answer]) -> Answer:
        self._check_time()
        try:
            ends = min(self._deadline, self.lease_ends)
            async with asyncio.timeout_at(ends) as self._waiting:
                return await self._ask(answers)
        finally:
            self._waiting = None

    def _check_time(self) -> None:
        """A timeout alone does not bind what never waits: answers that are there already."""
        if monotonic() >= min(self._deadline, self.lease_ends):
            raise TimeoutError

    async def _ask(self, answers: AsyncIterator[Answer]) -> Answer:
        try:
            return await anext(answers)
        except VehicleError:
            raise
        except StopAsyncIteration:
            message = "The vehicle stopped answering before its last answer."
            raise VehicleError("malformed_answer", message) from None
        except Exception as error:
            logger.exception("The connector failed on %s", self.command)
            message = f"The connector failed ({type(error).__name__}); the worker's log says why."
            raise VehicleError("malformed_answer", message) from error

    async def _end_early(self) -> None:
        if self._stop is Stop.LOST or monotonic() >= self.lease_ends:
            raise LostClaim(self.command)
        if self._stop is Stop.CANCELLED:
            await self._write(lifecycle.cancel_running)
        elif self._stop is Stop.RELEASED:
            await self._write(lifecycle.release)
        else:
            message = (
                f"The vehicle did not answer within {settings.COMMAND_TIMEOUT_SECONDS:g} s. It may "
                "be out of coverage. The command was not repeated."
            )
            await self._write(lifecycle.time_out, message)

    async def _write(self, move: Callable[..., None], *arguments: Any) -> None:
        """Write also through a lost connection, as long as the lease lasts."""
        while True:
            try:
                await in_thread(lifecycle.write_once, move, self.command, *arguments)
            except CONNECTION_LOST as error:
                if monotonic() >= self.lease_ends:
                    raise LostClaim(self.command) from error
                logger.warning("%s: written again (%s)", self.command, str(error).strip())
                await asyncio.sleep(jittered(RETRY_SECONDS))
            else:
                return


def _clean(answer: Answer) -> dict[str, Any]:
    """What a vehicle answers is hostile input: checked before it is stored."""
    try:
        return plain_json.check_object(answer.response)
    except plain_json.NotPlain as problem:
        raise VehicleError(
            "malformed_answer", f"The vehicle's answer cannot be used: {problem}."
        ) from problem
