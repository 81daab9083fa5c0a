"""Additions to the OpenAPI document: errors, headers and the stream, unknown to drf-spectacular."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from drf_spectacular.plumbing import resolve_type_hint
from rest_framework.exceptions import (
    APIException,
    NotAcceptable,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    Throttled,
    UnsupportedMediaType,
    ValidationError,
)

from commands.api import idempotency
from commands.api.errors import explain
from commands.api.exceptions import Ended, TooLarge, Unavailable
from commands.api.schema.marks import ERRORS, SUBMISSION
from commands.api.submission import MaySubmit
from commands.batches import MAX_VEHICLES
from commands.catalogue import COMMAND_TYPES
from commands.events import ErrorFrame, ResponseFrame, StatusFrame
from commands.models import TERMINAL, ErrorCode, Status
from commands.stream import protocol
from vehicles.models import ConnectionStatus

Operation = dict[str, Any]

FRAMES: dict[str, tuple[Any, dict[str, list[str]]]] = {
    "StatusFrame": (StatusFrame, {"event": ["status"], "status": list(Status)}),
    "ResponseFrame": (ResponseFrame, {"event": ["response"]}),
    "ErrorFrame": (ErrorFrame, {"event": ["error"], "status": ["failed", "timed_out", "expired"]}),
}

ERROR = {
    "type": "object",
    "description": "Every error has this shape.",
    "properties": {
        "code": {"type": "string", "description": "For programs: does not change."},
        "detail": {"type": "string", "description": "For people: what is wrong, what to do."},
        "holder": {"type": "string", "description": "For `lock_held`: who holds the lock."},
        "fields": {
            "type": "object",
            "description": "For bad input: what is wrong with each field, by dotted path.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "required": ["code", "detail"],
    "additionalProperties": False,
}

SAYS = {
    400: "Bad input; `fields` names what is wrong.",
    401: "No valid token or session, or a wrong name or password.",
    403: "The permission for this is missing, or the session's CSRF token.",
    404: "It does not exist, or you may not see it.",
    406: "Responses are JSON only.",
    409: "`already_ended`: it can no longer be cancelled. `has_commands`: it has commands, "
    "and is kept with them. `lock_held`: another user, `holder`, holds the lock of the vehicle. "
    "`unsafe_command_runs`: the lock cannot be taken while it runs. `not_now`: the state of the "
    "campaign does not allow this step.",
    413: "The body is too large.",
    415: "Bodies must be JSON.",
    422: "`idempotency_key_reused`: this key was used for another payload.",
    429: "Too many requests in this time, or too many of yours at once.",
    503: "`unavailable`: the database does not answer. `busy`: try again.",
}
WRONG = COMMAND_TYPES["ReadDTC"].errors({"ecuAddress": "16"})["ecuAddress"]
EXAMPLE_ERRORS: list[APIException] = [
    ValidationError({"command_params": {"ecuAddress": WRONG}}),
    NotAuthenticated(),
    PermissionDenied(MaySubmit.message),
    NotFound(),
    NotAcceptable(),
    Ended(f"command is {Status.COMPLETED}"),
    TooLarge(),
    UnsupportedMediaType("text/plain"),
    idempotency.KeyReused(),
    Throttled(wait=12),
    Unavailable(),
]
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait"}}
WWW_AUTHENTICATE = {"WWW-Authenticate": {"schema": {"type": "string"}}}
HEADERS = {401: WWW_AUTHENTICATE, 429: RETRY_AFTER, 503: RETRY_AFTER}

FIRST_TAGS = ["token", "vehicles", "connectors", "command-types", "commands"]

KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "Your name for this submission. A repeat with the same key and payload within "
    "24 hours gets the first response again, and nothing is sent twice.",
    "schema": {"type": "string", "pattern": f"^{idempotency.PATTERN}$", "maxLength": 255},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true`: the response to an earlier submission with this key",
        "schema": {"type": "string", "enum": ["true"]},
    }
}

CHOICE: dict[str, Any] = {
    "vehicle_ids": {
        "type": "array",
        "items": {"type": "string", "format": "uuid"},
        "minItems": 1,
        "maxItems": MAX_VEHICLES,
        "uniqueItems": True,
    },
    "vehicle_filter": {
        "type": "object",
        "description": "The filters of the list of vehicles; empty for all vehicles.",
        "properties": {
            "search": {"type": "string", "maxLength": 100},
            "connection_status": {"type": "string", "enum": ["", *ConnectionStatus.values]},
        },
        "additionalProperties": False,
    },
    "vehicle_count": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_VEHICLES,
        "description": "The number of vehicles that you mean. If another number is chosen, nothing "
        "is sent. Required for commands that are not safe to repeat.",
    },
    "vehicle_set": {
        "type": "string",
        "maxLength": 64,
        "description": "The digest of the vehicles from `batches/preview/`. If others are chosen "
        "now, nothing is sent. Required for commands that are not safe to repeat, by filter.",
    },
}
STOP = {
    "stop_above_failed_percent": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 100,
        "description": "Share of vehicles in percent: if more of them fail or time out, the rest "
        "is cancelled.",
    }
}
CONFIRMATION = {
    "type": "string",
    "description": "The last six characters of the vehicle's VIN, as a proof that you mean it.",
    "minLength": 6,
    "maxLength": 6,
    "examples": ["000101"],
}

STREAM = f"""
`ws(s)://<host>/ws/responses/{{command_id}}?token=<access token>[&after=N]` sends the events of one
command, the past ones first, and closes after the last. Programs may send the token as
`Authorization: Bearer` instead; browsers get a ticket by `POST /api/v1/stream-tickets/` and send
`?ticket=`, so that no address has a token. More than one of these at once is refused.

Each text message is one frame: `StatusFrame`, `ResponseFrame` or `ErrorFrame`, as the schemas say,
and as `GET /api/v1/commands/{{command_id}}/events/` lists them. `sequence_number` counts 1, 2, 3 …
without gaps. The event whose `status` is one of {", ".join(f"`{s}`" for s in sorted(TERMINAL))} is
the last. To resume, connect again with `after=<the highest number that you have>`. Finish on the
terminal event, never on a close code.

A frame with `sequence_number` 0 is about the socket; a close follows it:

| code | `error_code` | do |
|---|---|---|
{protocol.table(protocol.limits())}

The `error_code` of a command that failed: {", ".join(f"`{code}`" for code in ErrorCode)}.
"""


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Complete the document, as a post-processing hook of drf-spectacular."""
    schemas = result["components"]["schemas"]
    schemas["Error"] = ERROR
    for name in COMMAND_TYPES:
        schemas[f"{name}Parameters"] = _parameters(name)
        schemas[f"{name}Submission"] = _submission(name)
        schemas[f"{name}BatchSubmission"] = _batch_submission(name)
    for kind in ("Submission", "BatchSubmission"):
        schemas[kind] = {"oneOf": [_reference(f"{name}{kind}") for name in COMMAND_TYPES]}
    for name, (frame, enums) in FRAMES.items():
        schemas[name] = _frame(frame, enums)
    for path, _method, operation in _operations(result):
        operation["tags"] = [_tag(path)]
        for code in sorted(_errors(path, operation)):
            operation["responses"].setdefault(str(code), _error(code))
        for parameter in operation.get("parameters", []):
            _may_be_empty(parameter)
        if SUBMISSION in operation:
            _describe_submitting(operation, operation.pop(SUBMISSION))
    result["tags"] = _tags(result)
    return result


def _tag(path: str) -> str:
    """Return the tag of an operation: the first part of its address."""
    return (
        "stream"
        if path == "/api/v1/stream-tickets/"
        else path.removeprefix("/api/v1/").partition("/")[0]
    )


def _tags(result: dict[str, Any]) -> list[dict[str, str]]:
    """Return the tags in the order of their use; the stream, which has no operation, is last."""
    used = {_tag(path) for path in result["paths"]}
    others = sorted(used - {*FIRST_TAGS, "stream"})
    names = [name for name in FIRST_TAGS if name in used] + others
    return [*({"name": name} for name in names), {"name": "stream", "description": STREAM}]


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _errors(path: str, operation: Operation) -> set[int]:
    needs_user = {} not in operation.get("security", [{}])
    return (
        {400, 406, 503}
        | ({403, 429} if needs_user else set())
        | ({401} if needs_user or path.startswith("/api/v1/token/") else set())
        | ({404} if "{" in path else set())
        | ({413, 415} if "requestBody" in operation else set())
        | set(operation.pop(ERRORS, []))
    )


def _may_be_empty(parameter: dict[str, Any]) -> None:
    """Allow an empty value of a filter, which then filters nothing."""
    if parameter["in"] == "query" and "format" in parameter["schema"]:
        parameter["schema"] = {"anyOf": [parameter["schema"], {"type": "string", "maxLength": 0}]}


def _error(code: int) -> dict[str, Any]:
    error = {"schema": _reference("Error"), "example": EXAMPLES[code]}
    content = {"application/json": error}
    headers = {"headers": HEADERS[code]} if code in HEADERS else {}
    return {"description": SAYS[code], "content": content, **headers}


def _example(error: APIException) -> Any:
    """Return the body that the API sends for this error."""
    response = explain(error, {"request": HttpRequest()})
    return response.data if response else None


EXAMPLES = {error.status_code: _example(error) for error in EXAMPLE_ERRORS}


def _describe_submitting(operation: Operation, schema: str) -> None:
    operation.setdefault("parameters", []).append(KEY)
    operation["responses"]["201"]["headers"] = REPLAYED
    if schema:
        content = operation["requestBody"]["content"]["application/json"]
        content["schema"] = _reference(schema)


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _parameters(name: str) -> dict[str, Any]:
    return {key: value for key, value in COMMAND_TYPES[name].schema.items() if key != "$schema"}


def _required(name: str) -> list[str]:
    """Return the fields that a submission must have; parameters, if the command needs some."""
    return ["command_name", *(["command_params"] if _parameters(name).get("required") else [])]


def _submission(name: str) -> dict[str, Any]:
    """Return the schema of a submission of one command type."""
    return {
        "type": "object",
        "properties": {
            "vehicle_id": {"type": "string", "format": "uuid"},
            "command_name": {"type": "string", "enum": [name]},
            "command_params": _reference(f"{name}Parameters"),
            "confirmation": CONFIRMATION,
        },
        "required": ["vehicle_id", *_required(name)],
        "additionalProperties": False,
    }


def _batch_submission(name: str) -> dict[str, Any]:
    one = _submission(name)
    command = {key: one["properties"][key] for key in ("command_name", "command_params")}
    is_unsafe = not COMMAND_TYPES[name].safe_to_repeat
    by_filter = ["vehicle_filter", *(["vehicle_set"] if is_unsafe else [])]
    return {
        **one,
        "properties": command | CHOICE | STOP,
        "required": [*_required(name), *(["vehicle_count"] if is_unsafe else [])],
        "oneOf": [
            {"required": ["vehicle_ids"], "not": {"required": ["vehicle_filter"]}},
            {"required": by_filter, "not": {"required": ["vehicle_ids"]}},
        ],
    }


def _frame(frame: Any, enums: dict[str, list[str]]) -> dict[str, Any]:
    schema: dict[str, Any] = resolve_type_hint(frame)
    for name, values in enums.items():
        schema["properties"][name]["enum"] = [str(value) for value in values]
    schema["properties"]["command_id"]["format"] = "uuid"
    schema["properties"]["timestamp"]["format"] = "date-time"
    return schema
