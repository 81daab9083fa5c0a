"""Groups that a migration makes, on a new database and on one that has some."""

import json
from typing import Any

import pytest

from sovd.tests.processes import run

# In one process, with one database: Python's imports and 25 migrations take seconds each time.
SCRIPT = """
import django, json; django.setup()
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client

ADDRESSES = ("/api/v1/vehicles/", "/vehicles/", "/api/v1/commands/")

def migrate(*arguments):
    call_command("migrate", *arguments, verbosity=0)

def permissions_of(group):
    permissions = group.permissions.select_related("content_type")
    return sorted(f"{each.content_type.app_label}.{each.codename}" for each in permissions)

def show():
    return {group.name: permissions_of(group) for group in Group.objects.all()}

def codes_of(group):
    user = User.objects.create(username=group.name)
    user.groups.add(group)
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return [client.get(address).status_code for address in ADDRESSES]

migrate()
found = {"new": show(), "codes": {each.name: codes_of(each) for each in Group.objects.all()}}
migrate("commands", "0006")
found["back"] = show()
migrate()
found["again"] = show()
migrate("commands", "0006")
Group.objects.all().delete()
Group.objects.create(name="Viewers")
migrate()
found["with a group"] = show()
print(json.dumps(found))
"""
FLEET_ADMINS = [
    "commands.add_command",
    "commands.add_webhook",
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


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the groups after each step, with their permissions."""
    ended = run("-c", SCRIPT, SOVD_VAR_DIR=tmp_path_factory.mktemp("groups"), DEBUG=1)
    assert ended.exit_code == 0, ended.errors
    groups: dict[str, Any] = json.loads(ended.output.splitlines()[-1])
    return groups


@pytest.mark.parametrize(
    ("step", "viewers"),
    [
        ("new", ["commands.view_command", "vehicles.view_vehicle"]),
        ("again", ["commands.view_command", "vehicles.view_vehicle"]),
        ("with a group", []),
    ],
)
def test_the_migrations_make_groups_and_keep_those_of_the_same_name(
    found: dict[str, Any], step: str, viewers: list[str]
) -> None:
    """An existing group stays as it is, and migrating back removes none."""
    assert found[step] == {
        "Operators": ["commands.add_command", "vehicles.view_vehicle"],
        "Viewers": viewers,
        "Fleet admins": FLEET_ADMINS,
    }
    assert found["back"].keys() == found["new"].keys()


def test_users_of_every_group_see_vehicles(found: dict[str, Any]) -> None:
    assert found["codes"] == dict.fromkeys(("Operators", "Viewers", "Fleet admins"), [200] * 3)
