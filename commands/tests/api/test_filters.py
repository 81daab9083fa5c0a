"""Filters and order of the list of commands."""

import pytest
from django.contrib.auth.models import User

from commands.events import iso
from commands.models import Status
from commands.tests.api.listing import COMMANDS, HOUR, NOON, complaints, listed, make_command
from conftest import api, make_vehicle, submit
from vehicles.models import Vehicle


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("vehicle_id={late_vehicle}", "late"),
        ("vehicle_id=00000000-0000-0000-0000-000000000000", ""),
        ("status=failed", "late"),
        ("status=expired", ""),
        ("error_code=vehicle_refused", "late"),
        ("error_code=expired", ""),
        ("error_code=", "late early"),
        ("command_name=ClearDTC", "late"),
        ("command_name=Clear", ""),
        ("submitted_by=stranger", "late"),
        ("submitted_by=nobody", ""),
        ("submitted_after=2026-03-01T12:00:00Z", "late"),
        ("submitted_after=2026-03-01T11:59:59.999999Z", "late early"),
        ("submitted_after=2026-03-01T13:59:59%2B02:00", "late early"),
        ("submitted_before=2026-03-01T13:00:00Z", "early"),
        ("submitted_before=2026-03-01T13:00:00.000001Z", "late early"),
        ("submitted_before=", "late early"),
    ],
)
def test_each_filter_finds_its_commands(
    operator: User, stranger: User, viewer: User, query: str, finds: str
) -> None:
    vehicle = make_vehicle(2)
    fields = {
        "command_name": "ClearDTC",
        "status": Status.FAILED,
        "error_code": "vehicle_refused",
    }
    rows = {
        "early": make_command(operator, make_vehicle(1)),
        "late": make_command(stranger, vehicle, NOON + HOUR, **fields),
    }
    found = listed(viewer, query.format(late_vehicle=vehicle.pk))
    assert found == [str(rows[row].pk) for row in finds.split()]


def test_filters_are_joined(operator: User, viewer: User, vehicle: Vehicle) -> None:
    make_command(operator, vehicle, status=Status.FAILED)
    make_command(operator, vehicle, command_name="ClearDTC")
    both = make_command(operator, vehicle, command_name="ClearDTC", status=Status.FAILED)
    assert listed(viewer, "status=failed&command_name=ClearDTC") == [str(both.pk)]


def test_the_newest_command_is_first_unless_asked_otherwise(
    operator: User, vehicle: Vehicle
) -> None:
    by_age = [str(make_command(operator, vehicle, NOON - n * HOUR).pk) for n in range(3)]
    assert listed(operator) == by_age
    assert listed(operator, "ordering=-submitted_at") == by_age
    assert listed(operator, "ordering=submitted_at") == by_age[::-1]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("vehicle_id", "car", "valid UUID"),
        ("status", "done", "not one of the available choices"),
        ("error_code", "lost", "not one of the available choices"),
        ("command_name", "x" * 65, "at most 64"),
        ("submitted_by", "x" * 151, "at most 150"),
        ("submitted_after", "yesterday", "valid date"),
        ("submitted_before", "2026-02-30T12:00:00Z", "valid date"),
        ("submitted_after", "1969-12-31T23:59:59Z", "between the years 1970 and 9000"),
        ("submitted_before", "9999-12-31T23:59:59Z", "between the years 1970 and 9000"),
        ("ordering", "status", "-submitted_at, submitted_at"),
        ("ordering", "", "-submitted_at, submitted_at"),
        ("page_size", "0", "between 1 and 500"),
        ("page_size", "501", "between 1 and 500"),
        ("page_size", "-1", "between 1 and 500"),
        ("page_size", "many", "between 1 and 500"),
        ("page_size", "", "between 1 and 500"),
        ("cursor", "page-two", "Use the addresses in `next` and `previous`"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    operator: User, name: str, value: str, says: str
) -> None:
    fields = complaints(api(operator).get(COMMANDS, {name: value}))
    assert fields.keys() == {name}
    assert says in fields[name][0]


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["submitted_after", "submitted_before"])
def test_a_row_is_neither_after_nor_before_itself(
    operator: User, vehicle: Vehicle, name: str
) -> None:
    for command in (submit(operator, vehicle), make_command(operator, vehicle)):
        found = listed(operator, f"{name}={iso(command.submitted_at)}")
        assert str(command.pk) not in found
