"""The command types: what may be sent to a vehicle, and with which parameters.

To add one, add an entry here and its answer in `vehicles/mock_vehicle.py`.
"""

from dataclasses import dataclass
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError


@dataclass(frozen=True)
class CommandType:
    name: str
    description: str
    schema: dict[str, Any]  # JSON Schema (2020-12) of the parameters
    safe_to_repeat: bool  # False: never sent to a vehicle twice

    def errors(self, params: dict[str, Any]) -> dict[str, list[str]]:
        """What is wrong with the parameters, by parameter name; empty if nothing is."""
        found: dict[str, list[str]] = {}
        for error in Draft202012Validator(self.schema).iter_errors(params):
            name, message = _explain(error, self.schema["properties"])
            messages = found.setdefault(name, [])
            if message not in messages:  # two rules may say the same: "0x10 " breaks both
                messages.append(message)
        return found


def _explain(error: ValidationError, properties: dict[str, Any]) -> tuple[str, str]:
    if error.validator == "additionalProperties":
        extra = min(set(cast(dict[str, Any], error.instance)) - set(properties))
        return extra, f"Unknown parameter. Known: {', '.join(properties)}."
    if error.validator == "required":
        missing = next(name for name in properties if repr(name) in error.message)
        return missing, f"Required: {properties[missing]['description']}"
    name = str(error.path[0])
    return name, f"Not valid: {properties[name]['description']}"


def _parameters(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _text(title: str, description: str, pattern: str, length: int, example: str) -> dict[str, Any]:
    # maxLength, since Python's `$` lets a trailing newline pass.
    return {
        "type": "string",
        "title": title,
        "description": description,
        "pattern": pattern,
        "maxLength": length,
        "examples": [example],
    }


ECU_ADDRESS = _text(
    "ECU address", "one byte in hexadecimal, such as 0x10.", "^0x[0-9A-Fa-f]{2}$", 4, "0x10"
)
DTC_CODE = _text(
    "Trouble code",
    "a DTC such as P0420: one of P, C, B, U, a digit 0 to 3, three hexadecimal digits.",
    "^[PCBU][0-3][0-9A-F]{3}$",
    5,
    "P0420",
)
DATA_ID = _text(
    "Data identifier",
    "a DID of two bytes in hexadecimal, such as 0xF190 (VIN) or 0x010C (engine speed).",
    "^0x[0-9A-Fa-f]{4}$",
    6,
    "0xF190",
)

COMMAND_TYPES = {
    command_type.name: command_type
    for command_type in (
        CommandType(
            "ReadDTC",
            "Read the diagnostic trouble codes stored in an ECU (UDS 0x19).",
            _parameters(["ecuAddress"], ecuAddress=ECU_ADDRESS),
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
    )
}


def is_safe_to_repeat(command_name: str) -> bool:
    """A name that is no longer in the catalogue is not."""
    command_type = COMMAND_TYPES.get(command_name)
    return command_type is not None and command_type.safe_to_repeat
