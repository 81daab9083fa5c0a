"""Simulated vehicles and their memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from vehicles.connectors.base import Ecu
from vehicles.ecus import normal_address

ECU_NAMES = {
    "0x10": "Engine control",
    "0x18": "Transmission control",
    "0x28": "Brake control",
    "0x40": "Body control",
}
# Trouble codes that may be stored at first: always the first, and one to three others.
DTC_CANDIDATES = {
    "0x10": ("P0420", "P0113", "P0128", "P0171", "P0300", "P0301", "P0442", "P0455", "U0121"),
    "0x18": ("P0700", "P0500", "P0715", "P0740", "U0100"),
    "0x28": ("C0035", "C0040", "C0045", "C0050", "U0100"),
    "0x40": ("B1234", "P0562", "U0073", "U0121"),
}
# Failing now; failing with the lamp on; confirmed in an earlier cycle; pending only.
TYPICAL_STATUSES = (0x2F, 0xAF, 0x28, 0x24)


@dataclass
class MockedCar:
    """A simulated vehicle. Its ECUs are known by the numbers of their addresses."""

    vin: str
    stored: dict[int, dict[str, int]]
    """ECU → trouble code → its status byte."""
    random: Random
    written: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """ECU and data identifier → the data that was written."""
    routines: dict[tuple[int, int], bool] = field(default_factory=dict)
    """ECU and routine that was started → whether it still runs."""

    def happens(self, rate: float) -> bool:
        return self.random.random() < rate


@dataclass(frozen=True)
class MockedEcu:
    """A control unit of a simulated vehicle, under the address that its responses have."""

    car: MockedCar
    address: str
    name: str = ""

    @property
    def number(self) -> int:
        return int(self.address, 16)

    @property
    def stored(self) -> dict[str, int]:
        return self.car.stored.setdefault(self.number, {})


def find_ecu(car: MockedCar, configured: Sequence[Ecu], address: str) -> MockedEcu:
    """Return the ECU of an address in any spelling. A simulated vehicle has every ECU."""
    return MockedEcu(car, normal_address(address, [ecu.address for ecu in configured]))


def all_ecus(car: MockedCar, configured: Sequence[Ecu]) -> list[MockedEcu]:
    """Return the configured ECUs, or the four that every simulated vehicle has."""
    names = {ecu.address: ecu.name for ecu in configured} or ECU_NAMES
    return [MockedEcu(car, address, name) for address, name in names.items()]


def new_car(vin: str, seed: int | None) -> MockedCar:
    # A car has its own generator: how commands of different vehicles interleave changes nothing.
    faults_and_values = Random(None if seed is None else f"{seed} {vin}")
    trouble_codes = Random(f"{seed} {vin} trouble codes")
    return MockedCar(vin, _first_trouble_codes(trouble_codes), faults_and_values)


def _first_trouble_codes(random: Random) -> dict[int, dict[str, int]]:
    return {int(ecu, 16): _draw(random, *codes) for ecu, codes in DTC_CANDIDATES.items()}


def _draw(random: Random, always: str, *others: str) -> dict[str, int]:
    codes = [always, *random.sample(others, random.randint(1, 3))]
    return {code: random.choice(TYPICAL_STATUSES) for code in codes}
