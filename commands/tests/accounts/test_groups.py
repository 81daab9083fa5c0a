"""Groups that a migration makes, on a new database and on one that has some."""

import json
from pathlib import Path

import pytest

from sovd.tests.processes import run

START = (
    "import django, json; django.setup()\n"
    "from django.core.management import call_command as call\n"
    "from django.contrib.auth.models import Group\n"
)
MIGRATE = "call('migrate', verbosity=0)\n"
BEFORE = "call('migrate', 'commands', '0006', verbosity=0)\n"
A_GROUP = "Group.objects.create(name='Viewers')\n"
SHOW = (
    "print(json.dumps({group.name: sorted(f'{each.content_type.app_label}.{each.codename}'"
    " for each in group.permissions.all()) for group in Group.objects.all()}))"
)
FLEET_ADMINS = [
    "commands.add_command",
    "commands.approve_campaign",
    "commands.send_intrusive",
    "commands.send_unsafe_to_many",
    "commands.view_auditentry",
    "commands.view_command",
    "vehicles.add_description",
    "vehicles.add_vehicle",
    "vehicles.change_vehicle",
    "vehicles.delete_description",
    "vehicles.view_vehicle",
]


def groups_after(script: str, directory: Path) -> dict[str, list[str]]:
    ended = run("-c", START + script + SHOW, SOVD_VAR_DIR=directory, DEBUG=1)
    assert ended.exit_code == 0, ended.errors
    groups: dict[str, list[str]] = json.loads(ended.output.splitlines()[-1])
    return groups


@pytest.mark.parametrize(
    ("script", "viewers"),
    [
        (MIGRATE, ["commands.view_command", "vehicles.view_vehicle"]),
        (BEFORE + A_GROUP + MIGRATE, []),
        (MIGRATE + BEFORE + MIGRATE, ["commands.view_command", "vehicles.view_vehicle"]),
    ],
)
def test_the_migrations_make_groups_and_keep_those_of_the_same_name(
    tmp_path: Path, script: str, viewers: list[str]
) -> None:
    """An existing group stays as it is, and migrating back removes none."""
    assert groups_after(script, tmp_path) == {
        "Operators": ["commands.add_command", "vehicles.view_vehicle"],
        "Viewers": viewers,
        "Fleet admins": FLEET_ADMINS,
    }


ASK = (
    "from django.contrib.auth.models import User\n"
    "from django.test import Client\n"
    "codes = {}\n"
    "for group in Group.objects.all():\n"
    "    user = User.objects.create(username=group.name)\n"
    "    user.groups.add(group)\n"
    "    client = Client(headers={'host': 'localhost'})\n"
    "    client.force_login(user)\n"
    "    codes[group.name] = [client.get(address).status_code for address in"
    " ('/api/v1/vehicles/', '/vehicles/', '/api/v1/commands/')]\n"
    "print(json.dumps(codes))"
)


def test_users_of_every_group_see_vehicles(tmp_path: Path) -> None:
    ended = run("-c", START + MIGRATE + ASK, SOVD_VAR_DIR=tmp_path, DEBUG=1)
    assert ended.exit_code == 0, ended.errors
    codes = json.loads(ended.output.splitlines()[-1])
    assert codes == {name: [200] * 3 for name in ("Operators", "Viewers", "Fleet admins")}
