"""How the REST API says what is wrong: one shape for every error."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from commands.threads import CONNECTION_LOST
from sovd.exceptions import TooLarge, Unavailable


@csrf_exempt
def no_such_address(request: HttpRequest) -> JsonResponse:
    """What stands where nothing is, so that a client reads JSON there too."""
    hint = "" if request.path.endswith("/") else " Every address of the API ends with a slash."
    detail = f"There is nothing at this address.{hint} /api/docs/ lists them all."
    return JsonResponse({"code": "not_found", "detail": detail}, status=404)


def explain(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every error has one shape: `{"code", "detail", "fields"}`; `fields` only for bad input."""
    error = _as_api_error(error, context["request"].method)
    response = exception_handler(error, context)
    if response is None:
        return None
    fields = _fields(response.data) if response.status_code == status.HTTP_400_BAD_REQUEST else {}
    code = getattr(error, "default_code", None) or "error"
    if isinstance(error, APIException) and isinstance(error.get_codes(), str):
        code = error.get_codes()
    body: dict[str, Any] = {"code": code, "detail": _detail(response.data, fields)}
    response.data = body | ({"fields": fields} if fields else {})
    return response


def _as_api_error(error: Exception, method: str | None) -> Exception:
    """What Django raises about a request of its own accord, and would answer with HTML."""
    if isinstance(error, CONNECTION_LOST):
        return Unavailable.because(error, method)
    if isinstance(error, Http404):
        return NotFound()
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    if isinstance(error, SuspiciousOperation | BadRequest | MultiPartParserError):
        return ParseError(str(error))
    return error


def _detail(data: Any, fields: Mapping[str, list[str]]) -> str:
    if isinstance(data, Mapping) and "detail" in data:
        return str(data["detail"])
    return " ".join(f"{name}: {' '.join(messages)}" for name, messages in fields.items())


def _fields(data: Any, path: str = "") -> dict[str, list[str]]:
    """Nested messages by dotted path, such as `command_params.ecuAddress`."""
    if isinstance(data, Mapping):
        found: dict[str, list[str]] = {}
        for name, value in data.items():
            if path or name != "detail":
                part = "" if name == "non_field_errors" else name
                found |= _fields(value, f"{path}.{part}".strip("."))
        return found
    messages = data if isinstance(data, list) else [data]
    return {path or "body": [str(message) for message in messages]}
