"""Error responses of the REST API, which all have one shape."""

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from commands import lifecycle, locks
from commands.api.exceptions import (
    TooLarge,
    TooManyPending,
    Unavailable,
    UnsafeCommandRuns,
    VehicleLocked,
    VehicleRetired,
)
from commands.database.threads import CONNECTION_LOST


@csrf_exempt
def no_such_address(request: HttpRequest) -> JsonResponse:
    """Answer 404 in JSON for an address that does not exist."""
    hint = "" if request.path.endswith("/") else " Every address of the API ends with a slash."
    detail = f"There is nothing at this address.{hint} /api/docs/ lists them all."
    return JsonResponse({"code": "not_found", "detail": detail}, status=404)


def explain(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response for an error: `{"code", "detail", "fields"}`; `fields` for bad input."""
    error = _as_api_error(error, context["request"].method)
    response = exception_handler(error, context)
    if response is None:
        return None
    fields = _fields(response.data) if response.status_code == status.HTTP_400_BAD_REQUEST else {}
    code = getattr(error, "default_code", None) or "error"
    if isinstance(error, APIException) and isinstance(error.get_codes(), str):
        code = error.get_codes()
    body: dict[str, Any] = {"code": code, "detail": _detail(response.data, fields)}
    body |= {"fields": fields} if fields else {}
    response.data = body | ({"holder": error.holder} if isinstance(error, VehicleLocked) else {})
    return response


def _as_api_error(error: Exception, method: str | None) -> Exception:
    """Return the API's error for one of ours or of Django's, which Django would answer in HTML."""
    if isinstance(error, CONNECTION_LOST):
        return Unavailable.because(error, method)
    for kind, made in MEANINGS.items():
        if isinstance(error, kind):
            return made(error)
    return error


MEANINGS: dict[type[Exception], Callable[[Any], APIException]] = {
    Http404: lambda _: NotFound(),
    lifecycle.TooManyPending: lambda error: TooManyPending(str(error)),
    lifecycle.LockHeld: VehicleLocked,
    lifecycle.VehicleRetired: lambda error: VehicleRetired(error.vin),
    locks.UnsafeCommandRuns: lambda error: UnsafeCommandRuns(str(error)),
    RequestDataTooBig: lambda _: TooLarge(),
    SuspiciousOperation: lambda error: ParseError(str(error)),
    BadRequest: lambda error: ParseError(str(error)),
    MultiPartParserError: lambda error: ParseError(str(error)),
}


def _detail(data: Any, fields: Mapping[str, list[str]]) -> str:
    if isinstance(data, Mapping) and "detail" in data:
        return str(data["detail"])
    return " ".join(f"{name}: {' '.join(messages)}" for name, messages in fields.items())


def _fields(data: Any, path: str = "") -> dict[str, list[str]]:
    """Return nested messages by dotted path, such as `command_params.ecuAddress`."""
    if isinstance(data, list) and any(isinstance(item, Mapping) for item in data):
        data = {str(place): item for place, item in enumerate(data) if item}  # a list of objects
    if isinstance(data, Mapping):
        found: dict[str, list[str]] = {}
        for name, value in data.items():
            if path or name != "detail":
                part = "" if name == "non_field_errors" else name
                found |= _fields(value, f"{path}.{part}".strip("."))
        return found
    messages = data if isinstance(data, list) else [data]
    return {path or "body": [str(message) for message in messages]}
