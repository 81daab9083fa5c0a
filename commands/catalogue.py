"""The command types that may be sent to a vehicle, and their parameters.

To add one, add an entry here, and its script to the connectors that can carry it out.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from vehicles.connectors import CONNECTORS

SEND_INTRUSIVE = "commands.send_intrusive"
MAX_DATA_BYTES = 4_091  # of a UDS request of 4,095 bytes, after service, subfunction and identifier


@dataclass(frozen=True)
class CommandType:
    name: str
    description: str
    schema: dict[str, Any]  # JSON Schema (2020-12) of the parameters
    safe_to_repeat: bool  # False: never sent to a vehicle twice
    permission: str | None = None  # needed besides commands.add_command

    @property
    def connectors(self) -> list[str]:
        """Names of the connectors that can carry it out."""
        return [name for name, each in CONNECTORS.items() if self.name in each.command_names]

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(_for_python(self.schema))

    def errors(self, params: dict[str, Any]) -> dict[str, list[str]]:
        """Return the complaints about the parameters, by name; empty if there are none."""
        found: dict[str, list[str]] = {}
        for error in self._validator.iter_errors(params):
            name, message = _explain(error, self.schema["properties"])
            messages = found.setdefault(name, [])
            if message not in messages:  # two rules may say the same: "0x10102" breaks both
                messages.append(message)
        return found

    def normal_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return valid parameters as they are stored and sent."""
        return {name: _normal_value(name, value) for name, value in params.items()}


def _for_python(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema for Python, whose `$` would let a newline at the end pass."""
    properties = {
        name: {**rules, "pattern": rules["pattern"].replace("$", r"\Z")}
        if "pattern" in rules
        else rules
        for name, rules in schema["properties"].items()
    }
    return schema | {"properties": properties}


def _explain(error: ValidationError, properties: dict[str, Any]) -> tuple[str, str]:
    if error.validator == "additionalProperties":
        extra = min(set(cast(dict[str, Any], error.instance)) - set(properties))
        return extra, f"Unknown parameter. Known: {', '.join(properties) or 'none'}."
    if error.validator == "required":
        missing = next(name for name in properties if repr(name) in error.message)
        return missing, f"Required: {properties[missing]['description']}"
    name = str(error.path[0])
    return name, f"Not valid: {properties[name]['description']}"


def _normal_value(name: str, value: Any) -> Any:
    if name == "dtcCode":
        return value.upper()
    return int(value) if isinstance(value, float) else value  # JSON Schema takes 1.0 for an integer


# --- Parameters


def _parameters(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _text(title: str, description: str, pattern: str, length: int, example: str) -> dict[str, Any]:
    return {
        "type": "string",
        "title": title,
        "description": description,
        "pattern": pattern,
        "maxLength": length,
        "examples": [example],
    }


def _choice(title: str, *values: str) -> dict[str, Any]:
    description = f"one of {', '.join(values)}."
    return {"type": "string", "title": title, "description": description, "enum": [*values]}


ECU_ADDRESS = _text(
    "ECU address",
    "one or two bytes in hexadecimal, such as 0x10 or 0x1010.",
    "^0x([0-9A-Fa-f]{2}){1,2}$",
    6,
    "0x10",
)
DTC_CODE = _text(
    "Trouble code",
    "a DTC such as P0420, which stands for all of its failure types, or P0420-13.",
    "^[PCBUpcbu][0-3][0-9A-Fa-f]{3}(-[0-9A-Fa-f]{2})?$",
    8,
    "P0420",
)
STATUS_MASK = _text(
    "Status mask",
    "status bits in hexadecimal, of which a code must have one: 0x08 confirmed, 0xFF all.",
    "^0x[0-9A-Fa-f]{2}$",
    4,
    "0x08",
) | {"default": "0xFF"}
RECORD_NUMBER = {
    "type": "integer",
    "title": "Record number",
    "description": "a number from 0 to 255; leave it out for all snapshots of the code.",
    "minimum": 0,
    "maximum": 255,
}
DATA_ID_PATTERN = "^0x[0-9A-Fa-f]{4}$"
DATA_ID = _text(
    "Data identifier",
    "a DID of two bytes in hexadecimal, such as 0xF190 (VIN) or 0x010C (engine speed).",
    DATA_ID_PATTERN,
    6,
    "0xF190",
)
ROUTINE_ID = _text(
    "Routine identifier",
    "two bytes in hexadecimal, such as 0x0203.",
    "^0x[0-9A-Fa-f]{4}$",
    6,
    "0x0203",
)
DATA = _text(
    "Data",
    f"1 to {MAX_DATA_BYTES:,} bytes in hexadecimal without blanks, such as 01A4.",
    "^([0-9A-Fa-f]{2})+$",
    2 * MAX_DATA_BYTES,
    "01A4",
)
ROUTINE_ACTION = _choice("Action", "start", "stop", "results")
RESET_TYPE = _choice("Reset type", "hard", "keyOffOn", "soft")


# --- Types

COMMAND_TYPES = {
    command_type.name: command_type
    for command_type in (
        CommandType(
            "ReadDTC",
            "Read the diagnostic trouble codes of an ECU (UDS 0x19 02).",
            _parameters(["ecuAddress"], ecuAddress=ECU_ADDRESS, statusMask=STATUS_MASK),
            safe_to_repeat=True,
        ),
        CommandType(
            "ReadDTCSnapshot",
            "Read the data that an ECU stored together with a trouble code (UDS 0x19 04).",
            _parameters(
                ["ecuAddress", "dtcCode"],
                ecuAddress=ECU_ADDRESS,
                dtcCode=DTC_CODE,
                recordNumber=RECORD_NUMBER,
            ),
            safe_to_repeat=True,
        ),
        CommandType(
            "ClearDTC",
            "Clear the trouble codes of an ECU, or one of them (UDS 0x14).",
            _parameters(["ecuAddress"], ecuAddress=ECU_ADDRESS, dtcCode=DTC_CODE),
            safe_to_repeat=False,
        ),
        CommandType(
            "ReadDataByID",
            "Read one value by its data identifier (UDS 0x22).",
            _parameters(["ecuAddress", "dataId"], ecuAddress=ECU_ADDRESS, dataId=DATA_ID),
            safe_to_repeat=True,
        ),
        CommandType(
            "WriteDataByID",
            "Write one value by its data identifier (UDS 0x2E).",
            _parameters(
                ["ecuAddress", "dataId", "data"],
                ecuAddress=ECU_ADDRESS,
                dataId=DATA_ID,
                data=DATA,
            ),
            safe_to_repeat=False,
            permission=SEND_INTRUSIVE,
        ),
        CommandType(
            "RoutineControl",
            "Start or stop a routine of an ECU, or get its results (UDS 0x31).",
            _parameters(
                ["ecuAddress", "routineId", "action"],
                ecuAddress=ECU_ADDRESS,
                routineId=ROUTINE_ID,
                action=ROUTINE_ACTION,
                data=DATA,
            ),
            safe_to_repeat=False,
            permission=SEND_INTRUSIVE,
        ),
        CommandType(
            "ECUReset",
            "Restart an ECU (UDS 0x11).",
            _parameters(["ecuAddress", "resetType"], ecuAddress=ECU_ADDRESS, resetType=RESET_TYPE),
            safe_to_repeat=False,
            permission=SEND_INTRUSIVE,
        ),
        CommandType(
            "ScanVehicle",
            "Identify every ECU of the vehicle and read its trouble codes (UDS 0x22, 0x19 02).",
            _parameters([]),
            safe_to_repeat=True,
        ),
    )
}

SAFE_TO_REPEAT = sorted(name for name, known in COMMAND_TYPES.items() if known.safe_to_repeat)


def is_safe_to_repeat(command_name: str) -> bool:
    """Return False also for a name that is no longer in the catalogue."""
    return command_name in SAFE_TO_REPEAT
