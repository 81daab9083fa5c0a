"""Vehicles are added, changed and deleted by the API."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User

from commands.models import AuditEntry, Command
from conftest import api, drain, make_user, make_vehicle, meanwhile, submit
from vehicles.connectors import CONNECTORS
from vehicles.connectors.base import Probe, TargetVehicle
from vehicles.connectors.mock import MockConnector
from vehicles.models import Vehicle

VEHICLES = "/api/v1/vehicles/"
VIN = "1HGCM82633A004352"
DOIP = {"connector": "doip", "connector_settings": {"host": "192.0.2.10"}}
RIGHTS = ["view_vehicle", "add_vehicle", "change_vehicle", "delete_vehicle"]


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


@pytest.fixture
def maintainer(transactional_db: None) -> User:
    return make_user("maintainer", *RIGHTS)


def address_of(vehicle: Vehicle, part: str = "") -> str:
    return f"{VEHICLES}{vehicle.pk}/{part}"


def add(user: User, **body: Any) -> dict[str, Any]:
    response = api(user).post(VEHICLES, {"vin": VIN} | body)
    assert response.status_code == 201, response.content
    added: dict[str, Any] = response.json()
    return added


def change(user: User, vehicle: Vehicle, **body: Any) -> dict[str, Any]:
    response = api(user).patch(address_of(vehicle), body)
    assert response.status_code == 200, response.content
    changed: dict[str, Any] = response.json()
    return changed


def wrong_fields(response: Any) -> list[str]:
    assert response.status_code == 400, response.content
    return sorted(response.json()["fields"])


# --- Adding


@pytest.mark.embedded
def test_a_vehicle_is_added_as_it_was_sent(maintainer: User) -> None:
    engine = {"address": "0x10", "name": "Engine control", "logical_address": "0x1010"}
    body = {"make": "Honda", "model": "Accord", "year": 2003, "metadata": {"fleet": "north"}}
    added = add(maintainer, **body, **DOIP, ecus=[engine, {"address": "0x1a"}])
    shown = {"component": "", "description": None, "variant": ""}
    looked_at = api(maintainer).get(f"{VEHICLES}{added['vehicle_id']}/").json()
    assert looked_at == added | {
        "trouble_codes_at": None,
        "lock": None,
        "note_count": 0,
        "queue": [],
    }
    assert {name: added[name] for name in (*body, *DOIP)} == body | DOIP
    assert added["ecus"] == [
        engine | shown,
        {"address": "0x1A", "name": "", "logical_address": ""} | shown,
    ]
    assert (added["connection_status"], added["probed_at"]) == ("disconnected", None)


@pytest.mark.embedded
def test_a_vehicle_is_a_mock_unless_it_is_said(maintainer: User) -> None:
    added = add(maintainer)
    assert (added["connector"], added["connector_settings"], added["ecus"]) == ("mock", {}, [])


@pytest.mark.parametrize(
    "pasted",
    [
        " 1HGCM82633A004352\n",
        "1hgcm82633a004352",
        "1HG CM826 33A 004352",
        "1HG-CM826-33A-004352",
        "1HG\u200bCM82633A004352\ufeff",
        "1HGCM82633A\uff10\uff10\uff14\uff13\uff15\uff12",
        "1HGCM82633A\u2013004352",
    ],
)
def test_a_vin_is_read_as_people_paste_it(maintainer: User, pasted: str) -> None:
    assert add(maintainer, vin=pasted)["vin"] == VIN


@pytest.mark.parametrize(
    "vin",
    ["", None, 12345678901234567, True, [], {}, VIN[:-1], f"{VIN}1", "IHGCM82633A004352", "x" * 101,
     "1HGCM82633A00435ß", "1HGCM82633A00435\u0661"],
)  # fmt: skip
def test_another_value_than_a_vin_is_refused(maintainer: User, vin: Any) -> None:
    assert wrong_fields(api(maintainer).post(VEHICLES, {"vin": vin})) == ["vin"]
    assert not Vehicle.objects.exists()


def test_a_vin_is_taken_once(maintainer: User) -> None:
    add(maintainer)
    response = api(maintainer).post(VEHICLES, {"vin": VIN.lower()})
    assert wrong_fields(response) == ["vin"]
    other = make_vehicle(1)
    assert wrong_fields(api(maintainer).patch(address_of(other), {"vin": VIN})) == ["vin"]
    assert change(maintainer, other, vin=other.vin)["vin"] == other.vin


@pytest.mark.parametrize("method", ["post", "patch"])
def test_the_slower_of_two_requests_for_one_vin_is_told_so(maintainer: User, method: str) -> None:
    other = make_vehicle(1)
    client = api(maintainer)
    send = {"post": (client.post, VEHICLES), "patch": (client.patch, address_of(other))}[method]
    with meanwhile('"vehicles_vehicle"."vin" = ', lambda: add(maintainer)):
        response = send[0](send[1], {"vin": VIN})
    assert wrong_fields(response) == ["vin"]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"vinn": VIN}, ["vinn"]),
        ({"connection_status": "connected"}, ["connection_status"]),
        ({"connector": "carrier pigeon"}, ["connector"]),
        ({"connector": 1}, ["connector"]),
        ({"connector": None}, ["connector"]),
        ({"connector": "doip"}, ["connector_settings.host"]),
        ({"connector_settings": {"online": "yes"}}, ["connector_settings.online"]),
        ({"connector_settings": {"online": None}}, ["connector_settings.online"]),
        ({"connector_settings": {"speed": 1}}, ["connector_settings.speed"]),
        ({"connector_settings": []}, ["connector_settings"]),
        ({"connector_settings": None}, ["connector_settings"]),
        ({"connector_settings": "{}"}, ["connector_settings"]),
        ({"metadata": []}, ["metadata"]),
        ({"metadata": None}, ["metadata"]),
        ({"year": -1}, ["year"]),
        ({"year": 99999}, ["year"]),
        ({"year": "soon"}, ["year"]),
        ({"make": "x" * 101}, ["make"]),
        ({"make": "a\x00b"}, ["make"]),
        ({"ecus": {}}, ["ecus"]),
        ({"ecus": None}, ["ecus"]),
        ({"ecus": ["0x10"]}, ["ecus.0"]),
        ({"ecus": [{}]}, ["ecus.0.address"]),
        ({"ecus": [{"address": "0x10"}, {"address": "16"}]}, ["ecus.1.address"]),
        ({"ecus": [{"address": "0x10"}, {"address": "0x0010"}]}, ["ecus.1.address"]),
        ({"ecus": [{"address": "0x1a"}, {"address": "0x1A"}]}, ["ecus.1.address"]),
        ({"ecus": [{"address": "0x10", "colour": "red"}]}, ["ecus.0.colour"]),
        ({"ecus": [{"address": "0x10", "description": "a"}]}, ["ecus.0.description"]),
        ({"ecus": [{"address": "0x10", "logical_address": "1010"}]}, ["ecus.0.logical_address"]),
        ({"ecus": [{"address": "0x10", "name": "x" * 101}]}, ["ecus.0.name"]),
        ({"ecus": [{"address": "0x10", "name": None}]}, ["ecus.0.name"]),
        ({"ecus": [{"address": f"0x{n:04X}"} for n in range(501)]}, ["ecus"]),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(maintainer: User, body: dict[str, Any], wrong: list[str]) -> None:
    assert wrong_fields(api(maintainer).post(VEHICLES, {"vin": VIN} | body)) == wrong
    vehicle = make_vehicle(1, connector_settings={})
    assert wrong_fields(api(maintainer).patch(address_of(vehicle), body)) == wrong
    assert Vehicle.objects.get() == vehicle
    assert not vehicle.ecus.exists()
    assert not AuditEntry.objects.filter(action__endswith="vehicle").exists()


@pytest.mark.parametrize("address", ["0x1", "0x", "10", "0x100", "0x10 ", "0x10\n", "0xG0", "0X10"])
def test_an_ecu_address_has_two_or_four_digits(maintainer: User, address: str) -> None:
    response = api(maintainer).post(VEHICLES, {"vin": VIN, "ecus": [{"address": address}]})
    if address.strip() == "0x10":
        assert response.json()["ecus"][0]["address"] == "0x10"
    else:
        assert wrong_fields(response) == ["ecus.0.address"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 0), ("port", 65536), ("port", "13400"), ("port", True), ("port", 1.5),
        ("port", None), ("port", 10**400), ("port", [1]), ("host", ""), ("host", " "),
        ("host", "a b"), ("host", "a\nb"), ("host", 7), ("host", None), ("host", "x" * 300),
        ("source_address", "0x0E"), ("activation_type", 256), ("check_vin", "true"),
        ("response_timeout", 0), ("response_timeout", 1e9),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(maintainer: User, name: str, value: Any) -> None:
    body = {"vin": VIN, "connector": "doip", "connector_settings": {"host": "a", name: value}}
    assert wrong_fields(api(maintainer).post(VEHICLES, body)) == [f"connector_settings.{name}"]


SOVD = {"url": "https://192.0.2.10/sovd"}
CLIENT = {"client_id": "console", "token_url": "https://192.0.2.10/token"}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, ["url"]), ({"url": "ftp://a"}, ["url"]), ({"url": "http://a?token=1"}, ["url"]),
        ({"url": "http://me:secret@a"}, ["url"]), ({"url": "http://a\nb"}, ["url"]),
        (SOVD | {"base_uri": "v1"}, ["base_uri"]), (SOVD | {"token": "a b"}, ["token"]),
        (SOVD | {"client_id": "a"}, ["client_secret", "token_url"]),
        (SOVD | {"token_url": "http://a"}, ["client_id"]),
        (SOVD | {"ca_file": "ca.pem"}, ["ca_file"]), (SOVD | {"data_ids": "vin"}, ["data_ids"]),
        (SOVD | {"data_ids": {"F190": "vin"}}, ["data_ids"]),
        (SOVD | {"data_ids": {"0xF190": 7}}, ["data_ids.0xF190"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_setting_of_a_sovd_vehicle_is_named(
    maintainer: User, settings: dict[str, Any], wrong: list[str]
) -> None:
    body = {"vin": VIN, "connector": "sovd", "connector_settings": settings}
    response = api(maintainer).post(VEHICLES, body)
    assert wrong_fields(response) == [f"connector_settings.{name}" for name in wrong]
    assert "secret" not in response.content.decode().replace("client_secret", "")


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


def test_settings_are_stored_as_their_connector_reads_them(maintainer: User) -> None:
    settings = {"host": " 192.0.2.10\n", "port": 13400.0}
    added = add(maintainer, connector="doip", connector_settings=settings)
    assert added["connector_settings"] == {"host": "192.0.2.10", "port": 13400}
    assert isinstance(Vehicle.objects.get().connector_settings["port"], int)


def test_an_error_about_many_unknown_names_is_short(maintainer: User) -> None:
    settings = {f"{number:0200}": 1 for number in range(1000)}
    for body in ({"vin": VIN, "connector_settings": settings}, {"vin": VIN} | settings):
        response = api(maintainer).post(VEHICLES, body)
        assert response.status_code == 400
        assert len(response.content) < 10_000


# --- Changing


def test_a_change_replaces_settings_and_ecus_as_a_whole(maintainer: User) -> None:
    add(maintainer, **DOIP, ecus=[{"address": "0x10"}, {"address": "0x18", "name": "Gearbox"}])
    vehicle = Vehicle.objects.get()
    settings = {"host": "192.0.2.11", "port": 13401}
    changed = change(maintainer, vehicle, connector_settings=settings, ecus=[{"address": "0x0018"}])
    assert changed["connector_settings"] == settings
    assert [(ecu["address"], ecu["name"]) for ecu in changed["ecus"]] == [("0x0018", "")]
    again = change(maintainer, vehicle, connector_settings={"host": "192.0.2.11"}, make="Ford")
    assert again["connector_settings"] == {"host": "192.0.2.11"}
    assert len(again["ecus"]) == 1
    assert change(maintainer, vehicle, ecus=[])["ecus"] == []


def test_another_connector_needs_its_own_settings(maintainer: User, vehicle: Vehicle) -> None:
    response = api(maintainer).patch(address_of(vehicle), {"connector": "doip"})
    assert wrong_fields(response) == ["connector_settings.host", "connector_settings.online"]
    assert change(maintainer, vehicle, **DOIP)["connector"] == "doip"


def test_a_vehicle_of_a_connector_that_is_gone_needs_another_one(maintainer: User) -> None:
    vehicle = make_vehicle(1, connector="carrier_pigeon", connector_settings={"loft": 1})
    response = api(maintainer).patch(address_of(vehicle), {"connector_settings": {}})
    assert wrong_fields(response) == ["connector"]
    assert change(maintainer, vehicle, make="Ford")["connector_settings"] == {"loft": 1}
    assert change(maintainer, vehicle, **DOIP)["connector"] == "doip"


def test_a_vehicle_with_other_settings_is_disconnected_until_it_is_probed(
    maintainer: User,
) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    asyncio.run(drain())
    assert look(maintainer, vehicle)["connection_status"] == "connected"
    kept = change(maintainer, vehicle, make="Ford", connector_settings={}, ecus=[])
    assert kept["connection_status"] == "connected"
    away = change(maintainer, vehicle, connector_settings={"online": False})
    assert (away["connection_status"], away["probed_at"]) == ("disconnected", None)
    asyncio.run(drain())
    assert "offline" in look(maintainer, vehicle)["connection_problem"]
    change(maintainer, vehicle, connector_settings={"online": True})
    asyncio.run(drain())
    assert look(maintainer, vehicle)["connection_problem"] == ""
    moved = change(maintainer, vehicle, vin=VIN[:-1] + "3")
    assert moved["connection_status"] == "disconnected"


class ChangedMeanwhile(MockConnector):
    """A mock whose vehicle gets other settings while it is probed for the first time."""

    def __init__(self, user: User, vehicle: Vehicle) -> None:
        super().__init__()
        self.probed: list[Any] = []
        self._change = partial(change, user, vehicle, connector_settings={"online": False})

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        self.probed.append(vehicle.connector_settings)
        if len(self.probed) == 1:
            await asyncio.to_thread(self._change)
        return await super().probe(vehicle)


def test_a_probe_of_earlier_settings_tells_nothing(maintainer: User) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    connector = ChangedMeanwhile(maintainer, vehicle)
    asyncio.run(drain(connector))
    assert connector.probed == [{}, {"online": False}]
    assert look(maintainer, vehicle)["connection_status"] == "disconnected"


def look(user: User, vehicle: Vehicle) -> dict[str, Any]:
    shown: dict[str, Any] = api(user).get(address_of(vehicle)).json()
    return shown


# --- Secrets


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


# --- Deleting


@pytest.mark.embedded
def test_a_vehicle_without_commands_is_deleted(maintainer: User) -> None:
    add(maintainer, ecus=[{"address": "0x10"}])
    vehicle = Vehicle.objects.get()
    client = api(maintainer)
    assert client.delete(address_of(vehicle)).status_code == 204
    assert not Vehicle.objects.exists()
    assert client.delete(address_of(vehicle)).status_code == 404


def test_a_vehicle_with_commands_is_not_deleted(
    maintainer: User, operator: User, vehicle: Vehicle
) -> None:
    submit(operator, vehicle)
    response = api(maintainer).delete(address_of(vehicle))
    assert (response.status_code, response.json()["code"]) == (409, "has_commands")
    assert Command.objects.get().vehicle == vehicle


# --- Who may


@pytest.mark.embedded
@pytest.mark.parametrize("right", ["add_vehicle", "change_vehicle", "delete_vehicle", None])
def test_each_way_of_changing_vehicles_needs_its_own_permission(
    transactional_db: None, vehicle: Vehicle, right: str | None
) -> None:
    client = api(make_user("somebody", "view_vehicle", "add_command", *([right] if right else [])))
    attempts = {
        "add_vehicle": [client.post(VEHICLES, {"vin": VIN})],
        "change_vehicle": [
            client.patch(address_of(vehicle), {"make": "Ford"}),
            client.post(address_of(vehicle, "probe/")),
        ],
        "delete_vehicle": [client.delete(address_of(vehicle))],
    }
    for needed, responses in attempts.items():
        for response in responses:
            assert (response.status_code == 403) is (needed != right), needed
            if needed != right:
                assert f"vehicles.{needed}" in response.json()["detail"]
    made = Vehicle.objects.values_list("vin", "make").order_by("vin")
    expected = {
        "add_vehicle": [(vehicle.vin, "Honda"), (VIN, "")],
        "change_vehicle": [(vehicle.vin, "Ford")],
        "delete_vehicle": [],
        None: [(vehicle.vin, "Honda")],
    }
    assert list(made) == expected[right]


def test_nobody_changes_vehicles_without_a_login(vehicle: Vehicle) -> None:
    client = api(None)
    assert client.post(VEHICLES, {"vin": VIN}).status_code == 401
    assert client.patch(address_of(vehicle), {"make": "Ford"}).status_code == 401
    assert client.delete(address_of(vehicle)).status_code == 401
    assert client.post(address_of(vehicle, "probe/")).status_code == 401
    assert client.get("/api/v1/connectors/").status_code == 401


def test_a_vehicle_is_not_put(maintainer: User, vehicle: Vehicle) -> None:
    response = api(maintainer).put(address_of(vehicle), {"vin": VIN})
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


# --- Connectors and tests of a connection


@pytest.mark.embedded
def test_the_connectors_are_listed_with_the_schema_of_their_settings(stranger: User) -> None:
    page = api(stranger).get("/api/v1/connectors/").json()
    found = {row["name"]: row for row in page["results"]}
    assert found.keys() == CONNECTORS.keys()
    assert found["doip"]["settings_schema"]["properties"]["port"]["default"] == 13400
    assert found["mock"]["description"]


class WatchedConnector(MockConnector):
    """A mock that notes which of its probes are tests."""

    def __init__(self) -> None:
        super().__init__()
        self.tests: list[bool] = []

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        self.tests.append(with_ecus)
        return await super().probe(vehicle)


@pytest.mark.embedded
def test_a_test_of_the_connection_is_done_at_once_and_asks_the_ecus(maintainer: User) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    connector = WatchedConnector()
    asyncio.run(drain(connector))
    assert look(maintainer, vehicle)["probe_found"] is None
    response = api(maintainer).post(address_of(vehicle, "probe/"))
    assert response.status_code == 202
    assert response.json()["probe_requested_at"]
    asyncio.run(drain(connector))
    assert connector.tests == [False, True]
    shown = look(maintainer, vehicle)
    assert shown["probe_requested_at"] is None
    assert shown["probe_found"]["vin"] == VIN
    assert "0x10" in shown["probe_found"]["ecus"]
    assert datetime.fromisoformat(shown["probed_at"]) >= datetime.fromisoformat(
        response.json()["probe_requested_at"]
    )
    (entry,) = AuditEntry.objects.filter(action="test_connection")
    assert (entry.subject, entry.username) == (str(vehicle.pk), "maintainer")


class AskedMeanwhile(WatchedConnector):
    """A mock whose connection somebody tests during its first probe."""

    def __init__(self, user: User, vehicle: Vehicle) -> None:
        super().__init__()
        self._client, self._address = api(user), address_of(vehicle, "probe/")
        self.running = self.most_at_once = 0

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        if not self.tests:
            assert (await asyncio.to_thread(self._client.post, self._address)).status_code == 202
            await drain(self)
        found = await super().probe(vehicle, with_ecus=with_ecus)
        self.running -= 1
        return found


def test_a_test_waits_for_the_probe_that_runs_already(maintainer: User) -> None:
    add(maintainer)
    vehicle = Vehicle.objects.get()
    connector = AskedMeanwhile(maintainer, vehicle)
    asyncio.run(drain(connector))
    assert connector.tests == [False, True]
    assert connector.most_at_once == 1
    assert look(maintainer, vehicle)["probe_found"]
