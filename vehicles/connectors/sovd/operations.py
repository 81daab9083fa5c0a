"""Operations of an ECU: started once, and followed until they end."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from vehicles.connectors.base import Response
from vehicles.connectors.errors import NoAnswer, UnusableAnswer
from vehicles.connectors.sovd import bodies, data
from vehicles.connectors.sovd.entities import GENERIC_SERVICE, Entity, SovdEcu, member, url_of
from vehicles.connectors.sovd.errors import Refusal, error_in
from vehicles.connectors.sovd.server import Answer, Body
from vehicles.connectors.sovd.session import Session

POLL_SECONDS = (0.5, 1.0, 2.0)  # then always the last
ROUTINE_CONTROL = 0x31
ROUTINE_ACTIONS = {"start": 1, "stop": 2, "results": 3}
RESTARTS = {"hard": "hardreset", "keyOffOn": "keyoffonreset", "soft": "softreset"}
RESET = "ecureset"
FAILED = ("failed", "stopped")
ENDED = ("completed", *FAILED)  # compared with what may be no text


class Execution:
    """An execution: its progress, and in the end its parameters."""

    def __init__(self, session: Session, ecu: SovdEcu) -> None:
        self._session, self._ecu = session, ecu
        self.parameters: dict[str, Any] = {}

    async def start(
        self, operation: str, parameters: dict[str, Any]
    ) -> AsyncGenerator[Response, None]:
        """Start an operation and yield progress until it has ended."""
        url = f"{operation}/executions"
        answer = await self._session.change(
            "POST", url, "operations", Body(json={"parameters": parameters})
        )
        found = await answer.error_body()
        status = found.get("status", "completed") if isinstance(found, dict) else "completed"
        if answer.status not in {201, 202} and status in ENDED:  # it is done
            self._end(status, found)
            return
        steps = self.follow(_location(self._session, answer, found, url))
        async with aclosing(steps):
            async for response in steps:
                yield response

    async def stop(self, operation: str) -> AsyncGenerator[Response, None]:
        url = await self.latest(operation)
        body = Body(json={"capability": "stop"})
        await self._session.change("PUT", url, "operations", body)
        async with aclosing(self.follow(url, wanted="stopped")) as steps:
            async for response in steps:
                yield response

    async def latest(self, operation: str) -> str:
        """Return the URL of the last execution in the list. Raises VehicleError."""
        url = f"{operation}/executions"
        found = bodies.items_of(await self._session.get(url, "operations"), "executions")
        if not found:
            raise Refusal("The routine was not started, or its executions were removed. Start it.")
        return url_of(self._session, found[-1], url)

    async def read(self, url: str) -> None:
        """Read an execution. Raises the error that it ended with."""
        found = bodies.expect_object(await self._session.get(url, "operations"), "the execution")
        status = found.get("status")
        self._end("failed" if status == "failed" else "completed", found)

    async def follow(self, url: str, wanted: str = "completed") -> AsyncGenerator[Response, None]:
        """Yield progress until the execution has ended; a status that is not known is none.

        A server that is away for a moment is asked again: the operation goes on meanwhile.
        """
        polls = 0
        while True:
            await asyncio.sleep(POLL_SECONDS[min(polls, len(POLL_SECONDS) - 1)])
            polls += 1
            try:
                answer = await self._session.get(url, "operations")
            except NoAnswer:
                answer = {"status": "running"}
            found = bodies.expect_object(answer, "the execution")
            status = found.get("status")
            if not isinstance(status, str):
                raise UnusableAnswer("The server's answer about the execution has no status.")
            if status in ENDED:
                self._end("completed" if status == wanted else status, found)
                return
            yield Response(
                {"type": "progress", "ecuAddress": self._ecu.text, "pendingCount": polls}
            )

    def _end(self, status: str, body: Any) -> None:
        """Take the result. Raises the error that the execution ended with."""
        error = error_in(body, "to carry it out")
        if status in FAILED and not error:
            error = Refusal(f"The operation of ECU {self._ecu.text} {status}. Read its state.")
        if error:
            self._session.may_have_acted &= not error.is_certain
            raise error
        parameters = body.get("parameters") if isinstance(body, Mapping) else None
        self.parameters = parameters if isinstance(parameters, dict) else {}

    @property
    def raw(self) -> str:
        """The bytes of the result, if the server tells them."""
        for key in ("raw", "data"):
            value = self.parameters.get(key)
            if isinstance(value, str) and data.is_hexadecimal(value):
                return value.upper()
        return ""


def _location(session: Session, answer: Answer, found: Any, url: str) -> str:
    if answer.location:
        return session.link(answer.location, url)
    execution_id = found.get("id") if isinstance(found, dict) else None
    if not isinstance(execution_id, str | int):
        raise UnusableAnswer("The server does not tell which execution it started.")
    return member(url, str(execution_id))


async def find(session: Session, entity: Entity, operation_id: str) -> str | None:
    """Return the URL of an operation by its ID; None if the ECU has none of this name."""
    if not entity.offers("operations"):
        return None
    url = entity.link(session, "operations")
    for item in await session.list_once(url, "operations"):
        if _name(item.get("id")) == _name(operation_id):
            return url_of(session, item, url)
    named = await session.ask("GET", member(url, operation_id), "operations")
    return member(url, operation_id) if named.is_good else None  # a server need not list all


def _name(text: Any) -> str:
    """Return an ID without the differences of spelling: 0x0203 and 0203, ecureset and ECU-Reset."""
    return str(text).lower().removeprefix("0x").replace("-", "").replace("_", "")


async def control_routine(
    session: Session, entity: Entity, ecu: SovdEcu, params: Mapping[str, Any]
) -> AsyncGenerator[Response, None]:
    routine_id, action = params["routineId"], params["action"]
    operation = await find(session, entity, routine_id)
    if operation is None and entity.offers(GENERIC_SERVICE):
        raw = await _control_by_bytes(session, entity, params)
        yield _routine(ecu, params, raw)
        return
    if operation is None:
        raise Refusal(
            f"ECU {ecu.text} has no operation {routine_id}. Ask the server for its operations."
        )
    execution = Execution(session, ecu)
    if action == "results":
        await execution.read(await execution.latest(operation))
    else:
        given = {"data": params["data"].upper()} if "data" in params else {}
        is_start = action == "start"
        steps = execution.start(operation, given) if is_start else execution.stop(operation)
        async with aclosing(steps):
            async for response in steps:
                yield response
    yield _routine(ecu, params, execution.raw, execution.parameters)


async def _control_by_bytes(session: Session, entity: Entity, params: Mapping[str, Any]) -> str:
    routine_id = int(params["routineId"], 16).to_bytes(2)
    request = bytes([ROUTINE_CONTROL, ROUTINE_ACTIONS[params["action"]], *routine_id])
    request += bytes.fromhex(params.get("data", ""))
    return (await data.change_by_bytes(session, entity, request, echo=3)).hex().upper()


def _routine(
    ecu: SovdEcu, params: Mapping[str, Any], raw: str, parameters: dict[str, Any] | None = None
) -> Response:
    response = {
        "type": "routine",
        "ecuAddress": ecu.text,
        "routineId": f"0x{int(params['routineId'], 16):04X}",
        "action": params["action"],
        "raw": raw,
    }
    return Response(response | ({"parameters": parameters} if parameters else {}), is_final=True)


async def reset(
    session: Session, entity: Entity, ecu: SovdEcu, params: Mapping[str, Any]
) -> AsyncGenerator[Response, None]:
    reset_type = params["resetType"]
    if restart := await _restart(session, entity):
        body = Body(json={"parameters": {"ResetType": RESTARTS[reset_type]}})
        answer = await session.change("PUT", restart, "status", body)
        async with aclosing(_restarted(session, ecu, answer, restart)) as steps:
            async for response in steps:
                yield response
    elif operation := await find(session, entity, RESET):
        steps = Execution(session, ecu).start(operation, {"resetType": reset_type})
        async with aclosing(steps):
            async for response in steps:
                yield response
    else:
        raise Refusal(f"The server offers no restart of ECU {ecu.text}. Restart it in the vehicle.")
    yield Response(
        {"type": "reset", "ecuAddress": ecu.text, "resetType": reset_type}, is_final=True
    )


async def _restarted(
    session: Session, ecu: SovdEcu, answer: Answer, restart: str
) -> AsyncGenerator[Response, None]:
    """Follow a restart that is an execution of its own."""
    found = await answer.error_body()
    if answer.location and isinstance(found, dict) and found.get("status") == "running":
        async with aclosing(
            Execution(session, ecu).follow(session.link(answer.location, restart))
        ) as steps:
            async for response in steps:
                yield response


async def _restart(session: Session, entity: Entity) -> str | None:
    """Return the link `restart` in the ECU's status, None if there is none."""
    if not entity.offers("status"):
        return None
    url = entity.link(session, "status")
    about = bodies.expect_object(await session.get(url, "status"), "the status")
    return session.link(about["restart"], url) if "restart" in about else None
