"""Claims: one command of a vehicle at a time, in order, and none twice."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connections
from django.db.models.functions import Now
from django.utils import timezone

from commands import lifecycle
from commands.models import Command, Event, Status
from commands.tests.lifecycle.rows import HOUR, another_connection, put
from conftest import claim_one, make_vehicle, mark_seen, submit
from vehicles.models import Vehicle


def test_a_locked_row_is_skipped_at_once(operator: User) -> None:
    held, free = (submit(operator, make_vehicle(n)) for n in (1, 2))
    mark_seen()
    with another_connection(lambda: Command.objects.select_for_update().get(pk=held.pk)):
        assert [command.pk for command in lifecycle.claim(10)] == [free.pk]
    assert [command.pk for command in lifecycle.claim(10)] == [held.pk]


def test_eight_claimers_claim_nothing_twice(operator: User) -> None:
    vehicles = [make_vehicle(n) for n in range(10)]
    for vehicle in vehicles * 3:
        submit(operator, vehicle)
    mark_seen()
    barrier = threading.Barrier(8)

    def claim(_: int) -> list[Any]:
        barrier.wait(10)
        claimed = [command for _ in range(5) for command in lifecycle.claim(2)]
        connections.close_all()
        return [(command.pk, command.vehicle_id) for command in claimed]

    with ThreadPoolExecutor(8) as pool:
        claims = [one for batch in pool.map(claim, range(8)) for one in batch]
    assert Counter(pk for _, pk in claims) == Counter(vehicle.pk for vehicle in vehicles)
    assert Event.objects.filter(payload__status="in_progress").count() == len(vehicles)


def test_the_database_allows_one_running_command_per_vehicle(
    claimed: Command, operator: User, vehicle: Vehicle
) -> None:
    second = submit(operator, vehicle)
    with pytest.raises(IntegrityError, match="one_running_command_per_vehicle"):
        put(second, status=Status.IN_PROGRESS)


@pytest.mark.embedded
def test_a_vehicle_gets_one_command_at_a_time_in_the_order_of_submission(
    operator: User, vehicle: Vehicle
) -> None:
    submitted = [submit(operator, vehicle).pk for _ in range(3)]
    mark_seen()
    done = []
    for _ in submitted:
        (command,) = lifecycle.claim(10)
        assert lifecycle.claim(10) == []
        lifecycle.complete(command, {})
        done.append(command.pk)
    assert done == submitted


def test_the_id_decides_between_commands_of_the_same_instant(
    operator: User, vehicle: Vehicle
) -> None:
    commands = [submit(operator, vehicle) for _ in range(5)]
    Command.objects.update(submitted_at=commands[0].submitted_at)
    order = []
    while commands:
        command = claim_one()
        lifecycle.complete(command, {})
        order.append(command.pk)
        commands.pop()
    assert order == sorted(order)


@pytest.mark.parametrize(
    "fields",
    [
        {"connection_status": "disconnected"},
        {"connection_status": "error"},
        {"last_seen_at": None},
        {"last_seen_at": timezone.now() - HOUR},
    ],
    ids=["disconnected", "error", "never seen", "not seen lately"],
)
def test_a_command_waits_for_its_vehicle(
    command: Command, vehicle: Vehicle, fields: dict[str, Any]
) -> None:
    mark_seen()
    Vehicle.objects.update(**fields)
    assert lifecycle.claim(10) == []
    Vehicle.objects.update(connection_status="connected", last_seen_at=Now())
    lifecycle.mark_ready([vehicle.pk])
    assert lifecycle.claim(10) == [command]
