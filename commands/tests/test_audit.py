"""Audit: every operation has its entry, every entry its operation, and none is rewritten."""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.test import Client

from commands import lifecycle
from commands.accounts.tokens import RefreshToken
from commands.models import AuditEntry, Batch, Command
from conftest import (
    ClearDTC,
    ReadDTC,
    api,
    claim_one,
    make_user,
    make_vehicle,
    statements_to_empty_tables,
    submit,
)
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
BATCHES = "/api/v1/batches/"
TOKEN = "/api/v1/token/"  # noqa: S105 - an address
LOG_IN = "/accounts/login/"


def entries() -> list[tuple[str, str, str]]:
    """Return the user, the action and the subject of each entry, in order."""
    return list(AuditEntry.objects.order_by("id").values_list("username", "action", "subject"))


def last() -> AuditEntry:
    return AuditEntry.objects.latest("id")


def post(user: User, vehicle: Vehicle, **fields: Any) -> Any:
    return api(user).post(COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC, **fields})


def post_batch(user: User, *vehicles: Vehicle, **fields: Any) -> Any:
    chosen = [str(vehicle.pk) for vehicle in vehicles]
    return api(user).post(BATCHES, {"vehicle_ids": chosen, **ReadDTC, **fields})


def cancel(user: User, command: Command) -> Any:
    return api(user).post(f"{COMMANDS}{command.pk}/cancel/")


# Commands


@pytest.mark.embedded
def test_submitting_and_cancelling_are_recorded(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    assert cancel(operator, command).status_code == 200
    assert entries() == [("operator", each, str(command.pk)) for each in ("submit", "cancel")]
    first = AuditEntry.objects.earliest("id")
    assert (first.user_id, first.address) == (operator.pk, "127.0.0.1")
    assert first.details == {"command_name": "ReadDTC", "vin": vehicle.vin}


def test_asking_a_running_command_to_stop_is_recorded(operator: User, vehicle: Vehicle) -> None:
    command = submit(operator, vehicle)
    claim_one()
    assert cancel(operator, command).status_code == 202
    assert entries()[1:] == [("operator", "cancel", str(command.pk))]


def test_a_refused_operation_has_no_entry(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    command = submit(operator, vehicle)
    lifecycle.cancel(command)
    assert post(viewer, vehicle).status_code == 403
    assert post(operator, vehicle, command_params={}).status_code == 400
    assert cancel(viewer, command).status_code == 403
    assert cancel(stranger, command).status_code == 404
    assert cancel(operator, command).status_code == 409
    assert entries() == [("operator", "submit", str(command.pk))]


def test_a_repeated_submission_has_one_entry(operator: User, vehicle: Vehicle) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    for _ in range(2):
        response = api(operator).post(COMMANDS, body, headers={"Idempotency-Key": "a"})
        assert response.status_code == 201
    assert len(entries()) == 1


@pytest.mark.embedded
def test_a_batch_and_its_cancellation_are_recorded(operator: User, vehicle: Vehicle) -> None:
    batch_id = post_batch(operator, vehicle, make_vehicle(102)).json()["batch_id"]
    assert api(operator).post(f"{BATCHES}{batch_id}/cancel/").status_code == 200
    assert entries() == [("operator", each, batch_id) for each in ("submit", "cancel")]
    first = AuditEntry.objects.earliest("id")
    assert (first.user_id, first.address) == (operator.pk, "127.0.0.1")
    assert first.details == {"command_name": "ReadDTC", "vehicles": 2}


def test_the_confirmation_of_a_batch_is_recorded(operator: User, vehicle: Vehicle) -> None:
    batch_id = post_batch(operator, vehicle, vehicle_count=1).json()["batch_id"]
    assert entries() == [("operator", each, batch_id) for each in ("submit", "confirm")]
    assert last().details == {"command_name": "ReadDTC", "vehicles": 1}


def test_a_refused_batch_or_cancellation_has_no_entry(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    batch_id = post_batch(operator, vehicle).json()["batch_id"]
    lifecycle.cancel(Command.objects.get())
    assert post_batch(viewer, vehicle).status_code == 403
    assert post_batch(operator, vehicle, vehicle_count=2).status_code == 400
    for user, code in ((viewer, 403), (stranger, 404), (operator, 409)):
        assert api(user).post(f"{BATCHES}{batch_id}/cancel/").status_code == code
    assert entries() == [("operator", "submit", batch_id)]


@pytest.mark.embedded
def test_cancelling_many_commands_records_each(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    """Commands that had ended have no entry."""
    ended = submit(operator, vehicle)
    lifecycle.cancel(ended)
    running = submit(operator, vehicle)
    claim_one()
    pending = submit(operator, vehicle)
    before = len(entries())
    body = {"command_ids": [str(command.pk) for command in (ended, running, pending)]}
    for user, code in ((viewer, 403), (stranger, 400)):
        assert api(user).post(f"{COMMANDS}cancel/", body).status_code == code
    assert len(entries()) == before
    assert api(operator).post(f"{COMMANDS}cancel/", body).json() == {
        "cancelled": 1,
        "asked_to_stop": 1,
        "already_ended": 1,
    }
    assert sorted(entries()[before:]) == sorted(
        ("operator", "cancel", str(command.pk)) for command in (running, pending)
    )
    assert {(each.user_id, each.address) for each in AuditEntry.objects.all()} == {
        (operator.pk, "127.0.0.1")
    }


@pytest.mark.embedded
def test_an_operation_fails_if_its_entry_cannot_be_written(
    operator: User, vehicle: Vehicle
) -> None:
    command = submit(operator, vehicle)
    batch_id = post_batch(operator, vehicle).json()["batch_id"]
    client = api(operator)
    client.raise_request_exception = False

    def refuse(execute: Any, sql: str, *arguments: Any) -> Any:
        if "INSERT" in sql and "commands_auditentry" in sql:
            raise ProgrammingError("no entry")
        return execute(sql, *arguments)

    with connection.execute_wrapper(refuse):
        body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
        assert client.post(COMMANDS, body).status_code == 500
        assert client.post(f"{COMMANDS}{command.pk}/cancel/").status_code == 500
        many = {"command_ids": [str(command.pk)]}
        assert client.post(f"{COMMANDS}cancel/", many).status_code == 500
        batch = {"vehicle_ids": [str(vehicle.pk)], **ReadDTC}
        assert client.post(BATCHES, batch).status_code == 500
        assert client.post(f"{BATCHES}{batch_id}/cancel/").status_code == 500
    assert [each.status for each in Command.objects.all()] == ["pending"] * 2
    assert [(str(each.pk), each.stopped_at) for each in Batch.objects.all()] == [(batch_id, None)]


# Confirming


@pytest.mark.embedded
@pytest.mark.parametrize("confirmation", ["000101", "000101 "])
def test_a_confirmed_submission_is_recorded(
    operator: User, vehicle: Vehicle, confirmation: str
) -> None:
    response = post(operator, vehicle, **ClearDTC, confirmation=confirmation)
    assert response.status_code == 201
    assert "confirmation" not in response.json()
    command_id = response.json()["command_id"]
    assert entries() == [("operator", each, command_id) for each in ("submit", "confirm")]
    assert last().details == {"command_name": "ClearDTC", "vin": vehicle.vin}


# Logging in and out


def log_in(password: str = "sovd-demo", name: str = "operator", **extra: Any) -> Client:
    client = Client(**extra)
    client.post(LOG_IN, {"username": name, "password": password})
    return client


@pytest.mark.embedded
def test_login_and_logout_on_the_pages_are_recorded(operator: User) -> None:
    log_in().post("/accounts/logout/")
    assert entries() == [("operator", "log_in", ""), ("operator", "log_out", "")]
    assert {each.user_id for each in AuditEntry.objects.all()} == {operator.pk}


@pytest.mark.embedded
def test_login_and_logout_by_the_api_are_recorded(operator: User) -> None:
    tokens = api(None).post(TOKEN, {"username": "operator", "password": "sovd-demo"}).json()
    api(None).post(f"{TOKEN}logout/", {"refresh": tokens["refresh"]})
    assert entries() == [("operator", "log_in", ""), ("operator", "log_out", "")]
    api(None).post(f"{TOKEN}logout/", {"refresh": tokens["refresh"]})
    assert len(entries()) == 2


def test_a_logout_of_nobody_has_no_entry(operator: User) -> None:
    Client().post("/accounts/logout/")
    token = RefreshToken.for_user(operator)
    operator.delete()
    assert api(None).post(f"{TOKEN}logout/", {"refresh": str(token)}).status_code == 401
    assert entries() == []


def test_failed_logins_are_recorded_without_the_password(operator: User) -> None:
    log_in("wrong")
    api(None).post(TOKEN, {"username": "nobody", "password": "wrong"})
    assert entries()[0][0] == "operator"
    assert [action for _, action, _ in entries()] == ["log_in_failed"] * 2
    assert {each.user_id for each in AuditEntry.objects.all()} == {None}
    assert "wrong" not in str(AuditEntry.objects.values())


@pytest.mark.embedded
def test_a_password_typed_as_a_name_is_kept_as_a_keyed_digest(operator: User) -> None:
    """The digest cannot be found by trying, and is the same for the same name."""
    for name in ("sovd-demo", "sovd-demo", "Operator"):
        log_in(name=name)
    api(None).post(TOKEN, {"username": "sovd-demo", "password": "x"})
    assert "sovd-demo" not in str(AuditEntry.objects.values())
    assert [each.details for each in AuditEntry.objects.all()] == [{"unknown_name": True}] * 4
    first, second, other, by_api = (name for name, _, _ in entries())
    assert first == second == by_api != other
    assert first != hashlib.sha256(b"sovd-demo").hexdigest()


HOSTILE_NAMES = ["a\x00b", "\ud800", "x" * 10_000, "é" * 10_000, "<script>", "\u202e", " "]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_recorded_as_far_as_it_can_be(transactional_db: None, name: str) -> None:
    """Names come from the pages, the API, and any other code that asks Django."""
    form = f"username={quote(name, errors='surrogatepass')}&password=x"
    kind = "application/x-www-form-urlencoded"
    assert Client().post(LOG_IN, form, content_type=kind).status_code == 200
    body = json.dumps({"username": name, "password": "x"})
    response = Client().post(TOKEN, body, content_type="application/json")
    assert response.status_code in {400, 401}
    before = AuditEntry.objects.count()
    user_login_failed.send(__name__, credentials={"username": name}, request=None)
    assert AuditEntry.objects.count() == before + 1


def test_the_longest_name_is_recorded_whole(transactional_db: None) -> None:
    make_user("x" * 150)
    api(None).post(TOKEN, {"username": "x" * 150, "password": "x"})
    assert last().username == "x" * 150


# From where


@pytest.mark.parametrize(
    ("proxies", "forwarded", "kept"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "198.51.100.7:51234", "198.51.100.7"),
        (1, "[2001:db8::7]:51234", "2001:db8::7"),
        (1, "[2001:db8::7]", "2001:db8::7"),
        (1, "[fe80::1%eth0]:51234", "fe80::1"),
        (1, '"[2001:db8::7]:51234"', "2001:db8::7"),
        (1, "2001:db8::7", "2001:db8::7"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (2, "198.51.100.7:51234, 203.0.113.9:80", "198.51.100.7"),
        (1, "198.51.100.7:port", "192.0.2.1"),
        (1, "nonsense", "192.0.2.1"),
    ],
)
def test_the_address_of_the_client_is_recorded(
    operator: User, settings: Any, proxies: int, forwarded: str, kept: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    log_in(REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert last().address == kept


@pytest.mark.parametrize("address", ["", "/run/sovd.sock"])
def test_a_client_of_a_unix_socket_has_no_address(operator: User, address: str) -> None:
    log_in(REMOTE_ADDR=address)
    assert (last().action, last().address) == ("log_in", None)


# Nobody rewrites it


def test_an_entry_is_neither_changed_nor_deleted(operator: User) -> None:
    log_in()
    for change in (
        lambda: AuditEntry.objects.update(username="stranger"),
        lambda: AuditEntry.objects.all().delete(),
        lambda: last().delete(),
    ):
        with pytest.raises(ProgrammingError, match="append-only"):
            change()
    assert entries() == [("operator", "log_in", "")]


def test_dumped_rows_load_again_and_the_audit_stays_append_only(
    operator: User, vehicle: Vehicle, tmp_path: Path
) -> None:
    """Needed to move from the embedded mode to Postgres."""
    log_in()
    submit(operator, vehicle)
    before = entries()
    dump = tmp_path / "dump.json"
    options = {"natural_foreign": True, "natural_primary": True, "output": str(dump)}
    call_command("dumpdata", "auth.user", "vehicles", "commands", **options)
    with connection.cursor() as cursor:
        for statement in statements_to_empty_tables():
            cursor.execute(statement)
    call_command("loaddata", str(dump), verbosity=0)
    assert entries() == before
    assert Command.objects.get().submitted_by.username == operator.username
    log_in()
    assert len(entries()) == len(before) + 1
    with pytest.raises(ProgrammingError, match="append-only"):
        AuditEntry.objects.update(username="stranger")


def test_an_entry_outlives_its_user(operator: User) -> None:
    log_in()
    operator.delete()
    assert entries() == [("operator", "log_in", "")]
