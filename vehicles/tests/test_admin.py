"""Vehicles are maintained in the admin."""

import json
import re
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from commands.models import AuditEntry
from conftest import browser, make_user, make_vehicle, meanwhile, submit
from vehicles.connectors import CONNECTORS
from vehicles.connectors.mock import MockConnector
from vehicles.models import ConnectionStatus, Ecu, Vehicle

VEHICLES = "/admin/vehicles/vehicle/"
GOOD_VIN = "1HGCM82633A004352"
WRONG_CHECK_DIGIT = "1HGCM82643A004352"


def vehicle_form(**changes: Any) -> dict[str, Any]:
    return {
        "vin": GOOD_VIN,
        "make": "Honda",
        "model": "Accord",
        "year": "2003",
        "connector": "mock",
        "connector_settings": "{}",
        "metadata": '{"fleet": "north"}',
        **ecu_rows([]),
    } | changes


def ecu_rows(rows: list[dict[str, Any]], known: int = 0) -> dict[str, Any]:
    """Return the part of the form that has the ECUs, of which `known` have a row already."""
    numbers = {"TOTAL_FORMS": len(rows), "INITIAL_FORMS": known, "MAX_NUM_FORMS": 1000}
    form = {f"ecus-{name}": number for name, number in numbers.items()}
    for place, row in enumerate(rows):
        form |= {f"ecus-{place}-{name}": value for name, value in row.items()}
    return form


def known_rows(vehicle: Vehicle, *changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the vehicle's ECUs with these changes, in their order."""
    about = ("address", "name", "logical_address", "component", "variant")
    return [
        {"id": ecu.pk, "vehicle": vehicle.pk}
        | {name: getattr(ecu, name) for name in about}
        | change
        for ecu, change in zip(vehicle.ecus.all(), changes, strict=True)
    ]


def change(admin: User, vehicle: Vehicle, **changes: Any) -> Any:
    form = vehicle_form(vin=vehicle.vin, **changes)
    return browser(admin).post(f"{VEHICLES}{vehicle.pk}/change/", form)


def addresses(vehicle: Vehicle) -> list[tuple[str, str]]:
    return list(vehicle.ecus.values_list("address", "name"))


def nested(depth: int) -> str:
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


@pytest.fixture
def admin(transactional_db: None) -> User:
    return make_user("admin", is_staff=True, is_superuser=True)


def add_vehicle(admin: User, **changes: Any) -> Any:
    return browser(admin).post(f"{VEHICLES}add/", vehicle_form(**changes), follow=True)


def said(response: Any) -> list[str]:
    """Return the messages that a page shows."""
    return [str(message) for message in response.context["messages"]]


@pytest.mark.embedded
def test_an_admin_adds_a_vehicle(admin: User) -> None:
    response = add_vehicle(admin)
    vehicle = Vehicle.objects.get()
    assert (vehicle.vin, vehicle.year, vehicle.metadata) == (GOOD_VIN, 2003, {"fleet": "north"})
    assert vehicle.last_seen_at is None
    assert len(said(response)) == 1


def test_an_admin_changes_a_vehicle(admin: User, vehicle: Vehicle) -> None:
    client = browser(admin)
    client.post(f"{VEHICLES}{vehicle.pk}/change/", vehicle_form(model="Civic"))
    vehicle.refresh_from_db()
    assert (vehicle.vin, vehicle.model) == (GOOD_VIN, "Civic")


def test_a_wrong_check_digit_warns_and_saves(admin: User) -> None:
    response = add_vehicle(admin, vin=WRONG_CHECK_DIGIT)
    assert Vehicle.objects.get().vin == WRONG_CHECK_DIGIT
    assert [message for message in said(response) if "check digit" in message]


@pytest.mark.parametrize(
    "vin", ["", "1HGCM82633A00435", "1HGCM82633A0043521", "IHGCM82633A004352", "x" * 5000]
)
def test_a_wrong_vin_is_not_saved(admin: User, vin: str) -> None:
    assert add_vehicle(admin, vin=vin).context["errors"]
    assert not Vehicle.objects.exists()


def test_a_vin_is_taken_once(admin: User) -> None:
    make_vehicle(1)
    response = add_vehicle(admin, vin="1HGCM82623A000001")
    assert "already exists" in response.content.decode()
    assert Vehicle.objects.count() == 1


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "{",
        '{"a": "\\u0000"}',
        '{"\\u0000": 1}',
        '{"a": "\\ud800"}',
        '{"a": NaN}',
        '{"a": 1e999}',
        "[" * 100_000 + "]" * 100_000,
        "9" * 5_000,
        "9223372036854775808",
        *(nested(depth) for depth in (34, 330, 930, 960, 990, 20_000)),
        f'"{"x" * 300_000}"',
    ],
    ids=lambda text: f"{text[:20]!a}-{len(text)}",
)
def test_metadata_that_the_database_or_the_api_cannot_hold_is_refused(
    admin: User, metadata: str
) -> None:
    response = add_vehicle(admin, metadata=metadata)
    assert response.status_code == 200
    assert Vehicle.objects.exists() is (metadata == "")
    vehicle = make_vehicle(metadata={"a": 1})
    form = vehicle_form(vin=vehicle.vin, metadata=metadata)
    changed = browser(admin).post(f"{VEHICLES}{vehicle.pk}/change/", form)
    assert changed.status_code == (302 if metadata == "" else 200)
    vehicle.refresh_from_db()
    assert vehicle.metadata == ({} if metadata == "" else {"a": 1})


def test_metadata_may_be_as_deep_as_a_body_of_the_api(admin: User) -> None:
    page = add_vehicle(admin, metadata=nested(34)).content.decode()
    assert "is nested deeper than 32 levels" in page
    add_vehicle(admin, metadata=nested(33))
    assert Vehicle.objects.get().metadata["a"]


@pytest.mark.parametrize("rights", [["view_vehicle"], ["add_command"], []])
def test_a_user_without_the_right_changes_no_vehicle(vehicle: Vehicle, rights: list[str]) -> None:
    client = browser(make_user("other", *rights, is_staff=True))
    assert client.get(VEHICLES).status_code == (200 if "view_vehicle" in rights else 403)
    for address in (f"{VEHICLES}add/", f"{VEHICLES}{vehicle.pk}/change/"):
        assert client.post(address, vehicle_form()).status_code == 403
    assert Vehicle.objects.get() == vehicle
    assert Vehicle.objects.get().vin == vehicle.vin


@pytest.mark.embedded
def test_vehicles_without_a_make_are_found_by_a_link_with_words(
    admin: User, vehicle: Vehicle
) -> None:
    make_vehicle(2)
    Vehicle.objects.filter(pk=vehicle.pk).update(make="")
    page = browser(admin).get(VEHICLES).content.decode()
    assert re.search(r'<a href="\?make=">\s*\(none\)\s*</a>', page)
    found = browser(admin).get(VEHICLES, {"make": ""}).context["cl"].queryset
    assert [*found] == [vehicle]


@pytest.mark.parametrize(
    ("row", "seconds_ago", "shown"),
    [
        ("connected", 0, "connected"),
        ("connected", 3600, "disconnected"),
        ("connected", None, "disconnected"),
        ("error", 0, "error"),
        ("disconnected", 0, "disconnected"),
    ],
)
def test_the_list_shows_the_connection_as_it_is(
    viewer: User, row: str, seconds_ago: int | None, shown: str
) -> None:
    seen = None if seconds_ago is None else timezone.now() - timedelta(seconds=seconds_ago)
    vehicle = make_vehicle(1, connection_status=row, last_seen_at=seen)
    client = browser(viewer)
    page = client.get(VEHICLES).content.decode()
    assert f'<td class="field-connection">{shown}</td>' in page
    for status in ConnectionStatus.values:
        page = client.get(f"{VEHICLES}?connection_status={status}").content.decode()
        assert (str(vehicle.pk) in page) is (status == shown)


@pytest.mark.parametrize(
    "pasted", [" 1HGCM82633A004352 ", "1hgcm82633a004352", "1HG CM826 33A004352"]
)
def test_a_pasted_vin_is_read_whole(admin: User, pasted: str) -> None:
    page = browser(admin).get(f"{VEHICLES}add/").content.decode()
    (field,) = [tag for tag in page.split("<") if 'name="vin"' in tag]
    assert "maxlength" not in field
    add_vehicle(admin, vin=pasted)
    assert Vehicle.objects.get().vin == GOOD_VIN


def test_the_form_of_a_new_vehicle_shows_nothing_that_it_has_not_yet(admin: User) -> None:
    page = browser(admin).get(f"{VEHICLES}add/").content.decode()
    assert "DatabaseDefault" not in page
    assert "Created at" not in page


def test_nobody_sets_the_connection_by_hand(admin: User, vehicle: Vehicle) -> None:
    change(admin, vehicle, connection_status="error", connector_settings='{"online": true}')
    vehicle.refresh_from_db()
    assert vehicle.connection_status == "connected"


@pytest.mark.parametrize(
    ("connector", "settings", "words"),
    [
        ("doip", "{}", "host: Required"),
        ("doip", '{"host": "a", "port": 0}', "port: Not valid"),
        ("mock", '{"speed": 1}', "speed: Unknown setting"),
        ("mock", "[]", "Enter a JSON object"),
        ("mock", "{", "Enter a valid JSON"),
        ("pigeon", "{}", "Select a valid choice"),
    ],
)
def test_wrong_settings_are_an_error_of_the_form(
    admin: User, vehicle: Vehicle, connector: str, settings: str, words: str
) -> None:
    for response in (
        add_vehicle(admin, connector=connector, connector_settings=settings),
        change(admin, vehicle, connector=connector, connector_settings=settings),
    ):
        assert response.status_code == 200
        assert words in response.content.decode()
    assert Vehicle.objects.get().connector == "mock"


def test_other_settings_disconnect_the_vehicle_until_it_is_probed(
    admin: User, vehicle: Vehicle
) -> None:
    settings = '{"host": "192.0.2.10", "port": 13400.0}'
    change(admin, vehicle, connector="doip", connector_settings=settings)
    vehicle.refresh_from_db()
    assert vehicle.connector_settings == {"host": "192.0.2.10", "port": 13400}
    assert vehicle.connection_status == "disconnected"


class SecretiveConnector(MockConnector):
    name: ClassVar[str] = "secretive"
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "description": "the address."},
            "token": {"type": "string", "description": "a text.", "writeOnly": True},
        },
        "additionalProperties": False,
    }


def test_a_secret_is_kept_and_shown_nowhere(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTORS, "secretive", SecretiveConnector)
    first, second = "s3cret-one", "s3cret-two"

    def settings(url: str, **more: Any) -> dict[str, str]:
        text = json.dumps({"url": url} | more)
        return {"connector": "secretive", "connector_settings": text}

    refused = add_vehicle(admin, vin="no", **settings("a", token=first))
    add_vehicle(admin, **settings("a", token=first))
    vehicle = Vehicle.objects.get()
    assert vehicle.connector_secrets == {"token": first}
    change(admin, vehicle, **settings("b"))
    vehicle.refresh_from_db()
    assert (vehicle.connector_settings, vehicle.connector_secrets) == (
        {"url": "b"},
        {"token": first},
    )
    change(admin, vehicle, **settings("b", token=second))
    client = browser(admin)
    pages = [
        client.get(f"{VEHICLES}{vehicle.pk}/{part}").content.decode()
        for part in ("change/", "history/")
    ]
    told = [str(entry.details) for entry in AuditEntry.objects.all()]
    assert len([details for details in told if "connector_settings.token" in details]) == 2
    for text in [refused.content.decode(), *pages, *told]:
        assert "s3cret" not in text
    change(admin, vehicle, **settings("b", token=None))
    vehicle.refresh_from_db()
    assert vehicle.connector_secrets == {}


# --- ECUs


def test_ecus_are_added_with_their_vehicle(admin: User) -> None:
    rows = [{"address": "0x1a", "name": "Engine"}, {"address": "0x10 "}]
    add_vehicle(admin, **ecu_rows(rows))
    assert addresses(Vehicle.objects.get()) == [("0x10", ""), ("0x1A", "Engine")]


@pytest.mark.parametrize("other", ["0x10", "0x0010"])
def test_an_address_that_comes_twice_is_an_error_of_the_form(admin: User, other: str) -> None:
    response = add_vehicle(admin, **ecu_rows([{"address": "0x10"}, {"address": other}]))
    assert response.status_code == 200
    assert "0x10 is the same ECU" in response.content.decode()
    assert not Vehicle.objects.exists()


@pytest.mark.parametrize("address", ["", "10", "0x1", "0x10000", "0x10\x00"])
def test_a_wrong_address_is_an_error_of_the_form(admin: User, address: str) -> None:
    response = add_vehicle(admin, **ecu_rows([{"address": address, "name": "Engine"}]))
    assert response.status_code in (200, 400)
    assert not Vehicle.objects.exists()


@pytest.fixture
def two_ecus(vehicle: Vehicle) -> Vehicle:
    for address, name in (("0x10", "Engine"), ("0x18", "Gearbox")):
        Ecu.objects.create(vehicle=vehicle, address=address, name=name)
    return vehicle


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ([{"address": "0x18"}, {"address": "0x10"}], [("0x10", "Gearbox"), ("0x18", "Engine")]),
        ([{"address": "0x18"}, {"DELETE": "on"}], [("0x18", "Engine")]),
        ([{"name": "Motor"}, {}], [("0x10", "Motor"), ("0x18", "Gearbox")]),
        ([{"address": "0x0010"}, {}], [("0x0010", "Engine"), ("0x18", "Gearbox")]),
        ([{"DELETE": "on"}, {"DELETE": "on"}], []),
    ],
)
def test_ecus_are_changed_together(
    admin: User, two_ecus: Vehicle, changes: list[dict[str, Any]], after: list[tuple[str, str]]
) -> None:
    rows = known_rows(two_ecus, *changes)
    response = change(admin, two_ecus, **ecu_rows(rows, known=2))
    assert response.status_code == 302
    assert addresses(two_ecus) == after


def test_an_ecu_that_is_removed_frees_its_address(admin: User, two_ecus: Vehicle) -> None:
    rows = known_rows(two_ecus, {"DELETE": "on"}, {})
    change(admin, two_ecus, **ecu_rows([*rows, {"address": "0x10", "name": "New"}], known=2))
    assert addresses(two_ecus) == [("0x10", "New"), ("0x18", "Gearbox")]


def test_an_ecu_that_somebody_else_added_is_an_error_of_the_form(
    admin: User, two_ecus: Vehicle
) -> None:
    response = change(admin, two_ecus, **ecu_rows([{"address": "0x0018"}]))
    assert response.status_code == 200
    assert "0x18 is the same ECU" in response.content.decode()
    assert len(addresses(two_ecus)) == 2


# --- Races, deletion and audit


def test_the_slower_of_two_who_add_one_vin_gets_an_error_of_the_form(admin: User) -> None:
    def be_faster() -> None:
        Vehicle.objects.create(vin=GOOD_VIN)

    with meanwhile('"vehicles_vehicle"."vin" = ', be_faster):
        response = add_vehicle(admin)
    assert response.status_code == 200
    assert "already exists" in response.content.decode()


def test_only_a_vehicle_without_commands_can_be_deleted(
    admin: User, operator: User, vehicle: Vehicle
) -> None:
    client, other = browser(admin), make_vehicle(1)
    submit(operator, vehicle)
    assert "delete_selected" not in client.get(VEHICLES).content.decode()
    for each, may_be_deleted in ((vehicle, False), (other, True)):
        page = client.get(f"{VEHICLES}{each.pk}/change/").content.decode()
        assert ('class="deletelink"' in page) is may_be_deleted
        response = client.post(f"{VEHICLES}{each.pk}/delete/", {"post": "yes"})
        assert response.status_code == (302 if may_be_deleted else 403)
    assert list(Vehicle.objects.all()) == [vehicle]


def test_each_change_is_in_the_audit(admin: User) -> None:
    add_vehicle(admin, **ecu_rows([{"address": "0x10"}]))
    vehicle = Vehicle.objects.get()
    rows = ecu_rows(known_rows(vehicle, {}), known=1)
    change(admin, vehicle, make="Ford", **rows)
    change(admin, vehicle, make="Ford", **rows)
    browser(admin).post(f"{VEHICLES}{vehicle.pk}/delete/", {"post": "yes"})
    entries = AuditEntry.objects.filter(subject=str(vehicle.pk)).order_by("pk")
    fields = ["vin", "make", "model", "year", "metadata", "ecus"]
    assert [(entry.username, entry.action, entry.details) for entry in entries] == [
        ("admin", "add_vehicle", {"vin": GOOD_VIN, "fields": fields}),
        ("admin", "change_vehicle", {"vin": GOOD_VIN, "fields": ["make"]}),
        ("admin", "delete_vehicle", {"vin": GOOD_VIN}),
    ]
