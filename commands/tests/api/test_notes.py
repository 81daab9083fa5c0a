"""Notes on vehicles, by people who may see them."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.api.vehicles.notes import MAX_CHARACTERS
from commands.models import AuditEntry, Note
from conftest import api, make_user, make_vehicle
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded


def address_of(vehicle: Vehicle, note: dict[str, Any] | None = None) -> str:
    of_note = f"{note['note_id']}/" if note else ""
    return f"/api/v1/vehicles/{vehicle.pk}/notes/{of_note}"


def write(user: User, vehicle: Vehicle, text: str) -> dict[str, Any]:
    response = api(user).post(address_of(vehicle), {"text": text})
    assert response.status_code == 201, response.content
    note: dict[str, Any] = response.json()
    return note


def test_whoever_may_see_a_vehicle_reads_and_writes_its_notes(
    operator: User, viewer: User, vehicle: Vehicle
) -> None:
    first = write(operator, vehicle, "Battery changed.\nDrives again.")
    second = write(viewer, vehicle, "x" * MAX_CHARACTERS)
    write(viewer, make_vehicle(102), "Another vehicle")
    assert (first["author"], first["text"]) == ("operator", "Battery changed.\nDrives again.")
    page = api(operator).get(address_of(vehicle)).json()
    assert page == {"next": None, "previous": None, "results": [second, first]}
    shown = api(operator).get(f"/api/v1/vehicles/{vehicle.pk}/").json()
    assert shown["note_count"] == 2


def test_only_the_author_deletes_a_note_and_nobody_changes_it(
    operator: User, viewer: User, vehicle: Vehicle
) -> None:
    note = write(operator, vehicle, "Mine")
    response = api(viewer).delete(address_of(vehicle, note))
    assert (response.status_code, "operator" in response.json()["detail"]) == (403, True)
    assert api(operator).patch(address_of(vehicle, note), {"text": "a"}).status_code == 405
    assert api(operator).delete(address_of(make_vehicle(102), note)).status_code == 404
    assert api(operator).delete(address_of(vehicle, note)).status_code == 204
    assert not Note.objects.exists()
    entries = AuditEntry.objects.order_by("pk").values_list("action", "subject", "details")
    details = {"vin": vehicle.vin, "note_id": note["note_id"]}
    assert list(entries) == [
        ("add_note", str(vehicle.pk), details),
        ("delete_note", str(vehicle.pk), details),
    ]


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_CHARACTERS + 1), 7, None, "a\x00b"])
def test_another_text_is_refused(operator: User, vehicle: Vehicle, text: Any) -> None:
    response = api(operator).post(address_of(vehicle), {"text": text})
    assert (response.status_code, [*response.json()["fields"]]) == (400, ["text"])


def test_users_who_may_not_see_vehicles_see_no_notes(vehicle: Vehicle) -> None:
    client = api(make_user("without", "add_command"))
    assert client.get(address_of(vehicle)).status_code == 403
    assert client.post(address_of(vehicle), {"text": "a"}).status_code == 403
    assert not Note.objects.exists()
