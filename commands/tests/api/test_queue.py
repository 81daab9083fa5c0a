"""The place of a command in the queue of its vehicle."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from commands.models import Command
from conftest import api, claim_one, make_vehicle, submit
from vehicles.models import Vehicle


def ahead(user: User, command: Command) -> int:
    body = api(user).get(f"/api/v1/commands/{command.pk}/").json()
    return int(body["commands_ahead"])


def test_earlier_commands_of_all_users_are_ahead(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    earlier = [submit(user, vehicle) for user in (stranger, operator)]
    command = submit(operator, vehicle)
    submit(stranger, vehicle)
    assert ahead(operator, command) == 2
    assert ahead(operator, earlier[1]) == 1


def test_the_running_command_is_ahead(operator: User, vehicle: Vehicle) -> None:
    submit(operator, vehicle)
    running = claim_one()
    command = submit(operator, vehicle)
    assert ahead(operator, command) == 1
    assert ahead(operator, running) == 0


def test_commands_that_never_run_are_not_ahead(operator: User, vehicle: Vehicle) -> None:
    expired = submit(operator, vehicle)
    Command.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    submit(operator, make_vehicle(7))
    assert ahead(operator, submit(operator, vehicle)) == 0
