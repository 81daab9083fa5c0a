"""Who works on a vehicle now, and what is in its line."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from commands.models import Command
from conftest import api, claim_one, make_vehicle, submit
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded


def queue(user: User, vehicle: Vehicle) -> list[dict[str, Any]]:
    response = api(user).get(f"/api/v1/vehicles/{vehicle.pk}/")
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["queue"]
    return found


def named(user: User, vehicle: Vehicle) -> list[tuple[str, str | None, str | None]]:
    return [
        (each["status"], each["command_id"], each["submitted_by"]) for each in queue(user, vehicle)
    ]


def test_the_running_command_comes_first_and_then_the_line(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    assert queue(operator, vehicle) == []
    first = submit(stranger, vehicle)
    assert claim_one() == first
    second = submit(operator, vehicle)
    third = submit(stranger, vehicle)
    submit(operator, make_vehicle(102))
    assert named(viewer, vehicle) == [
        ("in_progress", str(first.pk), "stranger"),
        ("pending", str(second.pk), "operator"),
        ("pending", str(third.pk), "stranger"),
    ]


def test_commands_of_other_users_are_counted_and_not_named(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    submit(stranger, vehicle)
    own = submit(operator, vehicle)
    assert named(operator, vehicle) == [
        ("pending", None, None),
        ("pending", str(own.pk), "operator"),
    ]
    assert queue(operator, vehicle)[0]["command_name"] is None


def test_a_command_that_may_not_be_sent_yet_is_not_in_line(
    operator: User, vehicle: Vehicle
) -> None:
    later = submit(operator, vehicle)
    tomorrow = timezone.now() + timedelta(days=1)
    Command.objects.filter(pk=later.pk).update(not_before=tomorrow)
    assert queue(operator, vehicle) == []


def test_only_the_first_ten_in_line_are_shown(operator: User, vehicle: Vehicle) -> None:
    for _ in range(11):
        submit(operator, vehicle)
    assert len(queue(operator, vehicle)) == 10
