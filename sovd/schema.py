"""The OpenAPI document: what drf-spectacular cannot see of errors, headers and the stream."""

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

from commands import idempotency
from commands.api import Ended, MaySubmit
from commands.batches import MOST_VEHICLES
from commands.catalogue import COMMAND_TYPES
from commands.events import ErrorFrame, ResponseFrame, StatusFrame
from commands.models import TERMINAL, ErrorCode, Status
from sovd.errors import explain
from sovd.exceptions import TooLarge, Unavailable
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
    403: "The right for this is missing, or the session's CSRF token.",
    404: "There is none, or none that you may see.",
    406: "Only JSON is spoken here.",
    409: "`already_ended`: it can no longer be cancelled.",
    413: "The body is too large.",
    415: "Bodies are JSON.",
    422: "`idempotency_key_reused`: this key was used for another payload.",
    429: "Too many in this time.",
    503: "`unavailable`: the database does not answer.",
}
WRONG = COMMAND_TYPES["ReadDTC"].errors({"ecuAddress": "16"})["ecuAddress"]
ERRORS: list[APIException] = [
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

SUBMIT = ("/api/v1/commands/", "post")
CANCEL = ("/api/v1/commands/{command_id}/cancel/", "post")
SUBMIT_BATCH = ("/api/v1/batches/", "post")
CANCEL_BATCH = ("/api/v1/batches/{batch_id}/cancel/", "post")
LOG_IN = ("/api/v1/token/", "post")
EXPORT = ("/api/v1/commands/export/", "get")
TICKET = ("/api/v1/stream-tickets/", "post")
ALSO = {
    SUBMIT: {422, 429},
    CANCEL: {409},
    SUBMIT_BATCH: {422, 429},
    CANCEL_BATCH: {409},
    LOG_IN: {401, 429},
    EXPORT: {429},
    TICKET: {404},
}

FIRST_TAGS = ["token", "vehicles", "command-types", "commands"]

KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "A name of yours for this submission. A repeat with the same key and payload "
    "within 24 hours is answered as the first one was, and nothing is sent twice.",
    "schema": {"type": "string", "pattern": f"^{idempotency.PATTERN}$", "maxLength": 255},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true`: the answer of an earlier submission with this key",
        "schema": {"type": "string", "enum": ["true"]},
    }
}

SUMMARIES = {
    ("/api/v1/command-types/", "get"): "What may be sent",
    SUBMIT: "Submit a command",
    CANCEL: "Cancel a command",
    (SUBMIT[0], "get"): "List commands",
    ("/api/v1/commands/{command_id}/", "get"): "Look at a command",
    ("/api/v1/commands/{command_id}/events/", "get"): "The event log of a command",
    ("/api/v1/commands/{command_id}/responses/", "get"): "What the vehicle answered",
    ("/api/v1/commands/cancel/", "post"): "Cancel many commands",
    ("/api/v1/commands/export/", "get"): "Take commands away as a file",
    SUBMIT_BATCH: "Send one command to many vehicles",
    CANCEL_BATCH: "Cancel the rest of a batch",
    (SUBMIT_BATCH[0], "get"): "List batches",
    ("/api/v1/batches/{batch_id}/", "get"): "Look at a batch",
    ("/api/v1/batches/{batch_id}/results/", "get"): "What each vehicle of a batch answered",
    ("/api/v1/dashboard/", "get"): "What is in flight, and the last hour",
    TICKET: "Get a ticket for a stream",
    LOG_IN: "Log in",
    ("/api/v1/token/refresh/", "post"): "Renew the tokens",
    ("/api/v1/token/logout/", "post"): "Log out",
    ("/api/v1/vehicles/", "get"): "Find vehicles",
    ("/api/v1/vehicles/{vehicle_id}/", "get"): "Look at a vehicle",
    ("/api/v1/vehicles/{vehicle_id}/trouble-codes/", "get"): "The trouble codes of a vehicle",
}
CHOICE: dict[str, Any] = {
    "vehicle_ids": {
        "type": "array",
        "items": {"type": "string", "format": "uuid"},
        "minItems": 1,
        "maxItems": MOST_VEHICLES,
        "uniqueItems": True,
    },
    "vehicle_filter": {
        "type": "object",
        "description": "As the list of vehicles finds them; empty for all.",
        "properties": {
            "search": {"type": "string", "maxLength": 100},
            "connection_status": {"type": "string", "enum": ["", *ConnectionStatus.values]},
        },
        "additionalProperties": False,
    },
    "vehicle_count": {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_VEHICLES,
        "description": "How many vehicles you mean. If the choice has another number, nothing is "
        "sent. Required for what is not safe to repeat.",
    },
}
STOP = {
    "stop_above_failed_percent": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 100,
        "description": "When more of its vehicles than this failed or timed out, the rest is "
        "cancelled.",
    }
}
CONFIRMATION = {
    "type": "string",
    "description": "The last six characters of the vehicle's VIN: that it is the one you mean.",
    "minLength": 6,
    "maxLength": 6,
    "examples": ["000101"],
}

STREAM = f"""
`ws(s)://<host>/ws/responses/{{command_id}}?token=<access token>[&after=N]` sends the events of one
command, those of the past first, and closes after the last. Programs may send the token as
`Authorization: Bearer` instead; browsers get a ticket by `POST /api/v1/stream-tickets/` and send
`?ticket=`, so that no token stands in an address. More than one of these at once is refused.

Each text message is one frame: `StatusFrame`, `ResponseFrame` or `ErrorFrame`, as the schemas say,
and as `GET /api/v1/commands/{{command_id}}/events/` lists them. `sequence_number` counts 1, 2, 3 …
without gaps. The event whose `status` is one of {", ".join(f"`{s}`" for s in sorted(TERMINAL))} is
the last. To resume, connect again with `after=<the highest number that you have>`. Finish on the
terminal event, never on a close code.

A frame with `sequence_number` 0 is about the socket; a close follows it:

| code | `error_code` | do |
|---|---|---|
| 4401 | `unauthenticated` | log in: no valid credential, or its user is inactive |
| 4401 | `token_expired` | get a new token, connect again with `after` |
| 4404 | `not_found` | no such command, or none that you may see |
| 4400 | `bad_request` | mend `after`, or send one credential only |
| 4429 | `too_many_streams` | close one, or wait |
| 4413 | `frame_too_large` | you sent a frame over 64 KiB: send none |
| 4429 | `too_many_frames` | you sent more than 60 frames in a minute: send none |
| 4500 | none | the stream failed: connect again with `after` |
| 4503 | `unavailable` | the database is away: connect again in a few seconds |

The `error_code` of a command that failed: {", ".join(f"`{code}`" for code in ErrorCode)}.
"""


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A post-processing hook of drf-spectacular."""
    schemas = result["components"]["schemas"]
    schemas["Error"] = ERROR
    schemas["Submission"] = {"oneOf": [_submission(name) for name in COMMAND_TYPES]}
    schemas["BatchSubmission"] = {"oneOf": [_batch_submission(name) for name in COMMAND_TYPES]}
    for name, (frame, enums) in FRAMES.items():
        schemas[name] = _frame(frame, enums)
    for path, method, operation in _operations(result):
        operation.setdefault("summary", SUMMARIES.get((path, method), ""))
        operation["tags"] = [_tag(path)]
        for code in sorted(_errors(path, method, operation)):
            operation["responses"].setdefault(str(code), _error(code))
        for parameter in operation.get("parameters", []):
            _may_be_empty(parameter)
    for (path, method), schema in ((SUBMIT, "Submission"), (SUBMIT_BATCH, "BatchSubmission")):
        _describe_submitting(result["paths"][path][method], schema)
    result["tags"] = _tags(result)
    return result


def _tag(path: str) -> str:
    """What it is about: the first part of its address."""
    return "stream" if path == TICKET[0] else path.removeprefix("/api/v1/").partition("/")[0]


def _tags(result: dict[str, Any]) -> list[dict[str, str]]:
    """In the order in which they are needed; the stream, which is all prose, stands last."""
    used = {_tag(path) for path in result["paths"]}
    others = sorted(used - {*FIRST_TAGS, "stream"})
    names = [name for name in FIRST_TAGS if name in used] + others
    return [*({"name": name} for name in names), {"name": "stream", "description": STREAM}]


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _errors(path: str, method: str, operation: Operation) -> set[int]:
    needs_user = {} not in operation.get("security", [{}])
    return (
        {400, 406, 503}
        | ({401} if needs_user or path.startswith(LOG_IN[0]) else set())
        | ({403} if needs_user and method == "post" else set())
        | ({404} if "{" in path else set())
        | ({413, 415} if "requestBody" in operation else set())
        | ALSO.get((path, method), set())
    )


def _may_be_empty(parameter: dict[str, Any]) -> None:
    """A filter that is given and empty filters nothing."""
    if parameter["in"] == "query" and "format" in parameter["schema"]:
        parameter["schema"] = {"anyOf": [parameter["schema"], {"type": "string", "maxLength": 0}]}


def _error(code: int) -> dict[str, Any]:
    error = {"schema": {"$ref": "#/components/schemas/Error"}, "example": EXAMPLES[code]}
    content = {"application/json": error}
    headers = {"headers": HEADERS[code]} if code in HEADERS else {}
    return {"description": SAYS[code], "content": content, **headers}


def _example(error: APIException) -> Any:
    """As the API would say it."""
    response = explain(error, {"request": HttpRequest()})
    return response.data if response else None


EXAMPLES = {error.status_code: _example(error) for error in ERRORS}


def _describe_submitting(operation: Operation, schema: str) -> None:
    operation.setdefault("parameters", []).append(KEY)
    operation["responses"]["201"]["headers"] = REPLAYED
    content = operation["requestBody"]["content"]["application/json"]
    content["schema"] = {"$ref": f"#/components/schemas/{schema}"}


def _submission(name: str) -> dict[str, Any]:
    """One type of command, with the schema of its parameters."""
    params = {key: value for key, value in COMMAND_TYPES[name].schema.items() if key != "$schema"}
    return {
        "type": "object",
        "title": name,
        "properties": {
            "vehicle_id": {"type": "string", "format": "uuid"},
            "command_name": {"type": "string", "enum": [name]},
            "command_params": params,
            "confirmation": CONFIRMATION,
        },
        "required": ["vehicle_id", "command_name", "command_params"],
        "additionalProperties": False,
    }


def _batch_submission(name: str) -> dict[str, Any]:
    one = _submission(name)
    command = {key: one["properties"][key] for key in ("command_name", "command_params")}
    is_unsafe = not COMMAND_TYPES[name].safe_to_repeat
    required = [*command, *(["vehicle_count"] if is_unsafe else [])]
    return {
        **one,
        "properties": command | CHOICE | STOP,
        "required": required,
        "oneOf": [{"required": ["vehicle_ids"]}, {"required": ["vehicle_filter"]}],
    }


def _frame(frame: Any, enums: dict[str, list[str]]) -> dict[str, Any]:
    schema: dict[str, Any] = resolve_type_hint(frame)  # type: ignore[no-untyped-call]
    for name, values in enums.items():
        schema["properties"][name]["enum"] = [str(value) for value in values]
    schema["properties"]["command_id"]["format"] = "uuid"
    schema["properties"]["timestamp"]["format"] = "date-time"
    return schema
