"""JSON Schemas of the façade's bodies, for `include-schema` and for the capability description."""

from typing import Any

from commands.sovd_facade.components import CATEGORIES
from vehicles.connectors.dtc import STATUS_BITS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
URI: Schema = {"type": "string", "format": "uri-reference"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
UUID: Schema = {"type": "string", "format": "uuid"}
AGGREGATED = ("active", "passive", "cleared")
EXECUTION_STATES = ("running", "completed", "failed", "stopped")


def obj(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {
        "type": "object",
        "properties": required | {name.replace("__", "-"): each for name, each in optional.items()},
        "required": [*required],
    }


def listed(item: Schema) -> Schema:
    return obj({"items": {"type": "array", "items": item}}, schema=OBJECT)


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": [*values]}


ERROR = obj(
    {"error_code": TEXT, "message": TEXT},
    vendor_code=TEXT,
    translation_id=TEXT,
    parameters=OBJECT,
)
DATA_ERROR = obj({"path": TEXT, "error": ERROR})
REFERENCE = obj({"id": TEXT, "name": TEXT, "href": URI})
FAULT = obj(
    {"code": TEXT, "fault_name": TEXT},
    display_code=TEXT,
    scope=TEXT,
    severity={"type": "integer", "minimum": 1, "maximum": 4},
    status=obj(
        {name: one_of("0", "1") for name in STATUS_BITS}
        | {"aggregatedStatus": one_of(*AGGREGATED), "mask": TEXT}
    ),
)
VALUE = obj(
    {
        "name": TEXT,
        "value": {"type": ["string", "number", "object"]},
        "unit": TEXT,
        "raw": {"type": "string", "pattern": "^([0-9A-F]{2})*$"},
    }
)
OPERATION = obj(
    {
        "id": TEXT,
        "name": TEXT,
        "proximity_proof_required": BOOLEAN,
        "asynchronous_execution": BOOLEAN,
    }
)
SCHEMAS: dict[str, Schema] = {
    "Error": ERROR,
    "VersionInfo": obj(
        {
            "sovd_info": {
                "type": "array",
                "items": obj({"version": TEXT, "base_uri": URI}, vendor_info=OBJECT),
            }
        },
        schema=OBJECT,
    ),
    "Vehicle": obj(
        {"id": TEXT, "name": TEXT, "components": URI, "areas": URI, "apps": URI, "functions": URI},
        docs=URI,
        schema=OBJECT,
    ),
    "Entities": listed(REFERENCE),
    "Component": obj(
        {"id": TEXT, "name": TEXT, "faults": URI, "data": URI, "operations": URI, "status": URI},
        variant=OBJECT,
        locks=URI,
        data__categories=URI,
        data__groups=URI,
        docs=URI,
        schema=OBJECT,
    ),
    "Faults": listed(FAULT),
    "Fault": obj({"item": FAULT}, errors={"type": "array", "items": DATA_ERROR}, schema=OBJECT),
    "DataCategories": listed(obj({"item": one_of(*CATEGORIES)})),
    "DataGroups": listed(obj({"id": TEXT, "category": TEXT}, group=TEXT)),
    "DataList": listed(obj({"id": TEXT, "name": TEXT, "category": one_of(*CATEGORIES)})),
    "DataValue": obj(
        {"id": TEXT, "data": VALUE},
        errors={"type": "array", "items": DATA_ERROR},
        schema=OBJECT,
    ),
    "Operations": listed(OPERATION),
    "Operation": obj({"item": OPERATION}, schema=OBJECT),
    "Executions": listed(obj({"id": UUID})),
    "NewExecution": obj({"id": UUID, "status": one_of(*EXECUTION_STATES)}),
    "Execution": obj(
        {"status": one_of(*EXECUTION_STATES), "capability": TEXT, "parameters": OBJECT},
        error={"type": "array", "items": DATA_ERROR},
        schema=OBJECT,
    ),
    "Locks": listed(obj({"id": TEXT, "owned": BOOLEAN})),
    "NewLock": obj({"id": UUID, "owned": BOOLEAN}),
    "Lock": obj(
        {"lock_expiration": {"type": "string", "format": "date-time"}, "owned": BOOLEAN},
        x__holder=TEXT,
        schema=OBJECT,
    ),
    "Status": obj({"status": one_of("ready", "notReady"), "restart": URI}, schema=OBJECT),
}


def standalone(name: str) -> Schema:
    """Return the schema of a whole answer, as a document of its own."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMAS[name]}
