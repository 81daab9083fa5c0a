"""Requests of ISO 14229-1 as udsoncan encodes them, and the meaning of their responses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import udsoncan
from udsoncan import DidCodec, DIDConfig, services
from udsoncan.BaseService import BaseService
from udsoncan.exceptions import InvalidResponseException

from vehicles.connectors import nrc as negative_responses
from vehicles.connectors.doip.configuration import EcuAddress
from vehicles.connectors.doip.errors import Refusal
from vehicles.connectors.dtc import TroubleCode
from vehicles.connectors.errors import UnusableAnswer

T = TypeVar("T")

EXTENDED_SESSION = services.DiagnosticSessionControl.Session.extendedDiagnosticSession
ALL_RECORDS = 0xFF
ALL_CODES = 0xFFFFFF
# Each becomes an event; control units have a few hundred codes in all.
MAX_CODES = 2000

ROUTINE_ACTIONS = {"start": 1, "stop": 2, "results": 3}
RESET_TYPES = {"hard": 1, "keyOffOn": 2, "soft": 3}

_ReadDTC = services.ReadDTCInformation
_BY_MASK = _ReadDTC.Subfunction.reportDTCByStatusMask
_SNAPSHOT = _ReadDTC.Subfunction.reportDTCSnapshotRecordByDTCNumber


class RawCodec(DidCodec):
    """Leaves the bytes of an identifier as they are."""

    def encode(self, *did_value: Any) -> bytes:
        data: bytes = did_value[0]
        return data

    def decode(self, did_payload: bytes) -> bytes:
        return did_payload

    def __len__(self) -> int:
        raise DidCodec.ReadAllRemainingData


@dataclass(frozen=True)
class Ask(Generic[T]):
    """A request to one ECU, and the function that reads its positive response."""

    ecu: EcuAddress
    request: udsoncan.Request
    read: Callable[[udsoncan.Response], T]
    is_safe: bool = True
    before: list[str] | None = None
    """Trouble codes stored before a request that is not safe to repeat."""

    @property
    def payload(self) -> bytes:
        return self.request.get_payload()

    @property
    def service(self) -> str:
        return cast(type[BaseService], self.request.service).get_name()

    def answer(self, payload: bytes) -> T:
        """Return the meaning of the last response. Raises Refusal or UnusableAnswer."""
        response = udsoncan.Response.from_payload(payload)
        if not response.valid or response.service is not self.request.service:
            raise self._unusable("does not belong to the request")
        if not response.positive:
            raise Refusal(response.code or 0, f"ECU {self.ecu.text} refused {self.service}")
        try:
            return self.read(response)
        except (InvalidResponseException, ValueError) as error:
            raise self._unusable("has the wrong length or echo") from error

    def _unusable(self, problem: str) -> UnusableAnswer:
        return UnusableAnswer(
            f"The response of ECU {self.ecu.text} to {self.service} {problem}. "
            "Check its logical address, then send it again."
        )

    def is_pending(self, payload: bytes) -> bool:
        """Return whether the ECU asks for more time."""
        return payload == bytes([0x7F, self.payload[0], negative_responses.RESPONSE_PENDING])

    def is_answered_by(self, payload: bytes) -> bool:
        """Return whether this response belongs to the request, and is not a pending one."""
        sid = self.payload[0]
        return payload[:1] == bytes([sid + 0x40]) or payload[:2] == bytes([0x7F, sid])


def answers_keep_session(payload: bytes) -> bool:
    return payload[:1] == b"\x7e" or payload[:2] == b"\x7f\x3e"


def tester_present(ecu: EcuAddress) -> Ask[None]:
    return Ask(ecu, services.TesterPresent.make_request(), lambda response: None)


def keep_session(ecu: EcuAddress) -> Ask[None]:
    """Ask for nothing but that the session goes on: there is no positive response."""
    keep = tester_present(ecu)
    keep.request.suppress_positive_response = True
    return keep


def extended_session(ecu: EcuAddress) -> Ask[None]:
    service = services.DiagnosticSessionControl

    def read(response: udsoncan.Response) -> None:
        data = service.interpret_response(response, standard_version=2006).service_data
        _check_echo(data.session_echo == EXTENDED_SESSION)

    return Ask(ecu, service.make_request(EXTENDED_SESSION), read)


def read_codes(ecu: EcuAddress, status_mask: int = 0xFF) -> Ask[list[TroubleCode]]:
    def read(response: udsoncan.Response) -> list[TroubleCode]:
        _check_echo(len(response.data or b"") <= 2 + 4 * MAX_CODES)
        data = _ReadDTC.interpret_response(response, _BY_MASK).service_data
        _check_echo(data.subfunction_echo == _BY_MASK)
        return [TroubleCode(dtc.id, dtc.status.get_byte_as_int()) for dtc in data.dtcs]

    return Ask(ecu, _ReadDTC.make_request(_BY_MASK, status_mask=status_mask), read)


def read_snapshots(ecu: EcuAddress, code: int, record: int) -> Ask[tuple[TroubleCode, bytes]]:
    """Ask for snapshot records: the code with its status, and the bytes of the records.

    Not read by udsoncan, which refuses a whole response for one identifier of unknown length.
    """

    def read(response: udsoncan.Response) -> tuple[TroubleCode, bytes]:
        data = response.data or b""
        _check_echo(len(data) >= 5 and data[0] == _SNAPSHOT and data[1:4] == code.to_bytes(3))
        return TroubleCode(code, data[4]), data[5:]

    request = _ReadDTC.make_request(_SNAPSHOT, dtc=code, snapshot_record_number=record)
    return Ask(ecu, request, read)


def clear_codes(ecu: EcuAddress, group: int, before: list[str]) -> Ask[None]:
    service = services.ClearDiagnosticInformation

    def read(response: udsoncan.Response) -> None:
        _check_echo(not response.data)

    return Ask(ecu, service.make_request(group), read, is_safe=False, before=before)


def read_data(ecu: EcuAddress, data_id: int) -> Ask[bytes]:
    service, codec = services.ReadDataByIdentifier, _raw(data_id)

    def read(response: udsoncan.Response) -> bytes:
        _check_echo((response.data or b"")[:2] == data_id.to_bytes(2))
        values = service.interpret_response(
            response, data_id, codec, tolerate_zero_padding=False
        ).service_data.values
        return bytes(values[data_id])

    return Ask(ecu, service.make_request(data_id, codec), read)


def write_data(ecu: EcuAddress, data_id: int, data: bytes) -> Ask[None]:
    service = services.WriteDataByIdentifier

    def read(response: udsoncan.Response) -> None:
        _check_echo(service.interpret_response(response).service_data.did_echo == data_id)

    request = service.make_request(data_id, data, _raw(data_id))
    return Ask(ecu, request, read, is_safe=False)


def control_routine(ecu: EcuAddress, routine_id: int, action: str, data: bytes) -> Ask[bytes]:
    service, control_type = services.RoutineControl, ROUTINE_ACTIONS[action]

    def read(response: udsoncan.Response) -> bytes:
        echo = service.interpret_response(response).service_data
        _check_echo((echo.control_type_echo, echo.routine_id_echo) == (control_type, routine_id))
        return echo.routine_status_record

    request = service.make_request(routine_id, control_type, data)
    return Ask(ecu, request, read, is_safe=False)


def reset(ecu: EcuAddress, reset_type: str) -> Ask[None]:
    service, number = services.ECUReset, RESET_TYPES[reset_type]

    def read(response: udsoncan.Response) -> None:
        _check_echo(service.interpret_response(response).service_data.reset_type_echo == number)

    return Ask(ecu, service.make_request(number), read, is_safe=False)


def _raw(data_id: int) -> DIDConfig:
    return {data_id: RawCodec}


def _check_echo(is_right: bool) -> None:
    """Raise ValueError for a response that does not repeat what was asked."""
    if not is_right:
        raise ValueError
