"""The groups that a migration makes, on a new database and on one that has had some."""

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
    "commands.send_unsafe_to_many",
    "commands.view_auditentry",
    "commands.view_command",
    "vehicles.add_vehicle",
    "vehicles.change_vehicle",
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
def test_groups(tmp_path: Path, script: str, viewers: list[str]) -> None:
    """One that is there is kept as it is, and going back takes none away."""
    assert groups_after(script, tmp_path) == {
        "Operators": ["commands.add_command", "vehicles.view_vehicle"],
        "Viewers": viewers,
        "Fleet admins": FLEET_ADMINS,
    }
