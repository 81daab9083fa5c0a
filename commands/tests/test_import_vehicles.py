"""Vehicles from a CSV file, by `manage.py import_vehicles`."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from commands.models import AuditEntry
from conftest import make_vehicle, meanwhile
from vehicles.models import Vehicle

VIN = "1HGCM82633A00435{}"
ONE, TWO, THREE = (VIN.format(digit) for digit in "123")
HEADER = "vin,make,model,year,connector,settings.host,settings.port,settings.check_vin\n"

pytestmark = pytest.mark.usefixtures("transactional_db")


def load(tmp_path: Path, text: str | bytes, *options: str) -> tuple[str, str, str]:
    """Return the output, the reported lines, and the error that ended the import."""
    file = tmp_path / "vehicles.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    out, err = StringIO(), StringIO()
    try:
        call_command("import_vehicles", str(file), *options, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), str(error)
    return out.getvalue(), err.getvalue(), ""


def refused(tmp_path: Path, text: str | bytes, *options: str) -> str:
    """Return all that a refused file gets told; nothing is imported."""
    before = list(Vehicle.objects.values())
    out, lines, error = load(tmp_path, text, *options)
    assert error
    assert not out
    assert list(Vehicle.objects.values()) == before
    assert not AuditEntry.objects.exists()
    return lines + error


def rows() -> list[tuple[Any, ...]]:
    fields = ("vin", "make", "model", "year", "connector", "connector_settings")
    return list(Vehicle.objects.values_list(*fields))


@pytest.mark.embedded
def test_rows_become_vehicles_with_settings_by_the_schema(tmp_path: Path) -> None:
    text = f"""{HEADER}{ONE},Honda,Accord,2003,doip,192.0.2.10,13401,FALSE
{TWO},,,,,,,
{THREE},Škoda,"Octavia, Combi",2020,mock,,,
"""
    assert load(tmp_path, text) == ("Added 3, changed 0, left 0 as they were.\n", "", "")
    settings = {"host": "192.0.2.10", "port": 13401, "check_vin": False}
    assert rows() == [
        (ONE, "Honda", "Accord", 2003, "doip", settings),
        (TWO, "", "", None, "mock", {}),
        (THREE, "Škoda", "Octavia, Combi", 2020, "mock", {}),
    ]
    assert {vehicle.connection_status for vehicle in Vehicle.objects.all()} == {"disconnected"}


@pytest.mark.embedded
def test_tags_are_words_in_a_cell(tmp_path: Path) -> None:
    load(tmp_path, f"vin,tags\n{ONE},North  winter\n{TWO},\n{THREE},b\n")
    assert [vehicle.tags for vehicle in Vehicle.objects.all()] == [["north", "winter"], [], ["b"]]
    text = f"vin,tags\n{ONE},\n{TWO},\n{THREE},b\n"
    told = load(tmp_path, text, "--update")
    assert told == ("Added 0, changed 1, left 2 as they were.\n", "", "")
    assert [vehicle.tags for vehicle in Vehicle.objects.all()] == [[], [], ["b"]]
    assert "tags: A tag has 1 to 32" in load(tmp_path, f"vin,tags\n{ONE},a%b\n", "--update")[1]


SOVD_ROW = f"""vin,connector,settings.url,settings.token,settings.data_ids
{ONE},sovd,https://192.0.2.10/sovd,s3cret,"{{""0xF190"": ""vin""}}"
"""


def test_objects_and_secrets_of_sovd_vehicles_are_read_from_cells(tmp_path: Path) -> None:
    assert load(tmp_path, SOVD_ROW) == ("Added 1, changed 0, left 0 as they were.\n", "", "")
    settings = {"url": "https://192.0.2.10/sovd", "data_ids": {"0xF190": "vin"}}
    assert rows() == [(ONE, "", "", None, "sovd", settings)]
    assert Vehicle.objects.get().connector_secrets == {"token": "s3cret"}


def test_a_cell_that_is_no_object_is_refused_without_the_secrets(tmp_path: Path) -> None:
    told = refused(tmp_path, SOVD_ROW.replace('""vin""', "vin"))
    assert "settings.data_ids: Not valid" in told
    assert "s3cret" not in told


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffvin,make\n{ONE},Honda\n",
        f"vin,make\r\n{ONE},Honda\r\n",
        f"make, vin \nHonda,  {ONE.lower()} ",
        f'"vin","make"\n\n"{ONE[:5]} {ONE[5:]}","Honda"\n\n',
    ],
)
def test_files_are_read_as_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text)[2] == ""
    assert [row[:2] for row in rows()] == [(ONE, "Honda")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column vin is missing"),
        ("make,model\n", "column vin is missing"),
        (f"vin;make\n{ONE};Honda\n", "separated by semicolons"),
        (f"vin\tmake\n{ONE}\tHonda\n", "separated by tabs"),
        ("vin,colour\n", "column 'colour' is not known"),
        ("vin,settings.\n", "column 'settings.' is not known"),
        ("vin,vin\n", "column 'vin' comes twice"),
        ("vin,\n", "column '' is not known"),
        ("vin,make\n".encode("utf-16"), "not UTF-8"),
        (f"vin,make\n{ONE},Sk\xf6da\n".encode("latin-1"), "not UTF-8"),
        (f'vin,make\n{ONE},"Honda\n', "Line 2 is not CSV"),
        (f"vin,make\n{ONE},{'x' * 200_000}\n", "Line 2 is not CSV"),
        ("x" * 200_000, "Line 1 is not CSV"),
        ("\x00" * 100, "is not known"),
        (f"vin,make\n{ONE},a\x00b\n", "Line 2: it contains a NUL character"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_another_file_is_refused_as_a_whole(tmp_path: Path, text: str | bytes, words: str) -> None:
    told = refused(tmp_path, text)
    assert words in told
    assert len(told) < 1_000


def test_every_wrong_row_is_told_with_its_line_and_nothing_is_imported(tmp_path: Path) -> None:
    make_vehicle(1)
    text = f"""{HEADER}{ONE},Honda,Accord,2003,mock,,,
{ONE.lower()},,,,,,,
,,,,,,,

IHGCM82633A004352,Honda,,soon,,,,
{TWO},{"x" * 101},,99999,pigeon,,,
"{THREE}","two
lines",,,doip,,70000,maybe
1HGCM82623A000001,,,,,,,
{VIN.format(4)},Honda
{VIN.format(5)},,,,mock,192.0.2.1,,
"""
    lines = refused(tmp_path, text).splitlines()
    told = {line.split(":")[0]: line for line in lines}
    expected = {
        "Line 3": ["in line 2 already"],
        "Line 4": ["vin: This field cannot be blank"],
        "Line 6": ["vin: A VIN has 17", "year: "],
        "Line 7": ["make: ", "year: ", "connector: unknown"],
        "Line 8": ["settings.host: Required", "settings.port: ", "settings.check_vin: "],
        "Line 10": ["there is a vehicle 1HGCM82623A000001 already; --update changes it"],
        "Line 11": ["it has 2 cells, and the header has 8"],
        "Line 12": ["settings.host: Unknown setting"],
        "8 rows are wrong. Nothing was imported.": [],
    }
    assert told.keys() == expected.keys()
    for line, words in expected.items():
        assert all(each in told[line] for each in words), told[line]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "1e400"), ("port", "NaN"), ("port", "007"), ("port", "[1]"), ("port", "9" * 5000),
        ("response_timeout", "NaN"), ("response_timeout", "2,5"), ("check_vin", "yes"),
        ("source_address", "3584"), ("speed", "1"),
    ],
)  # fmt: skip
def test_a_setting_that_its_schema_does_not_allow_is_told(
    tmp_path: Path, name: str, value: str
) -> None:
    text = f'vin,connector,settings.host,settings.{name}\n{ONE},doip,a,"{value}"\n'
    assert f"Line 2: settings.{name}: " in refused(tmp_path, text)


def test_a_terminal_obeys_nothing_from_the_file(tmp_path: Path) -> None:
    told = refused(tmp_path, f"vin,year\n{ONE},\x1b[2J\x1b]0;owned\x07\n")
    assert "\x1b" not in told
    assert "\x07" not in told


# --- With --update


@pytest.mark.embedded
def test_an_update_changes_what_has_a_column_and_adds_what_is_new(tmp_path: Path) -> None:
    settings = {"host": "192.0.2.10", "port": 13401, "check_vin": False}
    about: dict[str, Any] = {"connector": "doip", "connector_settings": settings}
    Vehicle.objects.create(vin=ONE, make="Honda", model="Accord", year=2003, **about)
    Vehicle.objects.create(vin=TWO, make="Ford")
    text = f"vin,model,settings.port\n{ONE},Civic,13402\n{TWO},,\n{THREE},Golf,\n"
    assert load(tmp_path, text, "--update")[0] == "Added 1, changed 1, left 1 as they were.\n"
    assert rows() == [
        (ONE, "Honda", "Civic", 2003, "doip", settings | {"port": 13402}),
        (TWO, "Ford", "", None, "mock", {}),
        (THREE, "", "Golf", None, "mock", {}),
    ]


def test_an_empty_cell_of_an_update_removes_the_value(tmp_path: Path) -> None:
    settings = {"host": "192.0.2.10", "port": 13401}
    about: dict[str, Any] = {"connector": "doip", "connector_settings": settings}
    Vehicle.objects.create(vin=ONE, make="Honda", year=2003, **about)
    load(tmp_path, f"vin,make,year,connector,settings.port\n{ONE},,,,\n", "--update")
    assert rows() == [(ONE, "", "", None, "doip", {"host": "192.0.2.10"})]


def test_another_connector_begins_without_the_settings_of_the_earlier_one(tmp_path: Path) -> None:
    Vehicle.objects.create(vin=ONE, connector_settings={"online": False})
    text = f"vin,connector,settings.host\n{ONE},doip,192.0.2.10\n"
    assert load(tmp_path, text, "--update")[2] == ""
    assert rows()[0][4:] == ("doip", {"host": "192.0.2.10"})


def test_an_update_with_other_settings_makes_a_probe_due(tmp_path: Path) -> None:
    moved, kept = make_vehicle(1), make_vehicle(2)
    text = f"vin,make,settings.online\n{moved.vin},Honda,false\n{kept.vin},Ford,true\n"
    load(tmp_path, text, "--update")
    status = dict(Vehicle.objects.values_list("vin", "connection_status"))
    assert status == {moved.vin: "disconnected", kept.vin: "connected"}


# --- Around it


def test_an_import_is_in_the_audit(tmp_path: Path) -> None:
    known = make_vehicle(1)
    load(tmp_path, f"vin,make\n{ONE},Honda\n{known.vin},Ford\n", "--update")
    entries = AuditEntry.objects.order_by("pk")
    assert [(entry.username, entry.action, entry.details) for entry in entries] == [
        ("manage.py import_vehicles", "add_vehicle", {"vin": ONE, "fields": ["vin", "make"]}),
        ("manage.py import_vehicles", "change_vehicle", {"vin": known.vin, "fields": ["make"]}),
    ]
    added = Vehicle.objects.get(vin=ONE)
    assert {entry.subject for entry in entries} == {str(added.pk), str(known.pk)}


def test_a_vehicle_that_somebody_adds_meanwhile_ends_the_import(
    tmp_path: Path, operator: User
) -> None:
    with meanwhile("FOR UPDATE", lambda: Vehicle.objects.create(vin=TWO)):
        _, _, error = load(tmp_path, f"vin\n{ONE}\n{TWO}\n")
    assert "was added meanwhile" in error
    assert [row[0] for row in rows()] == [TWO]


def test_a_file_of_many_pages_is_imported_or_refused_as_one(tmp_path: Path) -> None:
    many = "".join(f"1HGCM82623A{number:06}\n" for number in range(2_500))
    assert "Line 2502: vin" in refused(tmp_path, f"vin\n{many}wrong\n")
    assert load(tmp_path, f"vin\n{many}")[0] == "Added 2500, changed 0, left 0 as they were.\n"


@pytest.mark.parametrize("name", ["missing.csv", ""])
def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_vehicles", str(tmp_path / name))
