"""Settings of a vehicle that is reached over SOVD."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from vehicles.connectors.base import TargetVehicle

# Without user, query and fragment. Browsers want \/ in a class; $ would let a newline pass.
_END = r"(?![\s\S])"
URL = rf"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\/?#@\\]+(/[^\s?#\\]*)?{_END}"
BASE_URI = rf"^([Hh][Tt][Tt][Pp][Ss]?://[^\s\/?#@\\]+)?(/[^\s?#\\]*)?{_END}"
PATH = rf"^/[^\x00]*{_END}"
# What the header `Authorization` can carry (RFC 6750).
TOKEN = rf"^[!-~]+{_END}"
MAX_URL = 2000


def _text(title: str, description: str, pattern: str, example: str, **rules: Any) -> dict[str, Any]:
    about = {"type": "string", "title": title, "description": description, "pattern": pattern}
    return about | {"minLength": 1, "maxLength": MAX_URL, "examples": [example]} | rules


def _secret(title: str, description: str, pattern: str) -> dict[str, Any]:
    about = {"type": "string", "title": title, "description": description, "pattern": pattern}
    return about | {"minLength": 1, "maxLength": 8000, "writeOnly": True}


SETTINGS_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "url": _text(
            "URL",
            "http or https address of the SOVD server, with or without /version-info.",
            URL,
            "https://192.0.2.10/sovd",
        ),
        "base_uri": _text(
            "Base URI",
            "used instead of the one that the server's version-info names: a URL or a path.",
            BASE_URI,
            "/sovd/v1",
        ),
        "client_id": _text(
            "Client ID",
            "of OAuth2 client credentials; needs client_secret and token_url.",
            rf"^[ -~]+{_END}",
            "console",
        ),
        "client_secret": _secret("Client secret", "of the client ID.", rf"^[ -~]+{_END}"),
        "token_url": _text(
            "Token URL",
            "http or https address at which the client gets its access tokens.",
            URL,
            "https://192.0.2.10/sovd/token",
        ),
        "token": _secret(
            "Access token", "a bearer token, instead of a client ID, without blanks.", TOKEN
        ),
        "ca_file": _text(
            "CA file",
            "path of a PEM file on the worker's machine, with which the server is trusted.",
            PATH,
            "/etc/sovd/ca.pem",
        ),
        "client_certificate": _text(
            "Client certificate",
            "path of a PEM file on the worker's machine: a certificate and its private key.",
            PATH,
            "/etc/sovd/client.pem",
        ),
        "data_ids": {
            "type": "object",
            "title": "Data identifiers",
            "description": 'data identifiers and the server\'s names of them: {"0xF190": "vin"}.',
            "propertyNames": {"pattern": f"^0x[0-9A-Fa-f]{{4}}{_END}"},
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 200},
            "maxProperties": 2000,
            "examples": [{"0xF190": "vin"}],
        },
    },
    "required": ["url"],
    "dependentRequired": {
        "client_id": ["client_secret", "token_url"],
        "token_url": ["client_id"],
    },
    "additionalProperties": False,
}


@dataclass(frozen=True)
class SovdSettings:
    """Equal for all that reach the same server in the same way."""

    url: str
    base_uri: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    token_url: str = ""
    token: str = field(default="", repr=False)
    ca_file: str = ""
    client_certificate: str = ""
    data_ids: Mapping[int, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, vehicle: TargetVehicle) -> Self:
        """Return the checked settings of a vehicle, with its secrets."""
        values = dict(vehicle.connector_settings) | dict(vehicle.connector_secrets)
        names = {int(key, 16): name for key, name in values.pop("data_ids", {}).items()}
        return cls(**values, data_ids=names)

    @property
    def secrets(self) -> list[str]:
        return [secret for secret in (self.client_secret, self.token) if secret]
