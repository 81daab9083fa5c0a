"""Commands as scripts: generators that ask an ECU, get the meaning of its response, and respond.

A script waits for nothing and knows no socket. A failed request is raised where it was asked.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

from vehicles.connectors import clearing, data_ids, dtc, scanning
from vehicles.connectors.base import Response, TargetVehicle, VehicleError
from vehicles.connectors.doip import uds
from vehicles.connectors.doip.configuration import EcuAddress, all_ecus, find_ecu
from vehicles.connectors.doip.errors import SURVIVABLE
from vehicles.connectors.doip.uds import Ask
from vehicles.connectors.dtc import TroubleCode
from vehicles.connectors.errors import NoAnswer, UnusableAnswer

T = TypeVar("T")
Steps = Generator[Ask[Any] | Response, Any, T]
Params = Mapping[str, Any]

MAX_RECORDS = 255  # of one code


def script(vehicle: TargetVehicle, command_name: str, params: Params) -> Steps[None]:
    """Return the script of a command; the last response that it yields is final."""
    if command_name == "ScanVehicle":
        if not vehicle.configured_ecus:
            raise _refused("The vehicle has no ECUs to scan. Add them to the vehicle.")
        return _scan(all_ecus(vehicle))
    if command_name not in SCRIPTS:
        raise _refused(f"{command_name} cannot be sent over DoIP. Choose another command.")
    return SCRIPTS[command_name](find_ecu(vehicle, params["ecuAddress"]), params)


def read_back_script(
    vehicle: TargetVehicle, command_name: str, params: Params, before: list[str]
) -> Steps[None]:
    """Return a script that responds if it proves that the command was carried out.

    Otherwise it raises VehicleError. It sends nothing that changes anything.
    """
    return READ_BACK_SCRIPTS[command_name](find_ecu(vehicle, params["ecuAddress"]), params, before)


def ask(request: Ask[T]) -> Generator[Ask[Any] | Response, Any, T]:
    result: T = yield request
    return result


def _read_dtc(ecu: EcuAddress, params: Params) -> Steps[None]:
    codes = yield from ask(uds.read_codes(ecu, _number(params.get("statusMask", "0xFF"))))
    for code in codes:
        yield Response(code.response(ecu.text))
    yield _final("summary", ecu, dtcCount=len(codes))


def _read_dtc_snapshot(ecu: EcuAddress, params: Params) -> Steps[None]:
    wanted = params["dtcCode"].upper()
    if dtc.has_failure_type(wanted):
        codes = [dtc.raw_of(wanted)]
    else:
        stored = yield from _stored_codes(ecu)
        codes = [code.raw for code in _those_named(ecu, stored, wanted)]
    record = params.get("recordNumber", uds.ALL_RECORDS)
    snapshots: list[dict[str, Any]] = []
    for raw in codes:
        code, data = yield from ask(uds.read_snapshots(ecu, raw, record))
        snapshots += _snapshots(ecu, code, data)
    if not snapshots:
        raise _refused(f"ECU {ecu.text} has no snapshot of {wanted}. Read its codes with ReadDTC.")
    for number, snapshot in enumerate(snapshots, 1):
        yield Response(snapshot, is_final=number == len(snapshots))


def _snapshots(ecu: EcuAddress, code: TroubleCode, records: bytes) -> list[dict[str, Any]]:
    """Return a response for each record: its number, a count, and identifiers with their data."""
    found: list[dict[str, Any]] = []
    while len(records) >= 2:
        number, count, records = records[0], records[1], records[2:]
        entries, records = _entries(ecu, count, records)
        if len(found) > MAX_RECORDS:
            raise UnusableAnswer(f"ECU {ecu.text} sent too many snapshots. Ask for one of them.")
        found.append(
            {
                "type": "snapshot",
                "ecuAddress": ecu.text,
                "dtcCode": str(code),
                "dtcRaw": f"{code.raw:06X}",
                "recordNumber": number,
                "data": entries,
            }
        )
    return found


def _entries(ecu: EcuAddress, count: int, data: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """Return up to `count` identifiers, and the bytes after them.

    After one of unknown length nothing tells where it ends: it takes all the rest.
    """
    entries: list[dict[str, Any]] = []
    while len(entries) < count and len(data) >= 2:
        data_id, data = int.from_bytes(data[:2]), data[2:]
        length = ecu.length_of(data_id) or len(data)
        entries.append(data_ids.decode(data_id, data[:length]))
        data = data[length:]
    return entries, data


def _clear_dtc(ecu: EcuAddress, params: Params) -> Steps[None]:
    before = yield from _stored_codes(ecu)
    wanted = params.get("dtcCode", "").upper()
    targets = _those_named(ecu, before, wanted) if wanted else before
    groups = [code.raw for code in targets] if wanted else [uds.ALL_CODES]
    texts = [str(code) for code in before]
    for group in groups:
        yield from ask(uds.clear_codes(ecu, group, texts))
    remaining = yield from _stored_codes(ecu)
    yield clearing.cleared(ecu.text, wanted, texts, [str(code) for code in remaining])


def _clear_dtc_back(ecu: EcuAddress, params: Params, before: list[str]) -> Steps[None]:
    remaining = [str(code) for code in (yield from _stored_codes(ecu))]
    yield clearing.proved(ecu.text, params.get("dtcCode", "").upper(), before, remaining)


def _stored_codes(ecu: EcuAddress) -> Steps[list[TroubleCode]]:
    codes = yield from ask(uds.read_codes(ecu))
    return [code for code in codes if code.is_stored]


def _those_named(ecu: EcuAddress, stored: list[TroubleCode], wanted: str) -> list[TroubleCode]:
    """Return the stored codes that `wanted` stands for. Raises VehicleError if there is none."""
    codes = [code for code in stored if code.matches(wanted)]
    if not codes:
        raise clearing.not_stored(ecu.text, wanted)
    return codes


def _read_data_by_id(ecu: EcuAddress, params: Params) -> Steps[None]:
    data_id = _number(params["dataId"])
    yield Response({"type": "reading", "ecuAddress": ecu.text, "dataId": f"0x{data_id:04X}"})
    raw = yield from ask(uds.read_data(ecu, data_id))
    yield Response({"type": "data", **data_ids.decode(data_id, raw)}, is_final=True)


def _write_data_by_id(ecu: EcuAddress, params: Params) -> Steps[None]:
    yield from ask(uds.write_data(ecu, _number(params["dataId"]), _bytes(params["data"])))
    yield _written(ecu, params)


def _write_data_back(ecu: EcuAddress, params: Params, _before: list[str]) -> Steps[None]:
    raw = yield from ask(uds.read_data(ecu, _number(params["dataId"])))
    if raw != _bytes(params["data"]):
        raise clearing.unproven(f"ECU {ecu.text} holds other data than was to be written")
    yield _written(ecu, params)


def _written(ecu: EcuAddress, params: Params) -> Response:
    data_id, data = _number(params["dataId"]), _bytes(params["data"])
    return _final("written", ecu, dataId=f"0x{data_id:04X}", raw=data.hex().upper())


def _control_routine(ecu: EcuAddress, params: Params) -> Steps[None]:
    routine_id, data = _number(params["routineId"]), _bytes(params.get("data", ""))
    raw = yield from ask(uds.control_routine(ecu, routine_id, params["action"], data))
    routine = {"routineId": f"0x{routine_id:04X}", "action": params["action"]}
    yield _final("routine", ecu, **routine, raw=raw.hex().upper())


def _reset_ecu(ecu: EcuAddress, params: Params) -> Steps[None]:
    yield from ask(uds.reset(ecu, params["resetType"]))
    yield _final("reset", ecu, resetType=params["resetType"])


def _scan(ecus: list[EcuAddress]) -> Steps[None]:
    found = []
    for ecu in ecus:
        found.append((yield from _scan_ecu(ecu)))
        yield Response(found[-1])
    yield scanning.summary(found)


def _scan_ecu(ecu: EcuAddress) -> Steps[dict[str, Any]]:
    """Ask one ECU for all it tells of itself, until it does not answer for the first time."""
    response = scanning.unreached(ecu.text, ecu.name)
    for data_id in data_ids.IDENTIFICATION:
        try:
            raw = yield from ask(uds.read_data(ecu, data_id))
            scanning.scanned_by_bytes(response, data_id, raw)
        except NoAnswer as error:
            return response | {"problem": str(error)}
        except SURVIVABLE:
            pass  # an ECU need not have every identifier
        response["reachable"] = True
    try:
        codes = yield from ask(uds.read_codes(ecu))
    except SURVIVABLE as error:
        return response | {"problem": str(error)}
    return scanning.with_codes(response, [code.response(ecu.text) for code in codes])


def _final(kind: str, ecu: EcuAddress, **fields: Any) -> Response:
    return Response({"type": kind, "ecuAddress": ecu.text, **fields}, is_final=True)


def _number(text: str) -> int:
    return int(text, 16)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


def _refused(message: str) -> VehicleError:
    return VehicleError("vehicle_refused", message)


SCRIPTS: dict[str, Callable[[EcuAddress, Params], Steps[None]]] = {
    "ReadDTC": _read_dtc,
    "ReadDTCSnapshot": _read_dtc_snapshot,
    "ClearDTC": _clear_dtc,
    "ReadDataByID": _read_data_by_id,
    "WriteDataByID": _write_data_by_id,
    "RoutineControl": _control_routine,
    "ECUReset": _reset_ecu,
}
COMMAND_NAMES = frozenset({*SCRIPTS, "ScanVehicle"})
READ_BACK_SCRIPTS: dict[str, Callable[[EcuAddress, Params, list[str]], Steps[None]]] = {
    "ClearDTC": _clear_dtc_back,
    "WriteDataByID": _write_data_back,
}
