"""Migrations: a database of the last version keeps its rows, on the way forward and back."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from commands.models import Status
from sovd.tests.processes import own_database

# The last migrations of the last version, of the two apps that have some.
LAST_VERSION = {"vehicles": "0001_initial", "commands": "0009_indexes_of_lists"}
ALIAS = "last_version"
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

Rows = dict[str, list[dict[str, Any]]]


class Database:
    """A database of its own, migrated to the last version, and the models of that version."""

    def __init__(self) -> None:
        self.old = self.migrate(self._targets(LAST_VERSION))

    def forward(self) -> Any:
        return self.migrate(self._targets({}))

    def back(self) -> Any:
        return self.migrate(self._targets(LAST_VERSION))

    def migrate(self, targets: list[tuple[str, str]]) -> Any:
        executor = MigrationExecutor(connections[ALIAS])
        executor.migrate(targets)
        return MigrationExecutor(connections[ALIAS]).loader.project_state(targets).apps

    def _targets(self, chosen: dict[str, str]) -> list[tuple[str, str]]:
        leaves = MigrationExecutor(connections[ALIAS]).loader.graph.leaf_nodes()
        return [(app, chosen.get(app, name)) for app, name in leaves]


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: Any) -> Iterator[Database]:
    options = "ENCODING 'UTF8' TEMPLATE template0"
    with django_db_blocker.unblock(), own_database("migrations", options) as url:
        default = connections.settings["default"]
        own = default | {"NAME": urlsplit(url).path[1:], "OPTIONS": {}}
        connections.settings[ALIAS] = own
        try:
            yield Database()
        finally:
            connections[ALIAS].close()
            del connections[ALIAS], connections.settings[ALIAS]


def objects(apps: Any, model: str) -> Any:
    return apps.get_model(model).objects.using(ALIAS)


def fill(apps: Any) -> None:
    """Add rows to every table of the last version."""
    user = objects(apps, "auth.User").create(username="operator", password="!")
    people = {"submitted_by": user}
    vehicle = objects(apps, "vehicles.Vehicle").create(
        vin="1HGCM82633A004352", connection_status="connected", last_seen_at=AT
    )
    for number, status in enumerate(("disconnected", "error")):
        objects(apps, "vehicles.Vehicle").create(
            vin=f"1HGCM82633A00000{number}", connection_status=status
        )
    batch = objects(apps, "commands.Batch").create(
        command_name="ReadDTC", vehicle_count=len(Status), stop_above_failed_percent=20, **people
    )
    for number, status in enumerate(Status.values):
        add_command(apps, status, number, vehicle=vehicle, batch=batch, **people)
    command = objects(apps, "commands.Command").get(status="completed")
    objects(apps, "commands.IdempotencyKey").create(
        command=command, user=user, key="a-key", fingerprint="f" * 64
    )
    objects(apps, "commands.StreamTicket").create(
        digest="d" * 64, user=user, command=command, expires_at=AT, stream_ends_at=AT
    )
    objects(apps, "commands.UsedToken").create(digest="u" * 64, expires_at=AT)
    objects(apps, "commands.LogInCount").create(digest="c" * 64, attempts=3)
    objects(apps, "commands.AuditEntry").create(
        username="operator", user_id=user.pk, action="log_in_failed", details={"a": [1]}
    )


LOGS = {
    "pending": ["pending", "in_progress", "pending"],  # released by its worker
    "in_progress": ["pending", "in_progress", "pending", "in_progress"],
    "completed": ["pending", "in_progress", "completed"],
    "failed": ["pending", "in_progress", "failed"],
    "timed_out": ["pending", "in_progress", "timed_out"],
    "cancelled": ["pending", "cancelled"],
    "expired": ["pending", "expired"],
}
LAST_CLAIMS = {
    "pending": 2,
    "in_progress": 4,
    "completed": 2,
    "failed": 2,
    "timed_out": 2,
    "cancelled": 0,
    "expired": 0,
}


def add_command(apps: Any, status: str, number: int, **fields: Any) -> None:
    at = AT + timedelta(minutes=number)
    is_running = status == "in_progress"
    command = objects(apps, "commands.Command").create(
        command_name="ClearDTC",
        command_params={"ecuAddress": "0x10"},
        status=status,
        submitted_at=at,
        expires_at=at + timedelta(hours=1),
        last_sequence_number=len(LOGS[status]),
        claim_token=uuid.uuid4() if is_running else None,
        lease_expires_at=at if is_running else None,
        sent_at=at if is_running else None,
        lost_workers=1,
        **fields,
    )
    for place, entry in enumerate(LOGS[status], 1):
        kind = "error" if entry in ("failed", "timed_out", "expired") else "status"
        objects(apps, "commands.Event").create(
            command=command, sequence_number=place, kind=kind, payload={"status": entry}
        )


def rows_of(apps: Any) -> Rows:
    """Return all rows of the two apps, by model, with the columns that these models have."""
    return {
        model._meta.label: list(model.objects.using(ALIAS).order_by("pk").values())
        for label in LAST_VERSION
        for model in apps.get_app_config(label).get_models()
    }


def names_of_permission(apps: Any) -> list[str]:
    permissions = objects(apps, "auth.Permission").filter(codename="send_unsafe_to_many")
    return list(permissions.values_list("name", flat=True))


def common(rows: Rows, other: Rows) -> Rows:
    """Return the rows with the columns that the other version has too."""
    return {
        label: [{name: row[name] for name in row.keys() & like.keys()} for row, like in pairs]
        for label in rows.keys() & other.keys()
        for pairs in [list(zip(rows[label], other[label], strict=True))]
    }


def test_a_database_of_the_last_version_migrates_with_its_data(database: Database) -> None:
    fill(database.old)
    before = rows_of(database.old)
    assert all(before.values()), "a table of the last version has no row"
    new = database.forward()
    after = rows_of(new)
    assert common(after, before) == common(before, after)
    assert before.keys() - after.keys() == {"commands.UsedToken"}
    with connections[ALIAS].cursor() as cursor:  # the table stays for processes of that version
        cursor.execute("SELECT count(*) FROM commands_usedtoken")
        assert cursor.fetchone() == (1,)
    assert_filled(new)


def assert_filled(new: Any) -> None:
    """Check the values of new columns, as the migrations compute them from the old rows."""
    commands = objects(new, "commands.Command")
    assert dict(commands.values_list("status", "claim_sequence_number")) == LAST_CLAIMS
    waiting = commands.get(is_ready=True)
    assert (waiting.status, waiting.turn) == ("pending", waiting.submitted_at)
    fields = ("codes_before", "sent_route")
    assert set(commands.values_list(*fields)) == {(None, "")}
    vehicles = objects(new, "vehicles.Vehicle").values_list(
        "connection_status", "connector", "connector_settings", "connector_secrets"
    )
    assert sorted(vehicles, key=str) == [
        ("connected", "mock", {}, {}),
        ("disconnected", "mock", {"online": False}, {}),
        ("error", "mock", {"online": False}, {}),
    ]
    assert objects(new, "commands.IdempotencyKey").get().response == ""
    assert objects(new, "commands.StreamTicket").get().login == ""
    assert names_of_permission(new) == [
        "Can send commands that are not safe to repeat to many vehicles at once"
    ]


def test_every_migration_since_can_be_taken_back_with_the_data(database: Database) -> None:
    fill(database.old)
    before = rows_of(database.old)
    database.forward()
    old = database.back()
    assert rows_of(old) == before
    assert names_of_permission(old) == ["Can send what must not run twice to many vehicles at once"]
    assert_filled(database.forward())
