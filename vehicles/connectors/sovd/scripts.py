"""Commands as scripts: requests to one ECU's component, and the responses that they lead to."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from vehicles.connectors import clearing, data_ids, scanning
from vehicles.connectors.base import Response
from vehicles.connectors.errors import NoAnswer
from vehicles.connectors.sovd import data, faults, locks, operations, snapshots
from vehicles.connectors.sovd.entities import Entity, SovdEcu, Tree
from vehicles.connectors.sovd.errors import SURVIVABLE, Refusal
from vehicles.connectors.sovd.faults import Fault
from vehicles.connectors.sovd.session import Session

Params = Mapping[str, Any]
Steps = AsyncGenerator[Response, None]


async def read_dtc(session: Session, entity: Entity, ecu: SovdEcu, params: Params) -> Steps:
    mask = int(params.get("statusMask", "0xFF"), 16)
    found = [fault for fault in await faults.read(session, entity) if fault.status & mask]
    for fault in found:
        yield Response(fault.response(ecu.text))
    yield _final("summary", ecu, dtcCount=len(found))


async def read_dtc_snapshot(
    session: Session, entity: Entity, ecu: SovdEcu, params: Params
) -> Steps:
    wanted, number = params["dtcCode"].upper(), params.get("recordNumber")
    found = [
        _snapshot(ecu, fault, record, entries)
        for fault in _those_named(ecu, await faults.read(session, entity), wanted)
        for record, entries in snapshots.records_of(
            await faults.environment_of(session, fault), session.server.settings
        )
        if number is None or record == number
    ]
    if not found:
        raise Refusal(f"ECU {ecu.text} has no such snapshot of {wanted}. Read its codes.")
    for place, snapshot in enumerate(found, 1):
        yield Response(snapshot, is_final=place == len(found))


def _snapshot(
    ecu: SovdEcu, fault: Fault, record: int, entries: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "type": "snapshot",
        "ecuAddress": ecu.text,
        "dtcCode": fault.text,
        **({"dtcRaw": fault.raw} if fault.raw else {}),
        "recordNumber": record,
        "data": entries,
    }


async def clear_dtc(session: Session, entity: Entity, ecu: SovdEcu, params: Params) -> Steps:
    """Lock, read, clear, read and unlock. One code is never cleared by clearing all."""
    async with locks.held(session, entity):
        stored = await faults.stored(session, entity)
        wanted = params.get("dtcCode", "").upper()
        before = [fault.text for fault in stored]
        if wanted:
            urls = [fault.url for fault in _those_named(ecu, stored, wanted)]
        else:
            urls = [entity.link(session, "faults")]
        for url in urls:
            await session.change("DELETE", url, "faults", before=before)
        remaining = [fault.text for fault in await faults.stored(session, entity)]
    yield clearing.cleared(ecu.text, wanted, before, remaining)


async def clear_dtc_back(
    session: Session, entity: Entity, ecu: SovdEcu, params: Params, before: list[str]
) -> Response:
    remaining = [fault.text for fault in await faults.stored(session, entity)]
    return clearing.proved(ecu.text, params.get("dtcCode", "").upper(), before, remaining)


def _those_named(ecu: SovdEcu, found: list[Fault], wanted: str) -> list[Fault]:
    named = [fault for fault in found if fault.matches(wanted)]
    if not named:
        raise clearing.not_stored(ecu.text, wanted)
    return named


async def read_data_by_id(session: Session, entity: Entity, ecu: SovdEcu, params: Params) -> Steps:
    data_id = int(params["dataId"], 16)
    yield Response({"type": "reading", "ecuAddress": ecu.text, "dataId": f"0x{data_id:04X}"})
    reading = await data.read(session, entity, data_id)
    yield Response({"type": "data", **reading.response(data_id)}, is_final=True)


async def write_data_by_id(session: Session, entity: Entity, ecu: SovdEcu, params: Params) -> Steps:
    async with locks.held(session, entity):
        data_id, written = int(params["dataId"], 16), bytes.fromhex(params["data"])
        await data.write(session, entity, data_id, written)
    yield _written(ecu, params)


async def write_data_back(
    session: Session, entity: Entity, ecu: SovdEcu, params: Params, _before: list[str]
) -> Response:
    data_id, written = int(params["dataId"], 16), bytes.fromhex(params["data"])
    if not await data.holds(session, entity, data_id, written):
        raise clearing.unproven(f"ECU {ecu.text} holds other data than was to be written")
    return _written(ecu, params)


def _written(ecu: SovdEcu, params: Params) -> Response:
    data_id = int(params["dataId"], 16)
    return _final("written", ecu, dataId=f"0x{data_id:04X}", raw=params["data"].upper())


async def control_routine(session: Session, entity: Entity, ecu: SovdEcu, params: Params) -> Steps:
    steps = operations.control_routine(session, entity, ecu, params)
    async with locks.held(session, entity), aclosing(steps):
        async for response in steps:
            yield response


async def reset_ecu(session: Session, entity: Entity, ecu: SovdEcu, params: Params) -> Steps:
    steps = operations.reset(session, entity, ecu, params)
    async with locks.held(session, entity), aclosing(steps):
        async for response in steps:
            yield response


async def scan(tree: Tree, ecus: list[SovdEcu]) -> Steps:
    found = []
    for ecu in ecus:
        tree.session.ecu_address = ecu.text
        found.append(await _scan_ecu(tree, ecu))
        yield Response(found[-1])
    yield scanning.summary(found)


async def _scan_ecu(tree: Tree, ecu: SovdEcu) -> dict[str, Any]:
    """Ask one ECU for all it tells of itself, until it does not answer for the first time."""
    response = scanning.unreached(ecu.text, ecu.name)
    try:
        entity = await tree.component(ecu)
        found = await faults.read(tree.session, entity)
        response["reachable"] = True
        async for data_id, reading in _identification(tree.session, entity):
            raw = bytes.fromhex(reading.raw) if reading.raw else None
            scanning.identify(response, data_id, reading.value, raw)
    except SURVIVABLE as error:
        if isinstance(error, Refusal) and error.nrc:
            response["reachable"] = True
        return response | {"problem": str(error)}
    return scanning.with_codes(response, [fault.response(ecu.text) for fault in found])


async def _identification(
    session: Session, entity: Entity
) -> AsyncGenerator[tuple[int, data.Reading], None]:
    """Yield the identifiers that the ECU has; it need not have every one."""
    for data_id in data_ids.IDENTIFICATION:
        try:
            reading = await data.read(session, entity, data_id)
        except NoAnswer:
            raise
        except SURVIVABLE:
            continue
        yield data_id, reading


def _final(kind: str, ecu: SovdEcu, **fields: Any) -> Response:
    return Response({"type": kind, "ecuAddress": ecu.text, **fields}, is_final=True)


SCRIPTS: dict[str, Callable[[Session, Entity, SovdEcu, Params], Steps]] = {
    "ReadDTC": read_dtc,
    "ReadDTCSnapshot": read_dtc_snapshot,
    "ClearDTC": clear_dtc,
    "ReadDataByID": read_data_by_id,
    "WriteDataByID": write_data_by_id,
    "RoutineControl": control_routine,
    "ECUReset": reset_ecu,
}
COMMAND_NAMES = frozenset({*SCRIPTS, "ScanVehicle"})
READ_BACK_SCRIPTS = {"ClearDTC": clear_dtc_back, "WriteDataByID": write_data_back}
