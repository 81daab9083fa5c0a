"""Vehicles are added by the API, and wrong fields named."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.models import AuditEntry
from commands.tests.api.vehicle_requests import (
    DOIP,
    SOVD,
    VEHICLES,
    VIN,
    add,
    address_of,
    change,
    wrong_fields,
)
from conftest import api, make_vehicle, meanwhile
from vehicles.models import Vehicle


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
