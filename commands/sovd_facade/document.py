"""The capability description: OpenAPI 3.1 of what one vehicle offers."""

from collections.abc import Iterator
from typing import Any

from commands import locks
from commands.api.idempotency import HEADER, PATTERN
from commands.sovd_facade import components
from commands.sovd_facade.call import DEFAULT_SECONDS, MAX_SECONDS, Call
from commands.sovd_facade.components import CATEGORIES, Component
from commands.sovd_facade.faults import SCOPE
from commands.sovd_facade.schemas import AGGREGATED, SCHEMAS
from vehicles.connectors.dtc import STATUS_BITS

Item = dict[str, Any]

SOVD_VERSION = "1.1.0"
KEPT_SECONDS = 86_400 * 365  # executions are commands, which are kept


def _query(name: str, schema: Item, description: str, **more: Any) -> Item:
    about = {"name": name, "in": "query", "required": False, "description": description}
    return about | {"schema": schema} | more


def _path(name: str, schema: Item) -> Item:
    return {"name": name, "in": "path", "required": True, "schema": schema}


INCLUDE_SCHEMA = _query("include-schema", {"type": "boolean"}, "Add the schema of the answer.")
SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS}
TIMEOUT = _query(
    "timeout", SECONDS | {"default": DEFAULT_SECONDS}, "Seconds to wait for the vehicle."
)
KEY: Item = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Your name for this call: a repeat with it is not sent to the vehicle again.",
    "schema": {"type": "string", "pattern": f"^{PATTERN}$"},
}
LIST = {"type": "array", "items": {"type": "string"}}
ARRAY = {"style": "form", "explode": True}
STATUS = _query(
    "status",
    {
        "type": "object",
        "properties": {name: {"type": "string", "enum": ["0", "1"]} for name in STATUS_BITS}
        | {"aggregatedStatus": {"type": "string", "enum": [*AGGREGATED]}},
        "additionalProperties": False,
    },
    "Faults whose status has one of these values.",
    style="deepObject",
    explode=True,
)
SEVERITY = _query(
    "severity", {"type": "integer", "minimum": 0, "maximum": 9999}, "Only faults below it."
)
SCOPE_FILTER = _query("scope", {"type": "string", "enum": [SCOPE]}, "Only this scope.")
CATEGORY = _query(
    "category",
    {"type": "array", "items": {"type": "string", "enum": [*CATEGORIES]}},
    "Only these categories.",
    **ARRAY,
)
GROUPS = _query("groups", LIST, "Only these groups.", **ARRAY)

ERROR = {
    "description": "An error. 502 and 504 stand for the vehicle.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
LOCATION = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}
ROUTINE = {"type": "string", "pattern": "^0x[0-9A-Fa-f]{4}$"}
EXECUTION_ID = _path("execution-id", {"type": "string", "format": "uuid"})


def describe(call: Call, below: str = "") -> Item:
    """Return the description of the resources at an address of the vehicle and below."""
    paths = {
        path: item
        for path, item in _paths(call)
        if not below or f"{path}/".startswith(f"/{below}/")
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Vehicle {call.vehicle.vin}",
            "description": "What this vehicle offers by SOVD (ISO 17978-3).",
            "license": {"name": "As the operator of this server says"},
            "version": "1",
            "x-sovd-version": SOVD_VERSION,
        },
        "servers": [{"url": call.base}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths(call: Call) -> Iterator[tuple[str, Item]]:
    yield "/", _item("Vehicle", get=_read("Vehicle"))
    yield "/docs", _item("Description", get=_document())
    for collection in ("components", "areas", "apps"):
        yield f"/{collection}", _item(collection.capitalize(), get=_read("Entities"))
    for component in call.components.values():
        for path, item in _of_component(call, component):
            yield f"/components/{component.id}{path}", item


def _of_component(call: Call, component: Component) -> Iterator[tuple[str, Item]]:
    name = component.name
    yield "", _item(name, get=_read("Component"))
    yield "/docs", _item(f"Description of {name}", get=_document())
    for relation in ("hosts", "depends-on", "belongs-to"):
        yield f"/{relation}", _item(f"{name}: {relation}", get=_read("Entities"))
    yield from _faults()
    yield from _data(call)
    yield from _operations()


def _faults() -> Iterator[tuple[str, Item]]:
    yield (
        "/faults",
        _item(
            "Faults",
            get=_ask("Faults", STATUS, SEVERITY, SCOPE_FILTER),
            delete=_change(SCOPE_FILTER),
        ),
    )
    code = _path("fault-code", {"type": "string"})
    yield "/faults/{fault-code}", _item("Fault", code, get=_ask("Fault"), delete=_change())


def _data(call: Call) -> Iterator[tuple[str, Item]]:
    yield "/data-categories", _item("Data categories", get=_read("DataCategories"))
    yield "/data-groups", _item("Data groups", get=_read("DataGroups"))
    yield "/data", _item("Data", get=_read("DataList", CATEGORY, GROUPS))
    for item in components.data_of(call.vehicle):
        methods = {"get": _ask("DataValue"), "put": _write()}
        yield f"/data/{item.id}", _item(item.name, **methods) | _category(item.category)
    others = _item("Any data", _path("data-id", ROUTINE), get=_ask("DataValue"), put=_write())
    yield "/data/{data-id}", others | _category("storedData")


def _operations() -> Iterator[tuple[str, Item]]:
    yield "/operations", _item("Operations", get=_read("Operations"))
    routine = _path("routine-id", ROUTINE)
    for operation, given, parameters in (
        ("ecureset", (), RESET_PARAMETERS),
        ("{routine-id}", (routine,), ROUTINE_PARAMETERS),
    ):
        path = f"/operations/{operation}"
        yield path, _item(operation, *given, get=_read("Operation"))
        executions = _item("Executions", *given, get=_read("Executions"), post=_execute(parameters))
        yield f"{path}/executions", executions | {"x-sovd-retention-timeout": KEPT_SECONDS}
        yield (
            f"{path}/executions/{{execution-id}}",
            _item(
                "Execution",
                *given,
                EXECUTION_ID,
                get=_read("Execution"),
                put=_stop(),
                delete=_answers({"204": {"description": "It is no longer listed."}}),
            ),
        )
        events = _item("Events of an execution", *given, EXECUTION_ID, get=_events())
        yield f"{path}/executions/{{execution-id}}/x-events", events
    lock = _item(
        "Lock",
        _path("lock-id", {"type": "string", "format": "uuid"}),
        get=_read("Lock"),
        put=_answers({"204": {"description": "It was prolonged."}}, body=LOCKING),
        delete=_answers({"204": {"description": "It was released."}}),
    )
    yield "/locks", _item("Locks", get=_read("Locks"), post=_take_lock())
    yield "/locks/{lock-id}", lock
    yield "/status/restart", _item("Restart", get=_read("Status"), put=_restart())


LOCKING: Item = {
    "type": "object",
    "properties": {
        "lock_expiration": {
            "type": "integer",
            "minimum": locks.MIN_SECONDS,
            "maximum": locks.MAX_SECONDS,
            "description": "Seconds from now.",
        },
    },
    "required": ["lock_expiration"],
}
RESET_PARAMETERS: Item = {
    "type": "object",
    "properties": {"resetType": {"type": "string", "enum": ["hard", "keyOffOn", "soft"]}},
    "required": ["resetType"],
    "additionalProperties": False,
}
ROUTINE_PARAMETERS: Item = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": ["start", "stop", "results"], "default": "start"},
        "data": {"type": "string", "pattern": "^([0-9A-Fa-f]{2})+$", "maxLength": 8182},
    },
    "additionalProperties": False,
}


def _item(name: str, *parameters: Item, **methods: Item) -> Item:
    given = {"parameters": [*parameters]} if parameters else {}
    return {"x-sovd-name": name} | given | methods


def _category(category: str) -> Item:
    return {"x-sovd-data-category": category}


def _answers(responses: Item, *parameters: Item, body: Item | None = None) -> Item:
    operation: Item = {
        "parameters": [*parameters],
        "responses": responses | {"4XX": ERROR, "5XX": ERROR},
    }
    if body:
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _read(schema: str, *parameters: Item) -> Item:
    return _answers({"200": _content(schema)}, *parameters, INCLUDE_SCHEMA)


def _ask(schema: str, *parameters: Item) -> Item:
    """Return a read of the vehicle."""
    return _answers({"200": _content(schema)}, *parameters, INCLUDE_SCHEMA, TIMEOUT, KEY)


def _change(*parameters: Item, body: Item | None = None) -> Item:
    done = {"204": {"description": "The vehicle carried it out."}}
    return _answers(done, *parameters, TIMEOUT, KEY, body=body)


def _write() -> Item:
    data = {"type": "string", "pattern": "^([0-9A-Fa-f]{2})+$", "maxLength": 8182}
    body = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return _change(body=body)


def _execute(parameters: Item) -> Item:
    properties = {"parameters": parameters, "timeout": SECONDS}
    required = ["parameters"] if "required" in parameters else []
    body = {"type": "object", "properties": properties, "required": required}
    return _answers({"202": _started()}, KEY, body=body)


def _stop() -> Item:
    capability = {"type": "string", "enum": ["stop"]}
    properties = {"capability": capability}
    body = {"type": "object", "properties": properties, "required": ["capability"]}
    return _answers({"202": _started()}, body=body)


def _take_lock() -> Item:
    breaks = {"break_lock": {"type": "boolean", "default": False}}
    body = LOCKING | {"properties": LOCKING["properties"] | breaks}
    taken = _content("NewLock", "The lock is yours.") | {"headers": LOCATION}
    return _answers({"201": taken}, body=body)


def _restart() -> Item:
    kinds = {"type": "string", "enum": ["hardreset", "softreset", "keyoffonreset"]}
    parameters = {"type": "object", "properties": {"ResetType": kinds}}
    body = {"type": "object", "properties": {"parameters": parameters}}
    return _answers({"202": _started()}, KEY, body=body)


def _started() -> Item:
    return _content("NewExecution", "It was accepted.") | {"headers": LOCATION}


def _document() -> Item:
    content = {"application/json": {"schema": {"type": "object"}}}
    return _answers({"200": {"description": "OpenAPI 3.1", "content": content}})


def _events() -> Item:
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    responses = {
        "200": {"description": "The events, with their numbers as IDs.", "content": content},
        "204": {"description": "There are no more events."},
    }
    return _answers(responses, LAST_EVENT_ID)


LAST_EVENT_ID: Item = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "integer", "minimum": 0},
}


def _content(schema: str, description: str = "The answer.") -> Item:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}
