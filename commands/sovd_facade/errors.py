"""Errors of the façade: the body that ISO 17978-3 defines, and which error stands for what."""

import re
from typing import Any

from django.http import HttpRequest, JsonResponse

from commands.api import errors as api_errors
from commands.models import ErrorCode, Status
from commands.stream.protocol import Close, Refusal

VENDOR = "vendor-specific"
# Any other refusal of the API is vendor-specific, with the API's code as `vendor_code`.
REFUSALS = {
    400: "incomplete-request",
    401: "insufficient-access-rights",
    403: "insufficient-access-rights",
    503: "sovd-server-failure",
}
OUTCOMES = {
    ErrorCode.VEHICLE_UNREACHABLE: (504, "not-responding"),
    ErrorCode.VEHICLE_TIMEOUT: (504, "not-responding"),
    ErrorCode.WORKER_LOST: (504, "not-responding"),
    ErrorCode.OUTCOME_UNKNOWN: (504, "not-responding"),
    ErrorCode.VEHICLE_REFUSED: (502, "error-response"),
    ErrorCode.MALFORMED_ANSWER: (502, "invalid-response-content"),
    ErrorCode.WRONG_VEHICLE: (502, VENDOR),
    ErrorCode.EXPIRED: (503, VENDOR),
    ErrorCode.LOCK_LOST: (409, "lock-broken"),
}
STREAM_ENDS = {Close.TOO_MANY_STREAMS: 429, Close.NOT_FOUND: 404, Close.BAD_REQUEST: 400}
SERVICES = {
    "ReadDTC": "19",
    "ClearDTC": "14",
    "ReadDataByID": "22",
    "WriteDataByID": "2E",
    "RoutineControl": "31",
    "ECUReset": "11",
}


class SovdError(Exception):
    """An error response. `error_code` is one of the standard's."""

    def __init__(
        self, status: int, error_code: str, message: str, vendor_code: str = "", **parameters: Any
    ) -> None:
        super().__init__(message)
        self.status, self.error_code, self.vendor_code = status, error_code, vendor_code
        self.parameters = parameters
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        body = {"error_code": self.error_code, "message": str(self)}
        optional = {"vendor_code": self.vendor_code, "parameters": self.parameters}
        return body | {name: value for name, value in optional.items() if value}

    def response(self) -> JsonResponse:
        return JsonResponse(self.body(), status=self.status, headers=self.headers)


def bad_request(message: str) -> SovdError:
    return SovdError(400, "incomplete-request", message)


def not_found(message: str) -> SovdError:
    return SovdError(404, VENDOR, message, "not_found")


def conflict(message: str) -> SovdError:
    return SovdError(409, "precondition-not-fulfilled", message)


def explain(error: Exception, request: HttpRequest) -> SovdError | None:
    """Return the error response for an exception, or None for a bug."""
    if isinstance(error, SovdError):
        return error
    if isinstance(error, Refusal):
        status = STREAM_ENDS.get(error.close, 401)
        return of_refusal(status, {"code": error.close.error_code, "detail": str(error)})
    response = api_errors.explain(error, {"request": request})
    if response is None:
        return None
    return of_refusal(response.status_code, response.data, dict(response.headers))


def of_refusal(
    status: int, data: dict[str, Any], headers: dict[str, str] | None = None
) -> SovdError:
    """Return the error for a refusal of the API, which has a code, a detail and perhaps fields."""
    code = REFUSALS.get(status, VENDOR)
    fields = {"fields": data["fields"]} if "fields" in data else {}
    holder = {"holder": data["holder"]} if "holder" in data else {}
    error = SovdError(status, code, str(data["detail"]), str(data["code"]), **fields, **holder)
    given = headers or {}
    error.headers = {name: given[name] for name in ("Retry-After", "Allow") if name in given}
    if status == 401:
        error.headers["WWW-Authenticate"] = 'Bearer realm="sovd"'
    return error


def of_outcome(frame: dict[str, Any], command_name: str) -> SovdError:
    """Return the error for the last event of a command that did not complete."""
    if frame["status"] == Status.CANCELLED:
        return SovdError(409, VENDOR, "The command was cancelled meanwhile.", "cancelled")
    code, message = frame["error_code"], frame["error_message"]
    status, error_code = OUTCOMES[ErrorCode(code)]
    nrc = re.search(r"\b0x([0-9A-F]{2})\b", message) if code == ErrorCode.VEHICLE_REFUSED else None
    service = SERVICES.get(command_name)
    about = {"nrc": nrc[1], "service": service} if nrc and service else {}
    return SovdError(status, error_code, message, code, **about)
