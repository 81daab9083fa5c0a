"""Secrets in the settings of vehicles: stored, kept, and never shown."""

from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User

from commands.models import AuditEntry
from commands.tests.api.vehicle_requests import (
    SOVD,
    VEHICLES,
    VIN,
    add,
    address_of,
    change,
    wrong_fields,
)
from conftest import api
from vehicles.connectors import CONNECTORS
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle


class SecretiveConnector(MockConnector):
    """A mock with settings of every kind, two of them secret."""

    name: ClassVar[str] = "secretive"
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "title": "URL",
                "description": "the address.",
                "minLength": 1,
            },
            "token": {
                "type": "string",
                "title": "Token",
                "description": "of at least four characters.",
                "minLength": 4,
                "writeOnly": True,
            },
            "pin": {"type": "integer", "description": "a number.", "writeOnly": True},
            "data_ids": {
                "type": "object",
                "description": "a text for each data identifier.",
                "additionalProperties": {"type": "string"},
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    }


@pytest.fixture
def secretive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTORS, "secretive", SecretiveConnector)


CLIENT = {"client_id": "console", "token_url": "https://192.0.2.10/token"}


def test_the_secrets_of_a_sovd_vehicle_are_stored_and_never_shown(maintainer: User) -> None:
    settings = SOVD | CLIENT | {"data_ids": {"0xF190": "vin"}}
    secrets = {"client_secret": "s3cret one", "token": "s3cret-two"}
    added = add(maintainer, connector="sovd", connector_settings=settings | secrets)
    vehicle = Vehicle.objects.get()
    assert added["connector_settings"] == settings
    assert vehicle.connector_secrets == secrets
    changed = change(maintainer, vehicle, connector_settings=settings | {"token": None})
    vehicle.refresh_from_db()
    assert vehicle.connector_secrets == {"client_secret": "s3cret one"}
    assert "s3cret" not in str(changed) + str([entry.details for entry in AuditEntry.objects.all()])


@pytest.mark.usefixtures("secretive")
def test_a_secret_is_kept_until_it_is_removed_and_never_shown(maintainer: User) -> None:
    def settings_after(**settings: Any) -> tuple[Any, Any]:
        shown = change(maintainer, vehicle, connector_settings=settings)
        vehicle.refresh_from_db()
        listed = api(maintainer).get(VEHICLES).json()["results"][0]
        assert listed["connector_settings"] == shown["connector_settings"]
        return shown["connector_settings"], vehicle.connector_secrets

    secret = {"token": "s3cret", "pin": 4711}
    shown = add(maintainer, connector="secretive", connector_settings={"url": "a"} | secret)
    assert shown["connector_settings"] == {"url": "a"}
    vehicle = Vehicle.objects.get()
    assert vehicle.connector_secrets == secret
    assert settings_after(url="b") == ({"url": "b"}, secret)
    assert settings_after(url="b", pin=None) == ({"url": "b"}, {"token": "s3cret"})
    assert settings_after(url="b", token="other") == ({"url": "b"}, {"token": "other"})
    assert settings_after(url="b", token=None) == ({"url": "b"}, {})
    settings_after(url="b", token="again")
    change(maintainer, vehicle, connector="mock", connector_settings={})
    vehicle.refresh_from_db()
    assert vehicle.connector_secrets == {}


@pytest.mark.usefixtures("secretive")
@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"token": "s3cret"}, ["url"]),
        ({"url": "a", "token": "abc"}, ["token"]),
        ({"url": "a", "token": 1234567}, ["token"]),
        ({"url": "a", "pin": "1234567"}, ["pin"]),
        ({"url": "a", "token": ["1234567"], "pin": {"1234567": 1}}, ["pin", "token"]),
        ({"url": "a", "data_ids": {"0xF190": 1234567}}, ["data_ids.0xF190"]),
    ],
)
def test_an_error_tells_no_value(
    maintainer: User, settings: dict[str, Any], wrong: list[str]
) -> None:
    body = {"vin": VIN, "connector": "secretive", "connector_settings": settings}
    response = api(maintainer).post(VEHICLES, body)
    assert wrong_fields(response) == [f"connector_settings.{name}" for name in wrong]
    assert not any(value in response.content.decode() for value in ("s3cret", "abc", "1234567"))


@pytest.mark.usefixtures("secretive")
def test_the_audit_says_who_changed_which_fields_and_no_value(maintainer: User) -> None:
    settings = {"url": "somewhere", "token": "s3cret"}
    add(maintainer, connector="secretive", connector_settings=settings, ecus=[{"address": "0x10"}])
    vehicle = Vehicle.objects.get()
    change(maintainer, vehicle, make="Ford", connector_settings={"url": "else", "token": "n3w-1"})
    change(maintainer, vehicle, connector_settings={"url": "else"}, make="Ford", ecus=[])
    change(maintainer, vehicle, make="Ford")
    api(maintainer).delete(address_of(vehicle))
    entries = AuditEntry.objects.filter(subject=str(vehicle.pk)).order_by("pk")
    url, token = "connector_settings.url", "connector_settings.token"
    assert [(entry.action, entry.details.get("fields")) for entry in entries] == [
        ("add_vehicle", ["vin", "connector", token, url, "ecus"]),
        ("change_vehicle", ["make", token, url]),
        ("change_vehicle", ["ecus"]),
        ("delete_vehicle", None),
    ]
    assert {(entry.username, entry.details["vin"]) for entry in entries} == {("maintainer", VIN)}
    told = str([entry.details for entry in entries])
    assert not any(value in told for value in ("s3cret", "n3w-1", "somewhere"))
