"""The execution of one claimed command: to the vehicle and back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from enum import Enum
from functools import partial
from time import monotonic
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from structlog.contextvars import bind_contextvars

from commands import batches, lifecycle
from commands.backoff import jittered
from commands.database.threads import CONNECTION_LOST, in_thread
from commands.lifecycle import ClaimedMove, LockHeld, LockLost, LostClaim
from commands.models import Command, ErrorCode, Status
from commands.worker.response_limit import ResponseLimit
from commands.worker.writer import Writer
from vehicles import strict_json
from vehicles.connectors.base import Connector, Exchange, Response, VehicleError
from vehicles.descriptions import variants
from vehicles.ecus import number_of
from vehicles.models import Ecu

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
MAX_MESSAGE = 1_000  # characters of an error message that quotes a vehicle


class Stop(Enum):
    """Reason to end an execution before the vehicle has answered."""

    CANCELLED = "it was asked to stop"
    RELEASED = "its worker shuts down"
    LOST = "its claim is gone"


class Execution:
    """Execution of one command by its connector, which writes events while the claim stands.

    Connectors see it as their `Attempt`. All times are those of `monotonic`, the clock of the event
    loop.
    """

    def __init__(
        self, command: Command, connector: Connector, lease_ends: float, writer: Writer
    ) -> None:
        self.command = command
        self.last_contact = 0.0  # when the vehicle last responded
        self._token = cast(UUID, command.claim_token)
        self.lease_ends = lease_ends
        self._connector = connector
        self._writer = writer
        self._limit = ResponseLimit()
        self._ecus = _ecus_of(command)
        self._deadline = monotonic() + settings.COMMAND_TIMEOUT_SECONDS
        self._stop: Stop | None = None
        self._waiting: asyncio.Timeout | None = None
        self._is_reading_back = False
        self._may_have_acted = command.sent_at is not None  # then it was taken over

    @property
    def is_overdue(self) -> bool:
        """True if the connector did not stop when it was told to: the lease may run out."""
        return monotonic() > self._deadline + settings.COMMAND_LEASE_SECONDS

    def stop(self, reason: Stop) -> None:
        """End the wait for the vehicle now. A write that is under way is left to finish."""
        if self._is_reading_back and reason is Stop.CANCELLED:
            return  # it was sent already, and its outcome is about to be known
        self._stop = self._stop or reason
        self._deadline = min(self._deadline, monotonic())
        self._reschedule()

    def _reschedule(self) -> None:
        """Let the clock alone end the wait: the lease may no longer be renewed by then."""
        if self._waiting and not self._waiting.expired():
            self._waiting.reschedule(min(self._deadline, self.lease_ends))

    def update_lease(self, claims: Mapping[tuple[UUID, UUID], bool], renewed_until: float) -> None:
        """Go on until `renewed_until`, unless the claim is gone or the command is to stop."""
        asked_to_stop = claims.get((self.command.pk, self._token))
        if asked_to_stop is None:
            self.stop(Stop.LOST)
        elif asked_to_stop:
            self.stop(Stop.CANCELLED)
        if asked_to_stop is not None and self._stop is None:
            # A later report may be older: its sender does not wait for this one.
            self.lease_ends = max(self.lease_ends, renewed_until)
            self._reschedule()

    async def run(self) -> None:
        ids = {"command_id": self.command.pk, "vehicle_id": self.command.vehicle_id}
        bind_contextvars(**{name: str(value) for name, value in ids.items()})
        try:
            await self._run()
        except LostClaim:
            # The row stays as it is: if it is still claimed, its lease runs out, and a sweep
            # releases it.
            logger.warning("The claim on %s is lost: nothing more is written", self.command)
        except Exception:
            logger.exception("The execution of %s failed", self.command)
        await self._keep_evidence()
        if self.command.status != Status.COMPLETED:  # also if its end is not known here
            await self._stop_batch_if_failing()

    async def _run(self) -> None:
        if self._may_have_acted:  # another worker has sent it
            await self._read_back("its worker was lost or shut down")
            return
        try:
            response = await self._ask_vehicle()
        except TimeoutError:
            await self._end_early()
        except VehicleError as error:
            await self._end_with(error)
        except LockHeld as refusal:
            logger.info("%s waits: %s", self.command, refusal)
            await self._write(lifecycle.release)
        except LockLost:
            await self._write(lifecycle.lose_lock)
        else:
            await self._write(lifecycle.complete, response)

    async def _stop_batch_if_failing(self) -> None:
        """Stop the batch before more of it is claimed. If the write fails, the sweep does it."""
        try:
            if self.command.batch_id:
                await in_thread(batches.stop_if_failing, self.command.batch_id)
        except CONNECTION_LOST as error:
            logger.warning("The batch of %s is left to the sweep (%s)", self.command, error)

    # --- The `Attempt` that the connector sees

    async def about_to_send(self, before: list[str] | None = None) -> None:
        self._check_time()
        await _to_its_end(self._write(lifecycle.mark_sent, before))
        self._check_time()
        self._may_have_acted = True

    def record(self, exchange: Exchange) -> None:
        self.last_contact = monotonic()
        self.command.exchanges_to_keep.append(exchange)

    # --- The conversation

    async def _ask_vehicle(self) -> dict[str, Any]:
        """Ask the vehicle, store its responses, and return the last one."""
        command = self.command
        self._check_time()
        responses = self._connector.execute(
            command.vehicle, command.command_name, command.command_params, self
        )
        try:
            while True:
                response = await self._next(responses)
                checked = await self._checked(response)
                if response.is_final:
                    return checked
                await self._write(lifecycle.respond, checked)
        finally:
            await self._close(responses)

    async def _checked(self, response: Response) -> dict[str, Any]:
        """Return a response as it is stored. Raise VehicleError if it may not be."""
        cleaned = _clean(response)
        address = cleaned.get("ecuAddress") or self.command.command_params.get("ecuAddress")
        if ecu := self._ecus.get(address):
            told = await self._recognized(ecu, cleaned)
            cleaned = ecu.meaning.read(cleaned) | told
        return self._limit.count(cleaned)

    async def _recognized(self, ecu: Ecu, response: dict[str, Any]) -> dict[str, Any]:
        """Return the variant that the identifiers of a response tell, once it is stored."""
        match, known = variants.recognize(ecu, response), ecu.matched_variant or {}
        is_gone = match is None and variants.is_contradicted(ecu, response)
        if is_gone or (match and match.variant != known.get("variant")):
            try:
                await in_thread(variants.keep, ecu, match, self.command.pk)
            except CONNECTION_LOST as error:
                logger.warning("The variant of ECU %s is not stored (%s)", ecu, error)
        if match and match.variant == ecu.read_as:
            return {"variant": {"name": match.variant, "matchedBy": match.proofs}}
        return {}

    async def _close(self, responses: Any) -> None:
        """Close the connector's iterator. If that fails, the responses still count."""
        try:
            await responses.aclose()
        except Exception:
            logger.exception("The connector failed while closing for %s", self.command)

    async def _next(self, responses: AsyncIterator[Response]) -> Response:
        self._check_time()
        try:
            ends = min(self._deadline, self.lease_ends)
            async with asyncio.timeout_at(ends) as self._waiting:
                response = await self._ask(responses)
        finally:
            self._waiting = None
        self.last_contact = monotonic()
        return response

    def _check_time(self) -> None:
        """Raise TimeoutError at the deadline, also for a connector that never awaits anything."""
        if monotonic() >= min(self._deadline, self.lease_ends):
            raise TimeoutError

    async def _ask(self, responses: AsyncIterator[Response]) -> Response:
        try:
            return await anext(responses)
        except (VehicleError, LostClaim):
            raise
        except TimeoutError:
            if monotonic() >= min(self._deadline, self.lease_ends):
                raise
            raise self._failure_of_connector() from None
        except StopAsyncIteration:
            message = "The vehicle stopped answering before its last answer."
            raise VehicleError("malformed_answer", message) from None
        except Exception as error:
            raise self._failure_of_connector() from error

    def _failure_of_connector(self) -> VehicleError:
        logger.exception("The connector failed on %s", self.command)
        return VehicleError("malformed_answer", "The connector failed; the worker's log says why.")

    # --- Ends

    async def _end_with(self, error: VehicleError) -> None:
        if self._may_have_acted and not error.is_certain:
            await self._read_back(str(error))
        else:
            await self._write(lifecycle.fail, error.error_code, _clean_text(str(error)))

    async def _end_early(self) -> None:
        if self._stop is Stop.LOST or monotonic() >= self.lease_ends:
            raise LostClaim(self.command)
        if self._stop is Stop.RELEASED:
            await self._write(lifecycle.release)
        elif self._may_have_acted:
            reason = self._stop.value if self._stop else "the vehicle did not answer in time"
            await self._read_back(reason)
        elif self._stop is Stop.CANCELLED:
            await self._write(lifecycle.cancel_running)
        else:
            message = (
                f"The vehicle did not answer within {settings.COMMAND_TIMEOUT_SECONDS:g} s. It may "
                "be out of coverage. The command was not repeated."
            )
            await self._write(lifecycle.time_out, message)

    async def _read_back(self, reason: str) -> None:
        """Read the vehicle's state to end a command that was sent and got no usable response."""
        self._stop = None
        self._is_reading_back = True
        self._deadline = monotonic() + settings.READ_BACK_SECONDS
        found = "Reading back could not prove that it was carried out."
        responses: list[dict[str, Any]] = []
        try:
            responses = [await self._checked(each) for each in await self._ask_for_outcome() or []]
        except TimeoutError:
            if self._stop is Stop.LOST or monotonic() >= self.lease_ends:
                raise LostClaim(self.command) from None
            if self._stop is Stop.RELEASED:
                await self._write(lifecycle.release)
                return
            found = "Reading back got no answer in time."
        except VehicleError as error:
            found = f"Reading back failed: {error}"
        if responses:
            await self._write_outcome(responses)
        else:
            await self._fail_as_unknown(reason, found)

    async def _write_outcome(self, responses: list[dict[str, Any]]) -> None:
        *earlier, last = responses
        for response in earlier:
            await self._write(lifecycle.respond, response)
        await self._write(lifecycle.complete, last)

    async def _fail_as_unknown(self, reason: str, found: str) -> None:
        message = _clean_text(
            f"The command was sent, but no usable response came ({reason.rstrip('.')}). {found} "
            "It may have been carried out, and was not repeated. Read the vehicle's state before "
            "you send it again."
        )
        await self._write(lifecycle.fail, ErrorCode.OUTCOME_UNKNOWN, message)

    async def _ask_for_outcome(self) -> list[Response] | None:
        command = self.command
        if not self._connector.can_read_back:
            return None
        try:
            async with asyncio.timeout_at(min(self._deadline, self.lease_ends)) as self._waiting:
                return await self._connector.read_back(
                    command.vehicle,
                    command.command_name,
                    command.command_params,
                    command.codes_before,
                    self,
                )
        except (VehicleError, TimeoutError):
            raise
        except Exception as error:
            raise self._failure_of_connector() from error
        finally:
            self._waiting = None

    # --- Writing

    async def _write(self, move: Callable[..., None], *arguments: Any) -> None:
        """Make a move, and retry it over lost connections as long as the lease lasts."""
        alone = partial(in_thread, lifecycle.write_once, move, self.command, *arguments)
        write: Callable[[], Awaitable[None]] = alone
        if isinstance(move, ClaimedMove):
            write = partial(self._writer.write, move.plan(self.command, *arguments))
        while True:
            try:
                await write()
            except CONNECTION_LOST as error:
                if monotonic() >= self.lease_ends:
                    raise LostClaim(self.command) from error
                logger.warning("%s: written again (%s)", self.command, str(error).strip())
                await asyncio.sleep(jittered(RETRY_SECONDS))
                write = alone
            else:
                return

    async def _keep_evidence(self) -> None:
        """Store the exchanges that no event brought into the database, also if it comes late."""
        gives_up = monotonic() + settings.COMMAND_LEASE_SECONDS
        while self.command.exchanges_to_keep:
            try:
                await in_thread(lifecycle.keep_exchanges, self.command)
            except DatabaseError as error:
                if monotonic() >= gives_up or not isinstance(error, CONNECTION_LOST):
                    logger.warning("The exchanges of %s are lost (%s)", self.command, error)
                    return
                await asyncio.sleep(jittered(RETRY_SECONDS))


def _ecus_of(command: Command) -> dict[str, Ecu]:
    """Return the ECUs that a description is about, by their addresses in every spelling in use."""
    asked = command.command_params.get("ecuAddress", "")
    ecus = [ecu for ecu in command.vehicle.configured_ecus if ecu.description_id]
    found = {ecu.address: ecu for ecu in ecus}
    same = [ecu for ecu in ecus if asked and ecu.number == number_of(asked)]
    return found | dict.fromkeys([asked], *same) if same else found


async def _to_its_end(write: Coroutine[Any, Any, None]) -> None:
    """Await a write also when the wait for it is cancelled: its caller must know how it ended."""
    task = asyncio.create_task(write)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if problem := task.exception():
            logger.warning("A write that was waited for failed (%s)", problem)
        raise


def _clean(response: Response) -> dict[str, Any]:
    """Check a response before it is stored: a vehicle is not to be trusted."""
    try:
        return strict_json.check_object(response.response)
    except strict_json.InvalidJSON as problem:
        raise VehicleError(
            "malformed_answer", f"The vehicle's answer cannot be used: {problem}."
        ) from problem


def _clean_text(text: str) -> str:
    """Return a message without control characters and of limited length: it may quote a vehicle."""
    printable = "".join(character if character.isprintable() else "�" for character in text)
    return printable if len(printable) <= MAX_MESSAGE else f"{printable[:MAX_MESSAGE]}…"
