"""Pending responses, and sessions that are kept."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from vehicles.connectors.base import Response
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.doip.exchanges import (
    PENDING,
    READ_VIN,
    START,
    VIN_RESPONSE,
)
from vehicles.tests.hostile import (
    ECU,
    TESTER,
    acknowledgement,
    always,
    diagnostic,
    frame,
    gateway,
)
from vehicles.tests.targets import KeptAttempt, execute, failure


async def test_response_pending_is_told_as_progress_once_a_second(
    connector: DoipConnector,
) -> None:
    async with gateway(
        always(acknowledgement(), PENDING, PENDING, PENDING, VIN_RESPONSE)
    ) as hostile:
        attempt = KeptAttempt()
        responses = await execute(connector, hostile.vehicle, "ReadDataByID", READ_VIN, attempt)

    kinds = [response.response["type"] for response in responses]
    assert kinds == ["reading", "progress", "data"]
    assert responses[1].response == {"type": "progress", "ecuAddress": "0x10", "pendingCount": 1}
    assert [exchange.pending_count for exchange in attempt.exchanges] == [3]


async def test_endless_response_pending_ends_by_the_deadline_of_the_caller(
    connector: DoipConnector,
) -> None:
    async with gateway(always(*[PENDING] * 10_000)) as hostile:
        responses = connector.execute(hostile.vehicle, "ReadDataByID", READ_VIN, KeptAttempt())
        async with aclosing(responses):
            kinds = [(await anext(responses)).response["type"] for _ in range(2)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(responses)
        await hostile.all_closed()

    assert kinds == ["reading", "progress"]


async def test_a_flood_of_messages_holds_up_no_other_vehicle(connector: DoipConnector) -> None:
    flood = frame(0x8002, struct.pack("!HHB", ECU, TESTER, 0)) * 500

    async def endless(_uds: bytes, _ecu: int) -> list[bytes]:
        return [flood * 100]

    async with gateway(endless) as hostile, gateway(always(VIN_RESPONSE)) as good:
        flooded = asyncio.create_task(failure(connector, hostile.vehicle, "ReadDataByID", READ_VIN))
        responses = await execute(connector, good.vehicle, "ReadDataByID", READ_VIN)
        assert not flooded.done()
        error = await flooded

    assert responses[-1].is_final
    assert error.error_code == "vehicle_unreachable"


# Sessions


class SessionEcu:
    """Starts a routine in its extended session only."""

    def __init__(self, session_response: bytes = b"\x50\x03\x00\x32\x01\xf4") -> None:
        self.is_extended = False
        self.started = 0
        self._session_response = session_response

    async def answer(self, uds: bytes, _ecu: int) -> list[bytes]:
        if uds == b"\x10\x03":
            self.is_extended = self._session_response[0] == 0x50
            return [diagnostic(self._session_response)]
        if not self.is_extended:
            return [diagnostic(b"\x7f\x31\x7f")]
        self.started += 1
        return [diagnostic(b"\x71" + uds[1:4] + b"\x2a")]


async def test_a_service_of_the_extended_session_is_repeated_there_once(
    connector: DoipConnector,
) -> None:
    ecu, attempt = SessionEcu(), KeptAttempt()
    async with gateway(ecu.answer) as hostile:
        [routine] = await execute(connector, hostile.vehicle, "RoutineControl", START, attempt)

    assert routine.response == {
        "type": "routine",
        "ecuAddress": "0x10",
        "routineId": "0x0203",
        "action": "start",
        "raw": "2A",
    }
    assert attempt.requests == ["31010203", "1003", "31010203"]
    assert attempt.announced == [None]
    assert ecu.started == 1


async def test_a_session_that_is_refused_ends_the_command_for_certain(
    connector: DoipConnector,
) -> None:
    async with gateway(SessionEcu(b"\x7f\x10\x22").answer) as hostile:
        error = await failure(connector, hostile.vehicle, "RoutineControl", START)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "0x22 conditionsNotCorrect" in str(error)
    assert [uds for _, uds in hostile.requests] == [b"\x31\x01\x02\x03", b"\x10\x03"]


async def advance(responses: AsyncIterator[Response]) -> Response:
    return await anext(responses)


async def test_a_long_run_keeps_its_session_alive(
    connector: DoipConnector,
) -> None:
    ecu, kept = SessionEcu(), asyncio.Event()

    async def answer(uds: bytes, address: int) -> list[bytes]:
        if uds == b"\x3e\x80":
            kept.set()
            return [acknowledgement(), diagnostic(b"\x7f\x3e\x21")]
        if ecu.is_extended:
            return [diagnostic(b"\x7f\x31\x78")]
        return await ecu.answer(uds, address)

    async with gateway(answer) as hostile:
        responses = connector.execute(hostile.vehicle, "RoutineControl", START, KeptAttempt())
        async with aclosing(responses):
            progress = await anext(responses)
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(advance(responses))
                await kept.wait()
                waiting.cancel()

    assert progress.response["type"] == "progress"


async def test_keeping_the_session_does_not_lose_half_a_message(
    connector: DoipConnector,
) -> None:
    ecu, response = SessionEcu(), diagnostic(b"\x71\x01\x02\x03\x2a")

    async def answer(uds: bytes, address: int) -> list[bytes]:
        if uds == b"\x3e\x80":
            return [response[8:]]
        return [response[:8]] if ecu.is_extended else await ecu.answer(uds, address)

    async with gateway(answer) as hostile:
        patient = {**hostile.vehicle.connector_settings, "response_timeout": 30}
        vehicle = replace(hostile.vehicle, connector_settings=patient)
        [routine] = await execute(connector, vehicle, "RoutineControl", START)

    assert routine.response["raw"] == "2A"
