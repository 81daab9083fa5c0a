"""Requests over an open connection: sessions, time limits, pending responses, evidence."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TypeVar

from vehicles.connectors import nrc as negative_responses
from vehicles.connectors.base import Attempt, Exchange, Response
from vehicles.connectors.doip import uds
from vehicles.connectors.doip.configuration import DoipSettings
from vehicles.connectors.doip.connection import UNWANTED_MESSAGE_SECONDS, Connection
from vehicles.connectors.doip.errors import Refusal, connection_broken
from vehicles.connectors.doip.uds import Ask
from vehicles.connectors.errors import NoAnswer

T = TypeVar("T")

PROGRESS_SECONDS = 1.0
KEEP_SESSION_SECONDS = 2.0  # an ECU leaves its session after five seconds of silence


class Link:
    """The ECUs of a vehicle as one command sees them."""

    def __init__(
        self, connection: Connection, settings: DoipSettings, attempt: Attempt | None
    ) -> None:
        self.connection = connection
        self._settings = settings
        self._attempt = attempt
        self._in_session: set[int] = set()
        self._has_announced = False
        self._told_at = -PROGRESS_SECONDS
        self.may_have_acted = False
        """Whether a request that is not safe to repeat may have been carried out."""
        self.result: Any = None
        """The meaning of the last response."""

    async def get(self, ask: Ask[T]) -> T:
        """Return the meaning of the response, without telling of progress."""
        async for _ in self.ask(ask):
            pass
        result: T = self.result
        return result

    async def ask(self, ask: Ask[Any]) -> AsyncGenerator[Response, None]:
        """Yield progress until the ECU has answered; then `result` has the meaning."""
        await self.connection.discard_unasked()
        if not ask.is_safe:
            await self._announce(ask.before)
        try:
            async with aclosing(self._exchange(ask)) as progress:
                async for response in progress:
                    yield response
        except Refusal as refusal:
            if not self._may_need_session(ask, refusal):
                raise
        else:
            return
        for again in (uds.extended_session(ask.ecu), ask):
            async with aclosing(self._exchange(again)) as progress:
                async for response in progress:
                    yield response
            self._in_session.add(ask.ecu.logical)

    async def _announce(self, before: list[str] | None) -> None:
        if self._attempt and not self._has_announced:
            await self._attempt.about_to_send(before)
            self._has_announced = True

    def _may_need_session(self, ask: Ask[Any], refusal: Refusal) -> bool:
        is_about_session = refusal.nrc in negative_responses.NOT_IN_THIS_SESSION
        return is_about_session and ask.ecu.logical not in self._in_session

    async def _exchange(self, ask: Ask[Any]) -> AsyncGenerator[Response, None]:
        record = _Record(ask)
        had_acted, self.may_have_acted = self.may_have_acted, self.may_have_acted or not ask.is_safe
        try:
            async with aclosing(self._responses(ask)) as responses:
                async for payload in responses:
                    record.add(payload)
                    if record.is_pending and monotonic() - self._told_at >= PROGRESS_SECONDS:
                        self._told_at = monotonic()
                        yield record.progress()
            self.result = ask.answer(payload)
        except (Refusal, NoAnswer) as error:
            if error.is_certain:
                self.may_have_acted = had_acted
            raise
        finally:
            self._record(record)

    def _record(self, record: "_Record") -> None:
        if self._attempt:
            self._attempt.record(record.exchange())

    async def _responses(self, ask: Ask[Any]) -> AsyncGenerator[bytes, None]:
        """Send a request, and yield its responses: 0x78 any number of times, and the answer."""
        await self._send(ask)
        ends = monotonic() + self._settings.response_timeout
        while True:
            payload = await self._next(ask, ends)
            if not ask.is_pending(payload):
                if ask.is_answered_by(payload):
                    self.connection.answered(ask.ecu.logical)
                yield payload
                return
            yield payload
            ends = monotonic() + self._settings.pending_timeout
            await asyncio.sleep(UNWANTED_MESSAGE_SECONDS)

    async def _send(self, ask: Ask[Any]) -> None:
        try:
            async with asyncio.timeout(self._settings.response_timeout):
                await self.connection.send(ask.ecu.logical, ask.payload)
        except TimeoutError as error:
            raise connection_broken("the gateway takes no more data") from error

    async def _next(self, ask: Ask[Any], ends: float) -> bytes:
        """Return the next response of the ECU; keep its session alive while it works."""
        while True:
            wakes = ends
            if ask.ecu.logical in self._in_session:
                wakes = min(ends, monotonic() + KEEP_SESSION_SECONDS)
            try:
                async with asyncio.timeout_at(wakes):
                    payload = await self.connection.receive(ask.ecu.logical)
            except TimeoutError:
                if monotonic() >= ends:
                    raise self._silence(ask) from None
                await self._keep_session(ask)
            else:
                if not uds.answers_keep_session(payload) or ask.is_answered_by(payload):
                    return payload
                await asyncio.sleep(UNWANTED_MESSAGE_SECONDS)

    def _silence(self, ask: Ask[Any]) -> NoAnswer:
        return NoAnswer(
            f"ECU {ask.ecu.text} did not answer {ask.service} in time. "
            "Check that it has power and is installed, then send it again."
        )

    async def _keep_session(self, ask: Ask[Any]) -> None:
        keep = uds.keep_session(ask.ecu)
        await self.connection.send(keep.ecu.logical, keep.payload, expects_answer=False)
        self._record(_Record(keep))


class _Record:
    """The evidence of one exchange while it grows."""

    def __init__(self, ask: Ask[Any]) -> None:
        self._ask = ask
        self._started_at, self._started = datetime.now(UTC), monotonic()
        self._response: bytes | None = None
        self._pending_count = 0

    @property
    def is_pending(self) -> bool:
        return self._response is None

    def add(self, payload: bytes) -> None:
        if self._ask.is_pending(payload):
            self._pending_count += 1
        else:
            self._response = payload

    def progress(self) -> Response:
        return Response(
            {
                "type": "progress",
                "ecuAddress": self._ask.ecu.text,
                "pendingCount": self._pending_count,
            }
        )

    def exchange(self) -> Exchange:
        nrc = _nrc_in(self._response)
        return Exchange(
            ecu_address=self._ask.ecu.text,
            service=self._ask.service,
            request=self._ask.payload.hex().upper(),
            response=None if self._response is None else self._response.hex().upper(),
            nrc=None if nrc is None else f"0x{nrc:02X}",
            nrc_name="" if nrc is None else negative_responses.name_of(nrc),
            pending_count=self._pending_count,
            started_at=self._started_at,
            duration_ms=round((monotonic() - self._started) * 1000, 3),
        )


def _nrc_in(response: bytes | None) -> int | None:
    return response[2] if response and response[0] == 0x7F and len(response) > 2 else None
