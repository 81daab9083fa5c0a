"""A DoIP vehicle that others wrote answers as an ODX file says, and is read as odxtools reads it.

PDX_SAMPLE=FLXC1000.pdx compares a file of others, too (docs/odx.md says where it comes from).
"""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from odxtools.database import Database
from odxtools.dataobjectproperty import DataObjectProperty
from odxtools.exceptions import OdxError
from odxtools.parameters.valueparameter import ValueParameter
from odxtools.request import Request
from odxtools.variantmatcher import VariantMatcher
from uds_server import DidAccess, DidDefinition, DtcDefinition, RoutineDefinition, UdsServer

from commands.database.threads import in_thread
from commands.models import Command
from commands.tests.worker.doip_vehicles import add
from commands.worker.worker import Worker
from conftest import log_of, make_user, row, submit
from dev.vehicle import ENGINE
from vehicles.descriptions import importing, storage
from vehicles.models import Vehicle
from vehicles.tests import pdx
from vehicles.tests.rigs import DoipRig, vin_of

SAMPLE = os.environ.get("PDX_SAMPLE", "")
FILES = {"own": pdx.recognizable} | (
    {"sample": lambda: Path(SAMPLE).read_bytes()} if SAMPLE else {}
)
READ, START = b"\x22", b"\x31\x01"
MAX_BYTES = 40
ECU = {"ecuAddress": "0x10"}


class Library:
    """A file as odxtools sees it, and an ECU that answers what the file describes."""

    def __init__(self, content: bytes) -> None:
        database = Database(use_weakrefs=False)
        database.add_pdx_file(BytesIO(content))
        database.refresh()
        self._variants = list(database.ecu_variants)
        self.layer = self._variants[-1]
        found = [(_start(each.request), each) for each in self.layer.services]
        self.reads = {start[1:]: each for start, each in found if start[:1] == READ}
        self.starts = {start[2:]: each for start, each in found if start[:2] == START}
        dops = self.layer.diag_data_dictionary_spec.dtc_dops
        self.codes = {code.trouble_code: code.text.text for dop in dops for code in dop.dtcs}

    def ecu(self) -> UdsServer:
        answers = {number: self._answer(number) for number in self.reads}
        return UdsServer(
            dids=[
                DidDefinition(int.from_bytes(number), len(raw), DidAccess.READ, lambda raw=raw: raw)
                for number, raw in answers.items()
            ],
            dtcs=[DtcDefinition(code, 0x2F) for code in self.codes],
            routines=[
                RoutineDefinition(int.from_bytes(number), lambda option: b"\x01")
                for number in self.starts
            ],
        )

    def _answer(self, number: bytes) -> bytes:
        """Return bytes for an identifier that the library can read."""
        for raw in self._candidates(number):
            try:
                self.values(number, b"\x62" + number + raw)
            except (OdxError, ValueError):
                continue
            return raw
        raise AssertionError(f"Nothing was found that {number.hex()} could answer.")

    def _candidates(self, number: bytes) -> Iterator[bytes]:
        """Yield bytes to try: first those by which the variant is recognized."""
        for pattern in self.layer.ecu_variant_patterns:
            for each in pattern.matching_parameters:
                if each.diag_comm_snref == self.reads[number].short_name:
                    if each.expected_value.isdigit():
                        yield int(each.expected_value).to_bytes(3)
                    yield each.expected_value.encode()
        yield vin_of(0).encode()
        yield b"first\x00the rest"
        yield from (bytes(range(1, length + 1)) for length in range(1, MAX_BYTES))
        yield from (bytes(length) for length in range(1, MAX_BYTES))

    def values(self, number: bytes, response: bytes) -> tuple[Any, Any]:
        """Return value and unit as a response of ours has them."""
        told = self.reads[number].positive_responses[0]
        decoded = told.decode(response)
        if bytes(told.encode(READ + number, **decoded)) != response:
            raise ValueError("These are not all of its bytes.")
        shown = [each for each in told.parameters if isinstance(each, ValueParameter)]
        values = {each.short_name: _plain(decoded[each.short_name]) for each in shown}
        units = {
            each.short_name: each.dop.unit.display_name
            for each in shown
            if isinstance(each.dop, DataObjectProperty) and each.dop.unit
        }
        if len(values) == 1:
            return next(iter(values.values())), next(iter(units.values()), "")
        return values, units

    def variant(self, ecu: UdsServer) -> str:
        """Return the variant that the library recognizes."""
        matcher = VariantMatcher(self._variants, use_cache=False)
        for _, request in matcher.request_loop():
            matcher.evaluate(bytes(ecu.handle_request(request)))
        assert matcher.matching_variant is not None
        return str(matcher.matching_variant.short_name)


def _start(request: Request | None) -> bytes:
    return bytes(request.coded_const_prefix()) if request else b""


def _plain(value: Any) -> Any:
    return bytes(value).hex().upper() if isinstance(value, bytes | bytearray) else value


class Described:
    """A vehicle whose engine control is described, and a user who sends it commands."""

    def __init__(self, rig: DoipRig, user: User, vehicle: Vehicle, library: Library) -> None:
        self.library, self._rig, self._user, self._vehicle = library, rig, user, vehicle
        self.ecu = library.ecu()
        rig._vehicle(0).ecus[ENGINE] = self.ecu

    async def send(self, name: str, **params: str) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Return the responses to a command, and what the vehicle really sent."""
        body = {"command_name": name, "command_params": params}
        command = await in_thread(submit, self._user, self._vehicle, body)
        await Worker({"doip": self._rig.connector}).drain()
        assert (await in_thread(row, command)).status == "completed", name
        log = await in_thread(log_of, self._user, command)
        responses = [frame["response"] for frame in log if "response" in frame]
        return responses, await in_thread(_sent, command)

    async def matched(self) -> Any:
        ecu = await in_thread(self._vehicle.ecus.get, address="0x10")
        return ecu.matched_variant


def _sent(command: Command) -> list[bytes]:
    return [bytes.fromhex(each.response or "") for each in command.exchanges.order_by("pk")]


def _described(vehicle: Vehicle, content: bytes) -> None:
    description = storage.add("sample.pdx", [content])
    importing.import_one(description)
    vehicle.ecus.filter(address="0x10").update(description=description)


@pytest.fixture(params=FILES)
async def described(transactional_db: None, request: pytest.FixtureRequest) -> Any:
    content, rig = FILES[request.param](), DoipRig()
    vehicle = await in_thread(add, rig.vehicle())
    await in_thread(_described, vehicle, content)
    rights = ("add_command", "send_intrusive", "view_vehicle")
    user = await in_thread(make_user, "maintainer", *rights)
    yield Described(rig, user, vehicle, Library(content))
    await rig.close()


async def test_the_answers_of_a_live_vehicle_mean_what_the_library_says(
    described: Described, counts: list[str]
) -> None:
    library = described.library
    await described.send("ScanVehicle")
    for number in library.reads:  # by one of these the variant is recognized
        await described.send("ReadDataByID", **ECU, dataId=f"0x{number.hex()}")
    match = await described.matched()
    assert match["variant"] == library.variant(described.ecu)

    for number, service in library.reads.items():
        (*_, data), (*_, sent) = await described.send(
            "ReadDataByID", **ECU, dataId=f"0x{number.hex()}"
        )
        value, unit = library.values(number, sent)
        assert data["name"] == (service.long_name or service.short_name)
        assert data["value"] == value, data
        assert data.get("units", data["unit"]) == unit, data
    (*codes, _), _ = await described.send("ReadDTC", **ECU)
    assert {int(code["dtcRaw"], 16): code["description"] for code in codes} == library.codes
    for number, service in library.starts.items():
        params = ECU | {"routineId": f"0x{number.hex()}", "action": "start"}
        (*_, routine), _ = await described.send("RoutineControl", **params)
        assert routine["name"] == (service.long_name or service.short_name)
    compared = len(library.reads) + len(library.codes) + len(library.starts)
    assert compared >= 10
    counts.append(f"{compared} answers of a live vehicle, as odxtools reads them")
