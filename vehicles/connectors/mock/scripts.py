"""Responses of a simulated vehicle to each command type."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vehicles.connectors import data_ids, dtc, scanning
from vehicles.connectors.base import Ecu, Response, VehicleError
from vehicles.connectors.mock.car import MockedCar, MockedEcu, all_ecus, find_ecu

Params = Mapping[str, Any]
Script = Callable[[MockedEcu, Params], Iterator[Response]]

ALL_RECORDS = 0xFF
RECORD = 1  # the one snapshot of each trouble code
# Raw values of a warm engine that idles in a vehicle at rest.
LIVE_RANGES = {0x0105: (125, 132), 0x010C: (3100, 3400), 0x010D: (0, 0)}
IS_RUNNING, IS_STOPPED = "01", "00"  # the status records of routines


def responses(
    car: MockedCar, configured: Sequence[Ecu], command_name: str, params: Params
) -> Iterator[Response]:
    """Return the responses to a command; a request that an ECU refuses raises VehicleError."""
    if command_name == "ScanVehicle":
        return _scan(all_ecus(car, configured))
    if command_name in SCRIPTS:
        return SCRIPTS[command_name](find_ecu(car, configured, params["ecuAddress"]), params)
    return _generic(command_name, params)


# --- Trouble codes


def _read_dtc(ecu: MockedEcu, params: Params) -> Iterator[Response]:
    codes = _codes(ecu, _number(params.get("statusMask", "0xFF")))
    for code in codes:
        yield Response(code)
    yield _final("summary", ecu, dtcCount=len(codes))


def _codes(ecu: MockedEcu, mask: int = 0xFF) -> list[dict[str, Any]]:
    return [
        dtc.response(ecu.address, code, status)
        for code, status in sorted(ecu.stored.items())
        if status & mask
    ]


def _read_dtc_snapshot(ecu: MockedEcu, params: Params) -> Iterator[Response]:
    codes = _those_named(ecu, params["dtcCode"])
    record = params.get("recordNumber", ALL_RECORDS)
    if record not in (RECORD, ALL_RECORDS):
        raise _refused(
            "0x31 requestOutOfRange",
            f"ECU {ecu.address} has no snapshot {record} of {params['dtcCode']}. "
            "Leave the record number out.",
        )
    for code in codes:
        snapshot = {"dtcCode": code, "recordNumber": RECORD, "data": _snapshot(ecu, code)}
        yield _response("snapshot", ecu, is_final=code == codes[-1], **snapshot)


def _snapshot(ecu: MockedEcu, code: str) -> list[dict[str, Any]]:
    """Return the values of the moment at which the code was stored: always the same."""
    seed = sum(f"{ecu.car.vin} {ecu.address} {code}".encode())
    return [
        data_ids.decode(data_id, _bytes_of(data_id, low + seed % (high - low + 1)))
        for data_id, (low, high) in LIVE_RANGES.items()
    ]


def _clear_dtc(ecu: MockedEcu, params: Params) -> Iterator[Response]:
    before, wanted = sorted(ecu.stored), params.get("dtcCode")
    targets = _those_named(ecu, wanted) if wanted else before
    for code in targets:
        del ecu.stored[code]
    yield _final(
        "cleared",
        ecu,
        **({"dtcCode": wanted} if wanted else {}),
        clearedCount=len(targets),
        before=before,
        remaining=sorted(ecu.stored),
        verified=True,
    )


def _those_named(ecu: MockedEcu, wanted: str) -> list[str]:
    codes = [code for code in sorted(ecu.stored) if dtc.stands_for(wanted, code)]
    if not codes:
        raise _refused(
            "0x31 requestOutOfRange",
            f"ECU {ecu.address} has no trouble code {wanted} stored. "
            "Read the stored codes with ReadDTC.",
        )
    return codes


# --- Data


def _read_data_by_id(ecu: MockedEcu, params: Params) -> Iterator[Response]:
    data_id = _number(params["dataId"])
    raw = _data(ecu, data_id)
    yield _response("reading", ecu, dataId=f"0x{data_id:04X}")
    yield Response({"type": "data", **data_ids.decode(data_id, raw)}, is_final=True)


def _data(ecu: MockedEcu, data_id: int) -> bytes:
    if data_id in LIVE_RANGES:
        return _bytes_of(data_id, ecu.car.random.randint(*LIVE_RANGES[data_id]))
    known = _identification(ecu) | _written_to(ecu)
    if data_id not in known:
        raise _refused(
            "0x31 requestOutOfRange",
            f"ECU {ecu.address} has no data identifier 0x{data_id:04X}. Check the identifier.",
        )
    return known[data_id]


def _bytes_of(data_id: int, value: int) -> bytes:
    return value.to_bytes(data_ids.MEASUREMENTS[data_id].length)


def _identification(ecu: MockedEcu) -> dict[int, bytes]:
    texts = {
        data_ids.VIN: ecu.car.vin,
        data_ids.SPARE_PART_NUMBER: f"MOCK-{ecu.address[2:]}-0001",
        data_ids.SOFTWARE_VERSION: "1.4.2",
        data_ids.SERIAL_NUMBER: f"{ecu.address[2:]}{ecu.car.vin[-8:]}",
    }
    return {data_id: text.encode() for data_id, text in texts.items()}


def _written_to(ecu: MockedEcu) -> dict[int, bytes]:
    written = ecu.car.written.items()
    return {data_id: raw for (number, data_id), raw in written if number == ecu.number}


def _write_data_by_id(ecu: MockedEcu, params: Params) -> Iterator[Response]:
    data_id, raw = _number(params["dataId"]), bytes.fromhex(params["data"])
    if data_id in LIVE_RANGES:
        raise _refused(
            "0x31 requestOutOfRange",
            f"0x{data_id:04X} is measured by ECU {ecu.address}, and cannot be written. "
            "Choose another identifier.",
        )
    ecu.car.written[ecu.number, data_id] = raw
    yield _final("written", ecu, dataId=f"0x{data_id:04X}", raw=raw.hex().upper())


# --- Routines and resets


def _control_routine(ecu: MockedEcu, params: Params) -> Iterator[Response]:
    routine, action = (ecu.number, _number(params["routineId"])), params["action"]
    _check_sequence(ecu, routine, action)
    if action != "results":
        ecu.car.routines[routine] = action == "start"
    raw = IS_RUNNING if ecu.car.routines[routine] else IS_STOPPED
    yield _final("routine", ecu, routineId=f"0x{routine[1]:04X}", action=action, raw=raw)


def _check_sequence(ecu: MockedEcu, routine: tuple[int, int], action: str) -> None:
    """Raise VehicleError for a stop of what does not run, and for results of what never ran."""
    is_running = ecu.car.routines.get(routine)
    allowed = {"start": True, "stop": is_running is True, "results": is_running is not None}
    if not allowed[action]:
        raise _refused(
            "0x24 requestSequenceError",
            f"Routine 0x{routine[1]:04X} of ECU {ecu.address} is not running. Start it first.",
        )


def _reset_ecu(ecu: MockedEcu, params: Params) -> Iterator[Response]:
    """Reset the ECU: its routines are forgotten, its trouble codes and data stay."""
    for routine in [routine for routine in ecu.car.routines if routine[0] == ecu.number]:
        del ecu.car.routines[routine]
    yield _final("reset", ecu, resetType=params["resetType"])


# --- Scan


def _scan(ecus: list[MockedEcu]) -> Iterator[Response]:
    found = [_scanned(ecu) for ecu in ecus]
    yield from map(Response, found)
    yield scanning.summary(found)


def _scanned(ecu: MockedEcu) -> dict[str, Any]:
    known = _identification(ecu)
    known |= {data_id: raw for data_id, raw in _written_to(ecu).items() if data_id in known}
    response = scanning.unreached(ecu.address, ecu.name) | {"reachable": True}
    for data_id, raw in known.items():
        scanning.scanned_by_bytes(response, data_id, raw)
    return scanning.with_codes(response, _codes(ecu))


def _generic(command_name: str, params: Params) -> Iterator[Response]:
    response = {"type": "generic", "command_name": command_name, "params": dict(params)}
    yield Response(response, is_final=True)


# --- Parts


def _response(kind: str, ecu: MockedEcu, *, is_final: bool = False, **fields: Any) -> Response:
    return Response({"type": kind, "ecuAddress": ecu.address, **fields}, is_final)


def _final(kind: str, ecu: MockedEcu, **fields: Any) -> Response:
    return _response(kind, ecu, is_final=True, **fields)


def _number(text: str) -> int:
    return int(text, 16)


def _refused(nrc: str, message: str) -> VehicleError:
    return VehicleError("vehicle_refused", f"NRC {nrc}: {message}")


SCRIPTS: dict[str, Script] = {
    "ReadDTC": _read_dtc,
    "ReadDTCSnapshot": _read_dtc_snapshot,
    "ClearDTC": _clear_dtc,
    "ReadDataByID": _read_data_by_id,
    "WriteDataByID": _write_data_by_id,
    "RoutineControl": _control_routine,
    "ECUReset": _reset_ecu,
}
COMMAND_NAMES = frozenset({*SCRIPTS, "ScanVehicle"})
