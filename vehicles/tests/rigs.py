"""Vehicles for the conformance suite: one rig for each connector.

To add a connector, add its rig to `RIGS`: healthy vehicles by number, and the faults they can have.
"""

import asyncio
import threading
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from dev.servers import free_port
from dev.vehicle import ENGINE, NAMES, Vehicle
from vehicles.connectors.base import Connector
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.connectors.dtc import STORED, text_of
from vehicles.connectors.mock import MockConnector
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.sovd_vehicle import SovdVehicle
from vehicles.tests.targets import Target, TargetEcu, execute

CLEAR = 0x14


class Rig(Protocol):
    faults: ClassVar[frozenset[str]]

    @property
    def connector(self) -> Connector: ...

    def vehicle(self, number: int = 0) -> Target:
        """Return a healthy vehicle whose ECU 0x10 has trouble codes stored, P0420 among them."""
        ...

    def break_(self, fault: str, number: int = 0) -> None:
        """Make it fail from now on, until it is repaired."""
        ...

    def repair(self, number: int = 0) -> None: ...

    async def hang(self, number: int = 0) -> None:
        """Return once a silent vehicle was asked and hangs, while all others are healthy."""
        ...

    async def stored(self, number: int = 0) -> list[str]:
        """Return the trouble codes stored in ECU 0x10, as the vehicle itself knows them."""
        ...

    async def close(self) -> None: ...


class RealRig(Rig, Protocol):
    """Vehicles on the network, whose connections break."""

    def clears(self, number: int = 0) -> int:
        """Return how many requests to clear arrived, by the vehicle itself."""
        ...


class MockRig:
    faults: ClassVar[frozenset[str]] = frozenset({"unreachable", "malformed", "silent"})

    def __init__(self) -> None:
        self.connector = MockConnector(seed=7)

    def vehicle(self, number: int = 0) -> Target:
        return Target(vin=vin_of(number), connector="mock")

    def break_(self, fault: str, number: int = 0) -> None:
        self.connector.unreachable_rate = fault == "unreachable"
        self.connector.malformed_rate = fault == "malformed"
        self.connector.timeout_rate = fault == "silent"

    def repair(self, number: int = 0) -> None:
        self.break_("", number)

    async def hang(self, number: int = 0) -> None:
        self.repair(number)  # its command has begun and hangs already

    async def stored(self, number: int = 0) -> list[str]:
        *codes, _ = await execute(
            self.connector, self.vehicle(number), "ReadDTC", {"ecuAddress": "0x10"}
        )
        return [code.response["dtcCode"] for code in codes]

    async def close(self) -> None:
        await self.connector.close()


class FaultyVehicle(Vehicle):
    """A third-party vehicle, and a fault between its gateway and its ECUs."""

    def __init__(self, number: int) -> None:
        self.journal: list[dict[str, Any]] = []
        super().__init__(free_port(), vin_of(number), self.journal.append)
        self.fault = ""
        self.is_asked, self.is_cleared = threading.Event(), threading.Event()
        self.may_answer = threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        assert self.is_ready.wait(30)

    def answer(self, request: bytes, ecu_address: int) -> bytes | None:
        self.is_asked.set()
        is_clear = request[0] == CLEAR
        if self.fault == "cut before" or (self.fault == "cut before a clear" and is_clear):
            raise ConnectionAbortedError
        if self.fault == "silent":
            self.may_answer.wait(30)
        response = super().answer(request, ecu_address)
        if is_clear:
            self.is_cleared.set()
        if self.fault == "cut after a clear" and is_clear:
            raise ConnectionAbortedError
        if self.fault == "silent after a clear" and is_clear:
            return None
        if self.fault == "malformed" or (self.fault == "malformed clear" and is_clear):
            return b"\x00\x01\x02"
        return response

    def repair(self) -> None:
        self.fault = ""
        self.may_answer.set()

    def end(self) -> None:
        self.repair()
        self.stop()
        self.thread.join(30)


class DoipRig:
    """Vehicles that others wrote, in threads of their own (`dev/vehicle.py`)."""

    faults: ClassVar[frozenset[str]] = frozenset(
        {
            "unreachable",
            "malformed",
            "silent",
            "cut before",
            "cut before a clear",
            "cut after a clear",
            "silent after a clear",
            "malformed clear",
            "wrong vehicle",
        }
    )

    def __init__(self) -> None:
        self.connector = DoipConnector()
        self.started: dict[int, FaultyVehicle] = {}

    def _vehicle(self, number: int) -> FaultyVehicle:
        if number not in self.started:
            self.started[number] = FaultyVehicle(number)
        return self.started[number]

    def vehicle(self, number: int = 0) -> Target:
        ecus = tuple(
            TargetEcu(f"0x{address & 0xFF:02X}", name, f"0x{address:04X}")
            for address, name in NAMES.items()
        )
        settings = {"host": "127.0.0.1", "port": self._vehicle(number).port}
        return Target(vin=vin_of(number), connector_settings=settings, configured_ecus=ecus)

    def break_(self, fault: str, number: int = 0) -> None:
        vehicle = self._vehicle(number)
        if fault == "unreachable":
            vehicle.end()
        elif fault == "wrong vehicle":
            vehicle.vin = vin_of(number + 1)
        else:
            vehicle.is_asked.clear()
            vehicle.may_answer.clear()
            vehicle.fault = fault

    def repair(self, number: int = 0) -> None:
        self._vehicle(number).repair()

    async def hang(self, number: int = 0) -> None:
        assert await asyncio.to_thread(self._vehicle(number).is_asked.wait, 30)

    async def stored(self, number: int = 0) -> list[str]:
        codes = self._vehicle(number).ecus[ENGINE]._dtcs.values()
        return [text_of(code.identifier) for code in codes if code.status & STORED]

    def clears(self, number: int = 0) -> int:
        return sum(entry["request"].startswith("14") for entry in self._vehicle(number).journal)

    def clear(self, number: int = 0) -> None:
        """Clear the codes without a request from us."""
        self._vehicle(number).ecus[ENGINE].handle_request(b"\x14\xff\xff\xff")

    def is_cleared(self, number: int = 0) -> threading.Event:
        return self._vehicle(number).is_cleared

    async def close(self) -> None:
        await self.connector.close()
        for vehicle in self.started.values():
            vehicle.end()


class SovdRig:
    """SOVD servers in another dialect than the product's own (`sovd_vehicle.py`)."""

    faults: ClassVar[frozenset[str]] = DoipRig.faults

    def __init__(self) -> None:
        self.connector = SovdConnector()
        self.started: dict[int, SovdVehicle] = {}

    def _vehicle(self, number: int) -> SovdVehicle:
        if number not in self.started:
            self.started[number] = SovdVehicle(vin_of(number))
            self.started[number].peer.start()
        return self.started[number]

    def vehicle(self, number: int = 0) -> Target:
        # The row of a vehicle keeps its VIN when another one answers at its address.
        return replace(self._vehicle(number).target(), vin=vin_of(number))

    def break_(self, fault: str, number: int = 0) -> None:
        vehicle = self._vehicle(number)
        if fault == "unreachable":
            vehicle.peer.refuse()
        elif fault == "wrong vehicle":
            vehicle.vin = vin_of(number + 1)
        else:
            vehicle.is_asked.clear()
            vehicle.may_answer.clear()
            vehicle.fault = fault

    def repair(self, number: int = 0) -> None:
        self._vehicle(number).fault = ""
        self._vehicle(number).may_answer.set()

    async def hang(self, number: int = 0) -> None:
        async with asyncio.timeout(30):
            await self._vehicle(number).is_asked.wait()

    async def stored(self, number: int = 0) -> list[str]:
        return self._vehicle(number).stored()

    def clears(self, number: int = 0) -> int:
        return self._vehicle(number).arrived("DELETE")

    async def close(self) -> None:
        await self.connector.close()
        for number, vehicle in self.started.items():
            self.repair(number)
            await vehicle.peer.stop()


def vin_of(number: int) -> str:
    return f"1M8GDM9AXKP{42_788 + number:06}"


RIGS: dict[str, type[Rig]] = {"mock": MockRig, "doip": DoipRig, "sovd": SovdRig}


def rigs_with(fault: str) -> list[str]:
    return [name for name, rig in RIGS.items() if fault in rig.faults]
