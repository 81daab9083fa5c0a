"""Commands of workers that are lost, and their leases."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from commands import lifecycle
from commands.lifecycle import LostClaim
from commands.models import Command
from commands.tests.lifecycle.rows import HOUR, another_connection, put, told
from conftest import ClearDTC, ReadDTC, claim_one, log_of, make_vehicle, mark_seen, row, submit
from vehicles.models import Vehicle


@pytest.mark.embedded
def test_a_command_that_was_not_sent_by_its_lost_worker_is_pending_again(
    operator: User, vehicle: Vehicle
) -> None:
    """A command that was not sent is given to another worker, also if it is not safe to repeat."""
    command = submit(operator, vehicle, ClearDTC)
    put(claim_one(), lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    assert told(command) == ["pending", "in_progress", "pending"]
    assert claim_one() == command


def test_an_unsafe_command_that_was_sent_by_its_lost_worker_fails(
    operator: User, vehicle: Vehicle
) -> None:
    command = submit(operator, vehicle, ClearDTC)
    claimed = claim_one()
    lifecycle.mark_sent(claimed)
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    ended = row(command)
    assert (ended.status, ended.error_code) == ("failed", "worker_lost")
    assert "may or may not" in ended.error_message
    assert told(command) == ["pending", "in_progress", "failed"]
    assert lifecycle.claim(10) == []


def test_a_safe_command_that_was_sent_by_its_lost_worker_is_pending_again(
    claimed: Command, operator: User
) -> None:
    """The command is repeated, and only the responses to the last attempt count."""
    lifecycle.respond(claimed, {"n": "lost"})
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    lifecycle.complete(claim_one(), {"n": "counts"})
    frames = log_of(operator, claimed)
    assert [frame["sequence_number"] for frame in frames] == list(range(1, 8))
    counting = claimed.events.current_responses()
    assert [event.payload["response"] for event in counting] == [{"n": "counts"}]


@pytest.mark.parametrize("body", [ReadDTC, ClearDTC], ids=["ReadDTC", "ClearDTC"])
def test_a_command_that_has_cost_three_workers_goes_to_no_fourth(
    operator: User, vehicle: Vehicle, body: Any
) -> None:
    """The next command of its vehicle is not held up."""
    poison, following = submit(operator, vehicle, body), submit(operator, vehicle)
    for _ in range(3):
        assert claim_one() == poison
        put(poison, lease_expires_at=timezone.now() - HOUR)
        lifecycle.sweep()
    ended = row(poison)
    assert (ended.status, ended.error_code, ended.lost_workers) == ("failed", "worker_lost", 3)
    assert "3 workers were lost" in ended.error_message
    assert claim_one() == following


def test_a_worker_has_one_suspect_at_a_time(operator: User) -> None:
    """Two suspects in one lost worker would both be blamed."""
    commands = [submit(operator, make_vehicle(n)) for n in range(3)]
    for command in commands[:2]:
        put(command, lost_workers=2)
    mark_seen()
    assert lifecycle.claim(10) == [commands[0], commands[2]]
    assert lifecycle.claim(10, has_suspect=True) == []
    assert lifecycle.claim(10) == [commands[1]]


def test_a_locked_row_does_not_hold_up_the_sweep(operator: User) -> None:
    commands = [submit(operator, make_vehicle(n)) for n in range(2)]
    for minutes, command in enumerate(commands, -3):
        put(command, expires_at=timezone.now() + timedelta(minutes=minutes))
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    try:
        with another_connection(lambda: Command.objects.select_for_update().get(pk=commands[0].pk)):
            lifecycle.sweep()
    finally:
        connection.close()
    assert [row(command).status for command in commands] == ["pending", "expired"]


def test_a_worker_that_releases_a_command_is_not_lost(command: Command) -> None:
    for _ in range(5):
        lifecycle.release(claim_one())
    assert (row(command).status, row(command).lost_workers) == ("pending", 0)


def test_a_command_may_be_marked_as_sent_twice(command: Command) -> None:
    """The first COMMIT got no answer."""
    claimed = claim_one()
    in_hand = row(command)
    lifecycle.mark_sent(claimed)
    lifecycle.mark_sent(in_hand)
    lifecycle.complete(in_hand, {})
    assert row(command).status == "completed"


def test_a_live_lease_is_left_alone(claimed: Command) -> None:
    lifecycle.sweep()
    assert Command.objects.get().status == "in_progress"


def test_a_renewed_lease_wins_against_the_sweep(claimed: Command) -> None:
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    (seen,) = Command.objects.lapsed()
    lifecycle.renew([claimed])
    with pytest.raises(LostClaim):
        lifecycle.release_lapsed(seen)
    lifecycle.complete(claimed, {})


def test_a_command_sent_after_the_sweep_read_it_is_not_given_back(
    operator: User, vehicle: Vehicle
) -> None:
    """The sweep read the row before the request was sent, and must not give the command back."""
    submit(operator, vehicle, ClearDTC)
    claimed = claim_one()
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    (seen,) = Command.objects.lapsed()
    lifecycle.mark_sent(claimed)
    with pytest.raises(LostClaim):
        lifecycle.release_lapsed(seen)
    assert Command.objects.get().status == "in_progress"


def test_renewing_extends_the_leases_of_the_claims_that_stand(
    claimed: Command, operator: User
) -> None:
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.renew([claimed])
    assert not Command.objects.lapsed().exists()
    key = (claimed.pk, claimed.claim_token)
    assert lifecycle.held([claimed]) == {key: False}
    lifecycle.cancel(Command.objects.get())
    assert lifecycle.held([claimed]) == {key: True}
    lifecycle.cancel_running(claimed)
    assert lifecycle.held([claimed]) == {}
