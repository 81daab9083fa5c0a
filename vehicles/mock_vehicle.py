"""A mocked fleet behind the connector seam, for demos and tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Self

from django.conf import settings

from vehicles.connector import Answer, TargetVehicle, VehicleError

# In our own words: the complete lists that are free to download are not free to ship.
DTC_DESCRIPTIONS = {
    "B1234": "Body fault, meaning defined by the manufacturer",
    "C0035": "Wheel speed sensor circuit, front left",
    "C0040": "Wheel speed sensor circuit, front right",
    "C0045": "Wheel speed sensor circuit, rear left",
    "C0050": "Wheel speed sensor circuit, rear right",
    "P0113": "Intake air temperature sensor signal too high",
    "P0128": "Engine stays below thermostat temperature",
    "P0171": "Mixture too lean, bank 1",
    "P0300": "Misfire in several or changing cylinders",
    "P0301": "Misfire in cylinder 1",
    "P0420": "Catalyst system efficiency below threshold, bank 1",
    "P0442": "Small leak in the evaporative emission system",
    "P0455": "Large leak in the evaporative emission system",
    "P0500": "Vehicle speed sensor signal implausible",
    "P0562": "System voltage too low",
    "P0700": "Transmission control system reports a fault",
    "P0715": "Transmission input speed sensor circuit",
    "P0740": "Torque converter clutch circuit",
    "U0073": "Control module communication bus is off",
    "U0100": "No communication with the engine control module",
    "U0121": "No communication with the brake control module",
}

# What may be stored at first, by ECU address: the first always is, and one to three others.
DTC_CANDIDATES = {
    "0x10": ("P0420", "P0113", "P0128", "P0171", "P0300", "P0301", "P0442", "P0455", "U0121"),
    "0x18": ("P0700", "P0500", "P0715", "P0740", "U0100"),
    "0x28": ("C0035", "C0040", "C0045", "C0050", "U0100"),
    "0x40": ("B1234", "P0562", "U0073", "U0121"),
}

STATUS_BITS = (
    "testFailed",
    "testFailedThisOperationCycle",
    "pendingDTC",
    "confirmedDTC",
    "testNotCompletedSinceLastClear",
    "testFailedSinceLastClear",
    "testNotCompletedThisOperationCycle",
    "warningIndicatorRequested",
)
CONFIRMED = 0x08
# Failing now; failing with the lamp on; confirmed in an earlier cycle; pending only.
TYPICAL_STATUSES = (0x2F, 0xAF, 0x28, 0x24)

# No JSON object that can be stored, each in its own way.
MALFORMED_RESPONSES: tuple[Any, ...] = (
    ["not", "an", "object"],
    {"value": "NUL \x00"},
    {"value": "lone surrogate \ud800"},
    {"NUL \x00 in a key": 1},
    {"value": float("nan")},
    {"value": b"\x0c\xb2"},
)


@dataclass(frozen=True)
class Measurement:
    """A data identifier with a live value: raw * factor + offset, in `unit`."""

    name: str
    unit: str
    raw_bytes: int
    raw_range: tuple[int, int]
    factor: float = 1
    offset: int = 0


# A warm engine that idles in a vehicle at rest.
MEASUREMENTS = {
    "0x0105": Measurement("Coolant temperature", "°C", 1, (125, 132), offset=-40),
    "0x010C": Measurement("Engine speed", "rpm", 2, (3100, 3400), factor=0.25),
    "0x010D": Measurement("Vehicle speed", "km/h", 1, (0, 0)),
}


@dataclass
class MockedCar:
    vin: str
    stored: dict[str, dict[str, int]]
    """ECU address → trouble code → its status byte."""
    random: Random

    def happens(self, rate: float) -> bool:
        return self.random.random() < rate


class MockVehicle:
    """A connector whose one instance stands for a whole fleet: any VIN is a vehicle of its own.

    Cleared codes stay cleared in memory only: every process mocks a fleet of its own.
    """

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
        self, vehicle: TargetVehicle, command_name: str, command_params: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        car = self._car(vehicle.vin)
        await self._reach(car)
        answers = self._answers(car, command_name, command_params)
        is_final = False
        while not is_final:
            # Before the answer is made, so that a command cancelled here has changed nothing.
            await self._let_time_pass()
            answer = next(answers)
            is_final = answer.is_final
            yield answer

    def _car(self, vin: str) -> MockedCar:
        if vin not in self._cars:
            self._cars[vin] = _new_car(vin, self.seed)
        return self._cars[vin]

    async def _reach(self, car: MockedCar) -> None:
        if car.happens(self.unreachable_rate):
            raise VehicleError(
                "vehicle_unreachable",
                "The vehicle cannot be reached. Check that it is online, then send it again.",
            )
        if car.happens(self.timeout_rate):
            await asyncio.Event().wait()  # for ever: the caller's deadline ends it

    def _answers(
        self, car: MockedCar, command_name: str, command_params: Mapping[str, Any]
    ) -> Iterator[Answer]:
        if car.happens(self.malformed_rate):
            return iter([Answer(car.random.choice(MALFORMED_RESPONSES), is_final=True)])
        if command_name in SCRIPTS:
            return SCRIPTS[command_name](car, command_params)
        return _generic(command_name, command_params)

    async def _let_time_pass(self) -> None:
        if self.latency_seconds > 0:
            await asyncio.sleep(self.latency_seconds)


def _new_car(vin: str, seed: int | None) -> MockedCar:
    # A car has its own generator: how commands of different vehicles interleave changes nothing.
    faults_and_values = Random(None if seed is None else f"{seed} {vin}")  # noqa: S311
    trouble_codes = Random(f"{seed} {vin} trouble codes")  # noqa: S311
    return MockedCar(vin, _first_trouble_codes(trouble_codes), faults_and_values)


def _first_trouble_codes(random: Random) -> dict[str, dict[str, int]]:
    return {ecu: _draw(random, *candidates) for ecu, candidates in DTC_CANDIDATES.items()}


def _draw(random: Random, always: str, *others: str) -> dict[str, int]:
    codes = [always, *random.sample(others, random.randint(1, 3))]
    return {code: random.choice(TYPICAL_STATUSES) for code in codes}


def _read_dtc(car: MockedCar, params: Mapping[str, Any]) -> Iterator[Answer]:
    ecu = _hex(params["ecuAddress"])
    stored = car.stored.get(ecu, {})
    for code, status in sorted(stored.items()):
        yield Answer(_dtc(ecu, code, status))
    yield Answer({"type": "summary", "ecuAddress": ecu, "dtcCount": len(stored)}, is_final=True)


def _dtc(ecu: str, code: str, status: int) -> dict[str, Any]:
    return {
        "type": "dtc",
        "ecuAddress": ecu,
        "dtcCode": code,
        "description": DTC_DESCRIPTIONS[code],
        "status": f"0x{status:02X}",
        "statusBits": [name for bit, name in enumerate(STATUS_BITS) if status >> bit & 1],
        "confirmed": bool(status & CONFIRMED),
    }


def _clear_dtc(car: MockedCar, params: Mapping[str, Any]) -> Iterator[Answer]:
    ecu = _hex(params["ecuAddress"])
    stored = car.stored.get(ecu, {})
    cleared = {"type": "cleared", "ecuAddress": ecu}
    if "dtcCode" in params:
        yield Answer(cleared | _clear_one(stored, ecu, params["dtcCode"]), is_final=True)
    else:
        yield Answer(cleared | _clear_all(stored), is_final=True)


def _clear_one(stored: dict[str, int], ecu: str, code: str) -> dict[str, Any]:
    if code not in stored:
        raise _request_out_of_range(
            f"ECU {ecu} has no trouble code {code} stored. Read the stored codes with ReadDTC."
        )
    del stored[code]
    return {"dtcCode": code, "clearedCount": 1}


def _clear_all(stored: dict[str, int]) -> dict[str, Any]:
    count = len(stored)
    stored.clear()
    return {"clearedCount": count}


def _read_data_by_id(car: MockedCar, params: Mapping[str, Any]) -> Iterator[Answer]:
    ecu, data_id = _hex(params["ecuAddress"]), _hex(params["dataId"])
    data = _data(car, ecu, data_id)
    yield Answer({"type": "reading", "ecuAddress": ecu, "dataId": data_id})
    yield Answer({"type": "data", "dataId": data_id, **data}, is_final=True)


def _data(car: MockedCar, ecu: str, data_id: str) -> dict[str, Any]:
    if data_id in MEASUREMENTS:
        return _measured(car, MEASUREMENTS[data_id])
    identification = _identification(car, ecu)
    if data_id in identification:
        return _identified(*identification[data_id])
    raise _request_out_of_range(
        f"ECU {ecu} has no data identifier {data_id}. Check the identifier."
    )


def _measured(car: MockedCar, measurement: Measurement) -> dict[str, Any]:
    raw = car.random.randint(*measurement.raw_range)
    return {
        "name": measurement.name,
        "value": raw * measurement.factor + measurement.offset,
        "unit": measurement.unit,
        "raw": f"{raw:0{measurement.raw_bytes * 2}X}",
    }


def _identification(car: MockedCar, ecu: str) -> dict[str, tuple[str, str]]:
    """What an ECU says of itself: its name and its text, by data identifier."""
    return {
        "0xF187": ("Spare part number", f"MOCK-{ecu[2:]}-0001"),
        "0xF189": ("Software version", "1.4.2"),
        "0xF18C": ("ECU serial number", f"{ecu[2:]}{car.vin[-8:]}"),
        "0xF190": ("VIN", car.vin),
    }


def _identified(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "value": text, "unit": "", "raw": text.encode().hex().upper()}


def _generic(command_name: str, params: Mapping[str, Any]) -> Iterator[Answer]:
    response = {"type": "generic", "command_name": command_name, "params": dict(params)}
    yield Answer(response, is_final=True)


def _hex(text: str) -> str:
    """The one spelling of an address or identifier: 0xf190 is 0xF190."""
    return f"0x{text[2:].upper()}"


def _request_out_of_range(message: str) -> VehicleError:
    return VehicleError("vehicle_refused", f"NRC 0x31 requestOutOfRange: {message}")


SCRIPTS: dict[str, Callable[[MockedCar, Mapping[str, Any]], Iterator[Answer]]] = {
    "ReadDTC": _read_dtc,
    "ClearDTC": _clear_dtc,
    "ReadDataByID": _read_data_by_id,
}
