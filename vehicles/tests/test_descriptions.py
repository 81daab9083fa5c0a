"""Import of PDX files: what is in them, and what is refused."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from commands.models import Action, AuditEntry
from conftest import browser, make_user, make_vehicle, token_of
from vehicles.descriptions import importing, storage
from vehicles.descriptions.models import Description, Entry, FilePart, Layer, State
from vehicles.tests import pdx
from vehicles.tests.hostile_pdx import HOSTILE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded]


def imported(content: bytes) -> Description:
    description = storage.add("engine.pdx", [content])
    importing.import_next()
    description.refresh_from_db()
    return description


def entries(description: Description, layer: str) -> dict[tuple[str, int], str]:
    rows = Entry.objects.filter(layer__description=description, layer__name=layer)
    return {(row.kind, row.number): row.name for row in rows}


def test_a_file_is_imported_with_its_layers_codes_identifiers_and_routines() -> None:
    description = imported(pdx.pdx())
    assert (description.state, description.reason) == (State.READY, "")
    assert description.revision == "4.2"
    assert description.layers == ["ENGINE", "ENGINE_V2"]
    counts = (description.dtc_count, description.did_count, description.routine_count)
    assert counts == (2, 12, 1)
    assert description.left_out == []
    base = entries(description, "ENGINE")
    assert base["dtc", 0x042000] == "Catalyst efficiency too low"
    assert base["data", 0xF190] == "Vehicle identification number"
    assert base["routine", 0x0203] == "Self-test"
    assert entries(description, "ENGINE_V2") == {("data", 0xD010): "Oil temperature"}
    assert not FilePart.objects.exists()


def test_an_element_that_is_wrong_costs_only_itself() -> None:
    text = pdx.engine()
    text = text.replace('<DOP-REF ID-REF="dop.speed"/>', '<DOP-REF ID-REF="dop.none"/>')
    text = text.replace("<TROUBLE-CODE>270336</TROUBLE-CODE>", "<TROUBLE-CODE>x</TROUBLE-CODE>")
    text = text.replace("<BIT-LENGTH>136</BIT-LENGTH>", "<BIT-LENGTH>many</BIT-LENGTH>")
    description = imported(pdx.archive({"engine.odx-d": text, "other.odx-d": "<ODX"}))
    assert description.state == State.READY
    assert (description.dtc_count, description.did_count) == (1, 12)
    left_out = {each["name"]: each["reason"] for each in description.left_out}
    assert "dop.none" in left_out["PR_Speed"]
    assert {"DTC_P0420", "vin", "other.odx-d"} <= left_out.keys()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_reason_and_leaves_nothing(
    name: str, settings: Any
) -> None:
    settings.DESCRIPTION_IMPORT_MEMORY_MB = 400
    make, reason = HOSTILE[name]
    description = imported(make())
    assert (description.state, description.layers) == (State.REFUSED, [])
    assert reason in description.reason
    assert not (FilePart.objects.exists())
    assert not (Layer.objects.exists())
    assert not (Entry.objects.exists())


def test_an_import_that_takes_too_long_is_ended(settings: Any) -> None:
    settings.DESCRIPTION_IMPORT_SECONDS = 0
    description = imported(pdx.pdx())
    assert "DESCRIPTION_IMPORT_SECONDS" in description.reason
    assert not (FilePart.objects.exists())
    assert not (Layer.objects.exists())


def test_an_import_that_is_stopped_is_taken_up_again() -> None:
    description = storage.add("engine.pdx", [pdx.pdx()])
    importing.import_next(lambda: True)
    description.refresh_from_db()
    assert (description.state, description.attempts) == (State.IMPORTING, 0)
    assert not Layer.objects.exists()
    importing.import_next()
    description.refresh_from_db()
    assert description.state == State.READY


def test_a_file_that_costs_its_workers_is_refused() -> None:
    description = storage.add("engine.pdx", [pdx.pdx()])
    Description.objects.update(attempts=storage.MAX_ATTEMPTS)
    importing.import_next()
    description.refresh_from_db()
    assert description.state == State.REFUSED
    assert "broken off" in description.reason
    assert not FilePart.objects.exists()


# --- Uploads


def send(client: Client, user: Any, content: bytes, name: str = "engine.pdx") -> Any:
    return client.post(
        "/api/v1/descriptions/",
        {"file": SimpleUploadedFile(name, content)},
        headers={"Authorization": f"Bearer {token_of(user)}"},
    )


def test_an_upload_is_accepted_imported_and_deleted_unless_it_is_used(client: Client) -> None:
    user = make_user(
        "maintainer", "add_description", "delete_description", "view_vehicle", "change_vehicle"
    )
    answer = send(client, user, pdx.pdx(), "../etc/engine.pdx")
    assert (answer.status_code, answer.json()["state"]) == (202, "importing")
    importing.import_next()
    address = f"/api/v1/descriptions/{answer.json()['description_id']}/"
    headers = {"Authorization": f"Bearer {token_of(user)}"}
    report = client.get(address, headers=headers).json()
    assert (report["state"], report["file_name"]) == ("ready", "engine.pdx")
    assert AuditEntry.objects.filter(action=Action.ADD_DESCRIPTION).count() == 1
    vehicle = make_vehicle()

    def patch(**ecu: Any) -> Any:
        return client.patch(
            f"/api/v1/vehicles/{vehicle.pk}/",
            json.dumps({"ecus": [{"address": "0x10", **ecu}]}),
            content_type="application/json",
            headers=headers,
        )

    number = report["description_id"]
    wrong = patch(description=number, variant="NONE")
    assert (wrong.status_code, list(wrong.json()["fields"])) == (400, ["ecus.0.variant"])
    assert patch(description=str(vehicle.pk)).status_code == 400
    right = patch(description=number, variant="ENGINE_V2")
    assert right.status_code == 200, right.content
    assert right.json()["ecus"][0]["description"] == number
    told = client.get(address, headers=headers).json()
    assert (told["ecu_count"], told["vehicle_count"]) == (1, 1)
    using = {"vehicle_id": str(vehicle.pk), "vin": vehicle.vin, "ecus": ["0x10"]}
    assert told["vehicles"] == [using]
    assert client.delete(address, headers=headers).status_code == 409
    assert patch().status_code == 200
    assert client.delete(address, headers=headers).status_code == 204
    assert not (Description.objects.exists())
    assert not (Entry.objects.exists())


def test_an_upload_that_is_too_large_or_missing_names_the_field(
    client: Client, settings: Any
) -> None:
    settings.DESCRIPTION_MAX_MB = 1
    user = make_user("maintainer", "add_description")
    answer = send(client, user, b"x" * (1024**2 + 1))
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["file"])
    headers = {"Authorization": f"Bearer {token_of(user)}"}
    assert client.post("/api/v1/descriptions/", {}, headers=headers).status_code == 400
    assert not Description.objects.exists()


def test_the_shell_command_imports_and_reports(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "engine.pdx").write_bytes(pdx.pdx())
    call_command("import_pdx", str(tmp_path / "engine.pdx"))
    assert "2 trouble codes, 12 identifiers, 1 routines" in capsys.readouterr().out


def test_the_names_of_an_ecu_can_be_searched(client: Client) -> None:
    user = make_user("operator", "view_vehicle")
    vehicle = make_vehicle()
    description = imported(pdx.pdx())
    vehicle.ecus.create(address="0x10", description=description, variant="ENGINE_V2")

    def found(**question: str) -> Any:
        answer = client.get(
            f"/api/v1/vehicles/{vehicle.pk}/names/",
            {"ecu_address": "0x0010", "kind": "data", **question},
            headers={"Authorization": f"Bearer {token_of(user)}"},
        )
        assert answer.status_code == 200, answer.content
        return answer.json()["results"]

    assert len(found()) == 12
    assert found(search="OIL temp") == [{"number": "0xD010", "name": "Oil temperature"}]
    assert found(search="f19") == [{"number": "0xF190", "name": "Vehicle identification number"}]
    assert found(kind="routine") == [{"number": "0x0203", "name": "Self-test"}]
    assert found(ecu_address="0x18") == []


def test_the_admin_takes_a_file_and_shows_the_report_of_its_import() -> None:
    client = browser(make_user("admin", is_staff=True, is_superuser=True))
    file = SimpleUploadedFile("engine.pdx", pdx.pdx())
    answer = client.post("/admin/vehicles/description/add/", {"file": file})
    assert answer.status_code == 302
    importing.import_next()
    description = Description.objects.get()
    page = client.get(f"/admin/vehicles/description/{description.pk}/change/").content.decode()
    assert "ENGINE_V2" in page
    assert AuditEntry.objects.filter(action=Action.ADD_DESCRIPTION).count() == 1


def test_the_admin_deletes_a_description_that_no_ecu_names() -> None:
    client = browser(make_user("admin", is_staff=True, is_superuser=True))
    description = imported(pdx.pdx())
    address = f"/admin/vehicles/description/{description.pk}/delete/"
    ecu = make_vehicle().ecus.create(address="0x10", description=description)
    assert client.post(address, {"post": "yes"}).status_code == 403
    ecu.delete()
    assert description.file_name in client.get(address).content.decode()
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not Description.objects.exists()
    assert not Entry.objects.exists()
    assert AuditEntry.objects.filter(action=Action.DELETE_DESCRIPTION).count() == 1
