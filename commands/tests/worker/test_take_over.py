"""Commands that a lost worker had sent, taken over to be read back."""

from collections.abc import Callable
from copy import copy
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from commands import lifecycle
from commands.metrics import counters
from commands.models import MAX_LOST_WORKERS, Command
from conftest import ClearDTC, make_vehicle, mark_seen, row, submit
from vehicles.models import Vehicle

REFUSE_EVENTS_OF = """
CREATE OR REPLACE FUNCTION refuse_events() RETURNS trigger AS $$ BEGIN
  RAISE 'gone' USING ERRCODE = 'admin_shutdown';
END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse_events BEFORE INSERT ON commands_event FOR EACH ROW
  WHEN (NEW.command_id = '{}') EXECUTE FUNCTION refuse_events();
"""


def lose_after_sending(
    operator: User, *vehicles: Vehicle, change: Callable[[], object] = bool
) -> list[Command]:
    for vehicle in vehicles:
        submit(operator, vehicle, ClearDTC)
    mark_seen()
    Vehicle.objects.update(connector="doip")
    claimed = lifecycle.claim(len(vehicles))
    change()
    for command in claimed:
        lifecycle.mark_sent(command)
    Command.objects.update(lease_expires_at=claimed[0].submitted_at)
    return claimed


def test_a_failed_take_over_does_not_lose_those_that_were_taken_over(operator: User) -> None:
    first, second = lose_after_sending(operator, make_vehicle(1), make_vehicle(2))
    with connection.cursor() as cursor:
        cursor.execute(REFUSE_EVENTS_OF.format(second.pk))
        taken = lifecycle.take_over(10)
        cursor.execute("DROP TRIGGER refuse_events ON commands_event")
    assert taken == [first]
    assert lifecycle.take_over(10) == [second]


@pytest.mark.parametrize(
    "change",
    [
        lambda vehicle: Vehicle.objects.update(connector_settings={"host": "192.0.2.1"}),
        lambda vehicle: vehicle.ecus.create(address="0x10", logical_address="0x1011"),
    ],
    ids=["settings", "ECUs"],
)
@pytest.mark.parametrize("is_sent", [True, False], ids=["after it was sent", "after the claim"])
def test_a_command_of_a_vehicle_that_was_changed_since_is_not_read_back(
    operator: User, change: Callable[[Vehicle], object], is_sent: bool
) -> None:
    """Another ECU would answer, and could prove what was not done."""
    vehicle = make_vehicle(1)
    changed = partial(change, vehicle)
    (command,) = lose_after_sending(operator, vehicle, change=bool if is_sent else changed)
    if is_sent:
        changed()
    assert lifecycle.take_over(10) == []
    command.refresh_from_db()
    assert (command.status, command.error_code) == ("failed", "outcome_unknown")
    assert "settings or ECUs were changed" in command.error_message


def test_a_command_is_taken_over_until_it_has_cost_three_workers(operator: User) -> None:
    (command,) = lose_after_sending(operator, make_vehicle(1))
    for _ in range(2):
        assert lifecycle.take_over(10) == [command]
        Command.objects.update(lease_expires_at=command.submitted_at)
    assert lifecycle.take_over(10) == []
    command.refresh_from_db()
    assert (command.status, command.error_code) == ("failed", "outcome_unknown")


def test_a_worker_that_shuts_down_and_leaves_a_sent_command_is_not_lost(operator: User) -> None:
    """However often it is left: no worker was lost that the command could have cost."""
    (left,) = lose_after_sending(operator, make_vehicle(1))
    Command.objects.update(lease_expires_at=Now() + timedelta(minutes=1))
    taken_over = counters.leases_taken_over._value.get()
    for _ in range(MAX_LOST_WORKERS):
        lifecycle.release(left)
        (left,) = lifecycle.take_over(10)
    assert (row(left).status, row(left).lost_workers) == ("in_progress", 0)
    assert counters.leases_taken_over._value.get() == taken_over


def test_a_worker_that_has_left_a_command_can_write_nothing_more(operator: User) -> None:
    (left,) = lose_after_sending(operator, make_vehicle(1))
    Command.objects.update(lease_expires_at=Now() + timedelta(minutes=1))
    holder = copy(left)
    lifecycle.release(left)
    with pytest.raises(lifecycle.LostClaim):
        lifecycle.complete(holder, {"cleared": True})
    assert row(left).status == "in_progress"
