"""No cell of an export is a formula."""

import csv
import json
from io import StringIO

import pytest
from django.contrib.auth.models import User

from commands.tests.api.exports import as_objects, as_rows, exported
from commands.tests.api.listing import make_command
from conftest import make_user
from vehicles.models import Vehicle

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://evil.example")', "\uff1d1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula(vehicle: Vehicle, text: str) -> None:
    user = make_user(text.strip(), "add_command")
    make_command(user, vehicle, error_message=text, command_name=text)
    (found,) = as_rows(user)
    assert found["error_message"] == found["command_name"] == f"'{text}"
    assert found["submitted_by"] == f"'{user.username}"
    (found,) = as_objects(user)
    assert (found["error_message"], found["submitted_by"]) == (text, user.username)


@pytest.mark.parametrize("text", ["\tx", "\rx"])
def test_a_cell_does_not_begin_with_a_tab(operator: User, vehicle: Vehicle, text: str) -> None:
    make_command(operator, vehicle, error_message=text)
    assert as_rows(operator)[0]["error_message"] == f"'{text}"


COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
HIDDEN = [
    "a;=1",
    "a\t+1",
    "a\n-1",
    "a\r\n@A1",
    "a; =1",
    'a;"=1"',
    'a,";" =1',
    '"a;""=1',
    "a;\uff1d1",
    ";;=1",
    "\t=1",
    "\r=1",
    'a;\xa0"" +1',
    "Refused;=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("text", [*HOSTILE, *HIDDEN])
def test_no_cell_is_a_formula_with_another_separator(
    vehicle: Vehicle, text: str, delimiter: str
) -> None:
    """Other countries use other separators, and may read our quotes as text."""
    user = make_user("operator", "add_command")
    params = {text: [text, {"a;": -1}, ";", -1]}
    make_command(user, vehicle, error_message=text, command_params=params)
    file = exported(user)
    cells = [
        cell
        for line in csv.reader(StringIO(file, newline=""), delimiter=delimiter)
        for cell in line
    ]
    assert not [cell for cell in cells if cell.strip(' \xa0"').startswith(COMPUTED)]
    if delimiter != ",":
        cells = [cell for line in file.splitlines() for cell in line.split(delimiter)]
        assert not [cell for cell in cells if cell.strip(' \xa0"').startswith(COMPUTED)]
    (found,) = csv.DictReader(StringIO(file, newline=""))
    assert found["error_message"].replace("'", "") == text.replace("'", "")
    assert json.loads(found["command_params"]) == params


@pytest.mark.parametrize(
    "text", ['a"b', "a,b", "a\nb", "a\r\nb", "é\u2028ü", "</script>", "1=1", "a;b", "a;\n"]
)
def test_texts_that_are_no_formula_are_unchanged(
    operator: User, vehicle: Vehicle, text: str
) -> None:
    make_command(operator, vehicle, error_message=text)
    assert as_rows(operator)[0]["error_message"] == text
    lines = exported(operator, "format=jsonl").split("\n")
    assert [json.loads(line)["error_message"] for line in lines if line] == [text]
