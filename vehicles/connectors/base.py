"""The interface between a worker and a vehicle, for every way of reaching vehicles."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, Self
from uuid import UUID

VehicleErrorCode = Literal[
    "vehicle_unreachable",
    "vehicle_refused",
    "malformed_answer",
    "wrong_vehicle",
    "outcome_unknown",
]
CERTAIN: frozenset[str] = frozenset({"vehicle_refused", "wrong_vehicle"})


@dataclass(frozen=True)
class Response:
    """One response of a vehicle: a JSON object, and whether it is the last one."""

    response: dict[str, Any]
    is_final: bool = False


@dataclass(frozen=True)
class Exchange:
    """One request to a real vehicle and its response, kept as evidence.

    DoIP: hexadecimal, upper case. SOVD: method and path, status and body.
    """

    ecu_address: str
    service: str  # such as "ReadDTCInformation"
    request: str
    response: str | None
    nrc: str | None  # such as "0x31"
    nrc_name: str
    pending_count: int  # how often the ECU said "response pending" (0x78)
    started_at: datetime
    duration_ms: float


@dataclass(frozen=True)
class Probe:
    """The result of a look at a vehicle, without changing anything in it."""

    status: Literal["connected", "disconnected", "error"]
    problem: str = ""  # in words; empty when connected
    vin: str | None = None
    found: dict[str, Any] = field(default_factory=dict)  # such as the gateway and the ECUs


class VehicleError(Exception):
    """A vehicle that did not answer as hoped; the message says what to do about it."""

    def __init__(
        self, error_code: VehicleErrorCode, message: str, *, is_certain: bool | None = None
    ) -> None:
        """`is_certain`: the vehicle certainly did not carry out the request (default: by code)."""
        super().__init__(message)
        self.error_code = error_code
        self.is_certain = error_code in CERTAIN if is_certain is None else is_certain


class Ecu(Protocol):
    """One control unit of a vehicle, as it is configured."""

    @property
    def address(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def logical_address(self) -> str:
        """The address for DoIP; empty: the number of `address`."""
        ...

    @property
    def component(self) -> str:
        """The SOVD component; may be empty."""
        ...

    def length_of(self, data_id: int) -> int | None:
        """Return the number of bytes of an identifier, if the ECU's description fixes it."""
        ...


class TargetVehicle(Protocol):
    """The part of a vehicle that a connector may know."""

    @property
    def vehicle_id(self) -> UUID: ...

    @property
    def vin(self) -> str: ...

    @property
    def metadata(self) -> Any: ...

    @property
    def connector(self) -> str: ...

    @property
    def connector_settings(self) -> Any: ...

    @property
    def connector_secrets(self) -> Any:
        """The settings that the connector's schema marks as `writeOnly`."""
        ...

    @property
    def configured_ecus(self) -> Sequence[Ecu]: ...


class Attempt(Protocol):
    """One execution of a command, as its connector sees it."""

    async def about_to_send(self, before: list[str] | None = None) -> None:
        """Note durably that a request which is not safe to repeat leaves now.

        Await it immediately before that request. `before`: the trouble codes stored until now, by
        which reading back can tell whether they were cleared. Raises if the claim is lost: then
        nothing may be sent.
        """
        ...

    def record(self, exchange: Exchange) -> None:
        """Keep an exchange as evidence."""
        ...


class Connector(Protocol):
    """Carries out one command on one vehicle at a time; different vehicles run concurrently."""

    name: ClassVar[str]
    description: ClassVar[str]
    settings_schema: ClassVar[dict[str, Any]]  # JSON Schema (2020-12) of `connector_settings`
    command_names: ClassVar[frozenset[str]]  # the command types that it can carry out
    can_read_back: ClassVar[bool]

    @classmethod
    def from_settings(cls) -> Self: ...

    def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        """Yield the vehicle's responses as they arrive; the last one has `is_final` true.

        Raises VehicleError for the vehicle's own failures; any other exception is a bug. The
        caller has checked the parameters, checks each response (a vehicle is not to be trusted),
        and bounds the whole execution in time by cancelling it: an implementation has no timeout
        for the whole of its own, lets CancelledError pass, and never blocks the event loop.
        """
        ...

    async def read_back(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        before: list[str] | None,
        attempt: Attempt,
    ) -> list[Response] | None:
        """Return the responses of a command that was certainly carried out, None otherwise.

        Asked after a request that is not safe to repeat was sent and no usable response came.
        Sends nothing that changes the vehicle.
        """
        ...

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        """Look whether the vehicle can be used now, and whether it is the right one.

        `with_ecus`: ask each ECU, too, and say in `found` which ones answer.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
