"""Commands that expire."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from commands import lifecycle
from commands.models import Command, Event
from commands.tests.lifecycle.rows import HOUR, put, told
from conftest import claim_one, mark_seen, row, submit
from vehicles.models import Vehicle


@pytest.mark.embedded
def test_an_expired_command_is_never_claimed_and_is_swept(command: Command) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    mark_seen()
    assert lifecycle.claim(10) == []
    lifecycle.sweep()
    row = Command.objects.get()
    assert (row.status, row.error_code, row.started_at) == ("expired", "expired", None)
    assert told(row) == ["pending", "expired"]


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("is_connected", "reason"),
    [(True, "no worker was free"), (False, "the vehicle was not connected")],
)
def test_an_expired_command_names_who_was_missing(
    command: Command, vehicle: Vehicle, is_connected: bool, reason: str
) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    if is_connected:
        mark_seen()
    lifecycle.sweep()
    assert reason in row(command).error_message


def test_many_expired_commands_end_in_one_turn_after_lapsed_leases(
    operator: User, vehicle: Vehicle
) -> None:
    """Lapsed leases do not wait behind many expired commands."""
    claimed = submit(operator, vehicle)
    put(claim_one(), lease_expires_at=timezone.now() - HOUR)
    Command.objects.bulk_create(
        Command(vehicle=vehicle, submitted_by=operator, expires_at=timezone.now() - HOUR)
        for _ in range(1_500)
    )
    lifecycle.sweep()
    assert row(claimed).status == "pending"
    assert Command.objects.filter(status="expired").count() == 1_500
    assert Event.objects.filter(kind="error", payload__status="expired").count() == 1_500


def test_an_expired_command_does_not_hold_up_the_next(
    command: Command, operator: User, vehicle: Vehicle
) -> None:
    put(command, expires_at=timezone.now() - HOUR)
    second = submit(operator, vehicle)
    assert claim_one() == second


def test_a_claimed_command_does_not_expire(command: Command) -> None:
    claim_one()
    put(command, expires_at=timezone.now() - HOUR)
    assert lifecycle.expire_overdue() == 0
    assert row(command).status == "in_progress"
