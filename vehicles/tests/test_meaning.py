"""Values, names and texts by a description, as the library that imports it reads them itself."""

from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from odxtools.database import Database

from conftest import make_vehicle
from vehicles.descriptions import importing, meaning, storage
from vehicles.descriptions.meaning import Meaning
from vehicles.descriptions.models import Description, Kind
from vehicles.models import Ecu
from vehicles.tests import pdx

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded]

ANSWERS = {
    0xD001: "7B",
    0xD002: "0CB2",
    0xD003: "64",
    0xD004: "F6FF",
    0xF190: b"1M8GDM9AXKP042788".hex(),
    0xD005: b"first\0the rest".hex(),
    0xD006: "3F800000",
    0xD007: "DEADBEEF",
    0xD008: "2026",
    0xD009: "61780CB2",
    0xD010: "28",
}


@pytest.fixture(scope="module")
def library() -> Any:
    """Return the layer ENGINE_V2 as odxtools sees it."""
    database = Database(use_weakrefs=False)
    database.add_pdx_file(BytesIO(pdx.pdx()))
    database.refresh()
    return database.ecu_variants[0]


@pytest.fixture
def ecu() -> Ecu:
    description = storage.add("engine.pdx", [pdx.pdx()])
    importing.import_next()
    return Ecu.objects.create(
        vehicle=make_vehicle(), address="0x10", description=description, variant="ENGINE_V2"
    )


def attached(ecu: Ecu) -> Meaning:
    meaning.attach([ecu])
    return ecu.meaning


def by_library(layer: Any, data_id: int, raw: str) -> Any:
    """Return what the library reads: the value of the only parameter, or all by their names."""
    head = bytes([0x62, *data_id.to_bytes(2)])
    (service,) = [
        each
        for each in layer.services
        if bytes(each.request.coded_const_prefix()) == bytes([0x22, *head[1:]])
    ]
    found = service.positive_responses[0].decode(head + bytes.fromhex(raw))
    values = {name: shown(value) for name, value in found.items() if not name.startswith("byte")}
    return values if len(values) > 1 else next(iter(values.values()))


def shown(value: Any) -> Any:
    return bytes(value).hex().upper() if isinstance(value, bytes | bytearray) else value


def test_ten_answers_have_the_values_that_the_library_reads(ecu: Ecu, library: Any) -> None:
    known = attached(ecu)
    for data_id, raw in ANSWERS.items():
        answer = {"type": "data", "dataId": f"0x{data_id:04X}", "value": "?", "raw": raw.upper()}
        read = known.read(answer)
        assert read["value"] == by_library(library, data_id, raw), f"{data_id:04X}"
        assert read["raw"] == raw.upper()


def test_names_units_and_tables_are_those_of_the_file(ecu: Ecu) -> None:
    known = attached(ecu)

    def read(data_id: int) -> dict[str, Any]:
        return known.read({"type": "data", "dataId": f"0x{data_id:04X}", "raw": ANSWERS[data_id]})

    speed = read(0xD002)
    assert (speed["name"], speed["value"], speed["unit"]) == ("Engine speed", 812.5, "1/min")
    status = read(0xD009)
    assert status["value"] == {"gear": "Forward", "running": "on", "coolant": 80, "speed": 812.5}
    assert status["units"] == {"coolant": "°C", "speed": "1/min"}


def test_what_is_not_as_described_stays_as_it_was(ecu: Ecu) -> None:
    known = attached(ecu)
    short = {"type": "data", "dataId": "0xD002", "name": "", "value": "0C", "unit": "", "raw": "0C"}
    assert known.read(short) == short | {"name": "Engine speed"}
    unknown = {"type": "data", "dataId": "0xAAAA", "value": "01", "raw": "01"}
    assert known.read(unknown) == unknown
    outside = {"type": "data", "dataId": "0xD003", "value": "C9", "raw": "C9"}
    assert known.read(outside)["value"] == "C9"  # the scale ends at 200


def test_codes_match_by_their_three_bytes(ecu: Ecu) -> None:
    known = attached(ecu)
    named = {"type": "dtc", "dtcCode": "P0420-00", "dtcRaw": "042000", "description": ""}
    assert known.read(named)["description"] == "Catalyst efficiency too low"
    other = {"type": "dtc", "dtcCode": "P0420-13", "dtcRaw": "042013", "description": "?"}
    assert known.read(other) == other
    scan = {"type": "ecu", "dtcs": [named, other]}
    texts = [code["description"] for code in known.read(scan)["dtcs"]]
    assert texts == ["Catalyst efficiency too low", "?"]


def test_a_snapshot_and_a_routine_have_names(ecu: Ecu) -> None:
    known = attached(ecu)
    assert known.length_of(0xD002) == 2
    assert known.length_of(0xD005) is None
    entry = {"dataId": "0xD001", "name": "", "value": "7B", "unit": "", "raw": "7B"}
    snapshot = {"type": "snapshot", "dtcCode": "P0420-00", "dtcRaw": "042000", "data": [entry]}
    (found,) = known.read(snapshot)["data"]
    assert (found["name"], found["value"], found["unit"]) == ("Coolant temperature", 83, "°C")
    routine = {"type": "routine", "routineId": "0x0203", "raw": ""}
    assert known.read(routine)["name"] == "Self-test"


def test_a_description_is_read_from_the_database_once(ecu: Ecu) -> None:
    attached(ecu)
    with CaptureQueriesContext(connection) as queries:
        attached(Ecu.objects.get(pk=ecu.pk)).read({"type": "data", "dataId": "0xD001", "raw": "7B"})
    assert len(queries) == 1  # the ECU itself


def test_the_variant_of_an_ecu_that_names_none_is_the_base(ecu: Ecu) -> None:
    ecu.variant = ""
    known = attached(ecu)
    assert known.name_of(Kind.DATA, 0xD001) == "Coolant temperature"
    assert known.name_of(Kind.DATA, 0xD010) == ""
    assert Description.objects.count() == 1
