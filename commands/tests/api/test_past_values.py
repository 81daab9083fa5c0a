"""The values that an identifier had in earlier reads of a vehicle."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands.models import Command
from commands.results import past_values
from commands.tests.vehicle_responses import carry_out
from conftest import api, make_vehicle, submit
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded

ReadDataByID: dict[str, Any] = {
    "command_name": "ReadDataByID",
    "command_params": {"ecuAddress": "0x10", "dataId": "0x010C"},
}
SPEED = {"ecu_address": "0x10", "data_id": "0x010C"}


def read(user: User, vehicle: Vehicle, value: Any, **params: str) -> Command:
    asked = ReadDataByID["command_params"] | params
    submit(user, vehicle, ReadDataByID | {"command_params": asked})
    response = {"type": "data", "name": "Engine speed", "value": value, "unit": "rpm"}
    return carry_out(final=response)


def get(user: User, vehicle: Vehicle, **query: str) -> Any:
    return api(user).get(f"/api/v1/vehicles/{vehicle.pk}/values/", SPEED | query)


def found(user: User, vehicle: Vehicle, **query: str) -> list[dict[str, Any]]:
    response = get(user, vehicle, **query)
    assert response.status_code == 200, response.content
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def numbers(results: list[dict[str, Any]]) -> list[Any]:
    return [value["number"] for each in results for value in each["values"]]


def test_the_values_of_one_identifier_come_newest_first(operator: User, vehicle: Vehicle) -> None:
    first = read(operator, vehicle, 800)
    read(operator, vehicle, 90, dataId="0x0105")
    read(operator, vehicle, 7, ecuAddress="0x20")
    read(operator, make_vehicle(102), 9)
    read(operator, vehicle, 1400.5)
    results = found(operator, vehicle)
    assert numbers(results) == [1400.5, 800]
    first.refresh_from_db()
    assert results[1] == {
        "command_id": str(first.pk),
        "at": results[1]["at"],
        "values": [{"name": "Engine speed", "unit": "rpm", "number": 800.0, "text": "800"}],
    }
    assert results[1]["at"][:19] == f"{first.completed_at:%Y-%m-%dT%H:%M:%S}"


def test_a_number_in_another_spelling_is_the_same_identifier(
    operator: User, vehicle: Vehicle
) -> None:
    read(operator, vehicle, 800, ecuAddress="0x0010", dataId="0x010c")
    assert numbers(found(operator, vehicle)) == [800]


def test_the_values_of_other_users_are_shown_to_those_who_see_all(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    read(stranger, vehicle, 1)
    read(operator, vehicle, 2)
    assert numbers(found(operator, vehicle)) == [2]
    assert numbers(found(viewer, vehicle)) == [2, 1]


def test_an_identifier_with_several_values_has_each_with_its_unit(
    operator: User, vehicle: Vehicle
) -> None:
    submit(operator, vehicle, ReadDataByID)
    value = {"speed": 800, "state": "idle", "flags": [1]}
    carry_out(final={"type": "data", "name": "Engine", "value": value, "units": {"speed": "rpm"}})
    (result,) = found(operator, vehicle)
    assert [tuple(part.values()) for part in result["values"]] == [
        ("Engine flags", "", None, "[1]"),
        ("Engine speed", "rpm", 800.0, "800"),
        ("Engine state", "", None, "idle"),
    ]


@pytest.mark.parametrize("value", [True, 1e300, "12"])
def test_what_is_no_number_or_a_huge_one_is_a_text(
    operator: User, vehicle: Vehicle, value: Any
) -> None:
    read(operator, vehicle, value)
    assert numbers(found(operator, vehicle)) == [None]


def test_a_response_without_a_value_is_left_out(operator: User, vehicle: Vehicle) -> None:
    submit(operator, vehicle, ReadDataByID)
    carry_out(final={"type": "something else", "value": 3})
    read(operator, vehicle, "x" * 5_000)
    assert found(operator, vehicle) == []


@pytest.mark.parametrize(
    ("field", "text"),
    [("data_id", ""), ("data_id", "010C"), ("data_id", "0x010"), ("ecu_address", "10")],
)
def test_a_wrong_number_is_refused(operator: User, vehicle: Vehicle, field: str, text: str) -> None:
    response = get(operator, vehicle, **{field: text})
    assert response.status_code == 400
    assert field in response.json()["fields"]


def test_the_newest_values_are_kept_when_there_are_too_many(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (1, 2, 3):
        read(operator, vehicle, value)
    monkeypatch.setattr(past_values, "MAX_FOUND", 2)
    assert numbers(found(operator, vehicle)) == [3, 2]
    monkeypatch.setattr(past_values, "MAX_READS", 1)
    assert numbers(found(operator, vehicle)) == [3]


def test_the_number_of_statements_is_fixed(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, 1)
    with CaptureQueriesContext(connection) as one:
        found(operator, vehicle)
    read(operator, vehicle, 2)
    with CaptureQueriesContext(connection) as two:
        found(operator, vehicle)
    assert len(one) == len(two)
