"""The connector of simulated vehicles."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, ClassVar, Self

from django.conf import settings

from vehicles.connectors.base import Attempt, Probe, Response, TargetVehicle, VehicleError
from vehicles.connectors.mock import scripts
from vehicles.connectors.mock.car import ECU_NAMES, MockedCar, new_car

CHANGES_THE_VEHICLE = frozenset({"ClearDTC", "WriteDataByID", "RoutineControl", "ECUReset"})

# No JSON object that can be stored, each in its own way.
MALFORMED_RESPONSES: tuple[Any, ...] = (
    ["not", "an", "object"],
    {"value": "NUL \x00"},
    {"value": "lone surrogate \ud800"},
    {"NUL \x00 in a key": 1},
    {"value": float("nan")},
    {"value": b"\x0c\xb2"},
)


class MockConnector:
    """A connector whose one instance stands for a whole fleet: any VIN is a vehicle of its own.

    What was cleared, written or started is kept in memory only: every process simulates a fleet of
    its own.
    """

    name: ClassVar[str] = "mock"
    description: ClassVar[str] = "A simulated vehicle, for demonstrations and tests."
    command_names: ClassVar[frozenset[str]] = scripts.COMMAND_NAMES
    can_read_back: ClassVar[bool] = False
    settings_schema: ClassVar[dict[str, Any]] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "online": {
                "type": "boolean",
                "title": "Online",
                "description": "true or false: whether the vehicle can be reached.",
                "default": True,
            }
        },
        "required": [],
        "additionalProperties": False,
    }

    def __init__(
        self,
        *,
        latency_seconds: float = 0,
        timeout_rate: float = 0,
        unreachable_rate: float = 0,
        malformed_rate: float = 0,
        seed: int | None = None,
    ) -> None:
        """Rates are 0 to 1. Without a seed only faults and live values vary between runs."""
        self.latency_seconds = latency_seconds
        self.timeout_rate = timeout_rate
        self.unreachable_rate = unreachable_rate
        self.malformed_rate = malformed_rate
        self.seed = seed
        self._cars: dict[str, MockedCar] = {}

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            latency_seconds=settings.MOCK_VEHICLE_LATENCY_SECONDS,
            timeout_rate=settings.MOCK_VEHICLE_TIMEOUT_RATE,
            unreachable_rate=settings.MOCK_VEHICLE_UNREACHABLE_RATE,
            malformed_rate=settings.MOCK_VEHICLE_MALFORMED_RATE,
            seed=settings.MOCK_VEHICLE_SEED,
        )

    async def execute(
        self,
        vehicle: TargetVehicle,
        command_name: str,
        command_params: Mapping[str, Any],
        attempt: Attempt,
    ) -> AsyncIterator[Response]:
        car = self._car(vehicle.vin)
        _raise_if_unreachable(car, self.unreachable_rate)
        if command_name in CHANGES_THE_VEHICLE:
            await attempt.about_to_send()
        if car.happens(self.timeout_rate):
            await asyncio.Event().wait()  # for ever: the caller's deadline ends it
        responses = self._responses(car, vehicle, command_name, command_params)
        is_final = False
        while not is_final:
            # Before the response is made: a command that is cancelled here has changed nothing.
            await self._let_time_pass()
            response = next(responses)
            is_final = response.is_final
            yield response

    async def read_back(self, *_: Any) -> None:
        """Return None: the memory of a mock ends with its process."""

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        if vehicle.connector_settings.get("online", True):
            return Probe("connected", vin=vehicle.vin, found={"ecus": list(ECU_NAMES)})
        return Probe("disconnected", "The mock vehicle is offline: its setting `online` is false.")

    async def close(self) -> None:
        pass

    def _car(self, vin: str) -> MockedCar:
        if vin not in self._cars:
            self._cars[vin] = new_car(vin, self.seed)
        return self._cars[vin]

    def _responses(
        self, car: MockedCar, vehicle: TargetVehicle, command_name: str, params: Mapping[str, Any]
    ) -> Iterator[Response]:
        if car.happens(self.malformed_rate):
            return iter([Response(car.random.choice(MALFORMED_RESPONSES), is_final=True)])
        return scripts.responses(car, vehicle.configured_ecus, command_name, params)

    async def _let_time_pass(self) -> None:
        if self.latency_seconds > 0:
            await asyncio.sleep(self.latency_seconds)


def _raise_if_unreachable(car: MockedCar, rate: float) -> None:
    if car.happens(rate):
        raise VehicleError(
            "vehicle_unreachable",
            "The vehicle cannot be reached. Check that it is online, then send it again.",
        )
