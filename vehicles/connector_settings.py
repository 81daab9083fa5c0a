"""The settings of a vehicle's connector: checked by its JSON Schema, with the secrets apart."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from vehicles import strict_json
from vehicles.connectors import CONNECTORS

Errors = dict[str, list[str]]

MAX_NAME_CHARACTERS = 100  # of an unknown setting, in a message
MAX_UNKNOWN = 10


class InvalidSettings(ValueError):
    """Names what is wrong by setting, such as `port`; the empty name stands for the whole."""

    def __init__(self, errors: Errors) -> None:
        super().__init__(str(errors))
        self.errors = errors


def check(
    connector: str, given: Mapping[str, Any], kept_secrets: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings that anybody may see, and the secrets. Raise InvalidSettings.

    A secret that is not given stays, and null removes it.
    """
    properties = _properties(connector)
    secret = secret_names(connector)
    values = {name: _normal(properties.get(name, {}), value) for name, value in given.items()}
    kept = {name: value for name, value in kept_secrets.items() if name in secret}
    removed = {name for name in secret if name in values and values[name] is None}
    whole = {name: value for name, value in (kept | values).items() if name not in removed}
    if errors := _errors(CONNECTORS[connector].settings_schema, whole):
        raise InvalidSettings(errors)
    return (
        {name: value for name, value in whole.items() if name not in secret},
        {name: value for name, value in whole.items() if name in secret},
    )


def secret_names(connector: str) -> set[str]:
    """Return the settings that the connector's schema marks as `writeOnly`."""
    return {name for name, rules in _properties(connector).items() if rules.get("writeOnly")}


def from_text(connector: str, name: str, text: str) -> Any:
    """Return a setting as its schema wants it; a text that is no such value stays as it is."""
    kind = _properties(connector).get(name, {}).get("type", "string")
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind != "string":
        with suppress(ValueError, RecursionError):
            value = json.loads(text)
            strict_json.check(value)
            return value
    return text


def _properties(connector: str) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = CONNECTORS[connector].settings_schema["properties"]
    return properties


def _normal(rules: Mapping[str, Any], value: Any) -> Any:
    """Return the value without blanks around it, and an integer as one: 80.0 is valid, too."""
    if isinstance(value, str) and not rules.get("writeOnly"):
        return value.strip()
    if isinstance(value, float) and rules.get("type") == "integer" and value.is_integer():
        return int(value)
    return value


def _errors(schema: Mapping[str, Any], settings: Mapping[str, Any]) -> Errors:
    found: Errors = {}
    for error in Draft202012Validator(schema).iter_errors(settings):
        for name, message in _explain(error, schema["properties"]):
            messages = found.setdefault(name, [])
            if message not in messages:
                messages.append(message)
    return found


def _missing(schema: Mapping[str, Any], given: set[str]) -> set[str]:
    """Return the settings that are required, always or beside those that are given."""
    together = schema.get("dependentRequired", {})
    required = set(schema.get("required", ())).union(*(together.get(name, ()) for name in given))
    return required - given


def _explain(error: ValidationError, properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each wrong setting with a message, which never holds a value."""
    path = [str(part)[:MAX_NAME_CHARACTERS] for part in error.path]
    schema = cast(Mapping[str, Any], error.schema)
    given = set(cast(dict[str, Any], error.instance)) if isinstance(error.instance, dict) else set()
    if error.validator == "additionalProperties" and not path:
        message = f"Unknown setting. Known: {', '.join(properties)}."
        for name in sorted(given - set(properties))[:MAX_UNKNOWN]:
            yield name[:MAX_NAME_CHARACTERS], message
    elif error.validator in {"required", "dependentRequired"} and not path:
        for name in _missing(schema, given):
            yield name, f"Required: {properties[name]['description']}"
    else:
        rules = properties.get(path[0], {}) if path else schema
        about = rules.get("description", "see the connector's settings schema.")
        yield ".".join(path), f"Not valid: {about}"
