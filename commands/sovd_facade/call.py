"""One call of the façade: its caller, its vehicle, and what its address and body ask for."""

import math
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from rest_framework.exceptions import NotAuthenticated, PermissionDenied, UnsupportedMediaType
from rest_framework_simplejwt.tokens import Token

from commands.accounts.authentication import TokenAuthentication
from commands.api.parsers import StrictJSONParser
from commands.sovd_facade import components
from commands.sovd_facade.components import Component
from commands.sovd_facade.errors import bad_request, not_found
from vehicles.api import MayViewVehicles
from vehicles.models import Vehicle
from vehicles.vin import VIN_PATTERN

DEFAULT_SECONDS = 30.0
MAX_SECONDS = 300.0
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Call:
    """A request of a user who was authenticated by a token, for a vehicle that they may see."""

    request: HttpRequest
    user: Any
    token: Token
    vehicle: Vehicle
    components: dict[str, Component]

    @property
    def base(self) -> str:
        return base_of(self.vehicle.vin)

    @property
    def seconds(self) -> float:
        """Seconds to wait for the vehicle."""
        return read_seconds(self.request.GET.get("timeout", DEFAULT_SECONDS))

    def component(self, component_id: str) -> Component:
        if component_id not in self.components:
            raise not_found(f"The vehicle has no component {component_id[:100]}.")
        return self.components[component_id]

    def body(self) -> dict[str, Any]:
        """Return the JSON object of the body; an empty body is an empty object."""
        try:
            raw = self.request.body
        except RequestDataTooBig as error:
            raise bad_request("The body is too large.") from error
        if not raw:
            return {}
        content_type = self.request.content_type or "application/json"
        if content_type != "application/json":
            raise UnsupportedMediaType(content_type)
        body = StrictJSONParser().parse(BytesIO(raw))
        if not isinstance(body, dict):
            raise bad_request("The body must be a JSON object.")
        return body


def authenticate(request: HttpRequest) -> tuple[Any, Token]:
    """Return the user, who may view vehicles, and the token. Raise APIException."""
    found = TokenAuthentication().authenticate(request)  # type: ignore[arg-type]
    if found is None:
        raise NotAuthenticated
    user: Any = found[0]
    if not user.has_perm("vehicles.view_vehicle"):
        raise PermissionDenied(MayViewVehicles.message)
    return user, found[1]


def read_call(request: HttpRequest, vin: str) -> Call:
    user, token = authenticate(request)
    vehicle = _find(vin)
    return Call(request, user, token, vehicle, components.of_vehicle(vehicle))


def includes_schema(request: HttpRequest) -> bool:
    """Return whether the caller wants the schema of the answer, too. Raise SovdError."""
    text = request.GET.get("include-schema", "false")
    if text.lower() not in BOOLEANS:
        raise bad_request(f"include-schema must be true or false, not {text[:40]!r}.")
    return BOOLEANS[text.lower()]


def base_of(vin: str) -> str:
    return f"/sovd/{vin}/v1"


def read_seconds(value: Any) -> float:
    """Return a time to wait, given as a number or as its text. Raise SovdError."""
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds <= MAX_SECONDS:
        raise bad_request(f"timeout must be a number of seconds above 0, up to {MAX_SECONDS:g}.")
    return seconds


def _find(vin: str) -> Vehicle:
    vehicles = Vehicle.objects.filter(vin=vin).prefetch_related("ecus")
    vehicle = vehicles.first() if re.match(VIN_PATTERN, vin) else None
    if vehicle is None:
        raise not_found("There is no vehicle with this VIN.")
    return vehicle
