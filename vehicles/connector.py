"""The seam to a vehicle: what a way of reaching vehicles (mocked, DoIP, SOVD) has to offer."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

VehicleErrorCode = Literal["vehicle_unreachable", "vehicle_refused", "malformed_answer"]


@dataclass(frozen=True)
class Answer:
    response: dict[str, Any]
    is_final: bool = False


class VehicleError(Exception):
    """What the vehicle did instead of answering; the message says what to do about it."""

    def __init__(self, error_code: VehicleErrorCode, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code


class TargetVehicle(Protocol):
    """All that a connector may know of the vehicle it drives."""

    @property
    def vehicle_id(self) -> UUID: ...

    @property
    def vin(self) -> str: ...

    @property
    def metadata(self) -> Any: ...


class Connector(Protocol):
    """Carries out one command on one vehicle at a time; different vehicles run concurrently."""

    def execute(
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        """Yield the vehicle's answers as they arrive; the last one has `is_final` true.

        Raises VehicleError for what the vehicle did; any other exception is a bug. The caller
        has checked the parameters, checks each response (a vehicle is not to be trusted), and
        bounds the whole execution in time by cancelling it: an implementation has no timeout
        for the whole of its own, lets CancelledError pass, and never blocks the event loop.
        """
        ...
