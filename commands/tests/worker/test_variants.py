"""Variants of ECUs, recognized by what commands read for another reason."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.database.threads import in_thread
from conftest import api, drain, log_of, make_user, submit
from vehicles.connectors.mock import MockConnector
from vehicles.descriptions import importing, storage
from vehicles.descriptions.models import Description, Layer
from vehicles.models import Vehicle
from vehicles.tests import pdx

pytestmark = pytest.mark.embedded

SCAN: dict[str, Any] = {"command_name": "ScanVehicle", "command_params": {}}
SOFTWARE = {"ecuAddress": "0x10", "dataId": "0xF189"}
READ = {"command_name": "ReadDataByID", "command_params": SOFTWARE}
PROOF = {"name": "Version of the software", "parameter": "text", "value": "1.4.2"}


def write(text: bytes) -> dict[str, Any]:
    return {"command_name": "WriteDataByID", "command_params": SOFTWARE | {"data": text.hex()}}


@pytest.fixture
def maintainer(transactional_db: None) -> User:
    rights = ("add_command", "send_intrusive", "view_vehicle", "change_vehicle")
    return make_user("maintainer", *rights)


@pytest.fixture
def described(vehicle: Vehicle) -> Vehicle:
    description = storage.add("engine.pdx", [pdx.recognizable()])
    importing.import_one(description)
    vehicle.ecus.create(address="0x10", name="Engine", description=description)
    return vehicle


class Sender:
    """A user whose commands go to one simulated vehicle."""

    def __init__(self, user: User) -> None:
        self._user, self._connector = user, MockConnector()

    async def __call__(self, vehicle: Vehicle, body: dict[str, Any]) -> list[dict[str, Any]]:
        command = await in_thread(submit, self._user, vehicle, body)
        await drain(self._connector)
        log = await in_thread(log_of, self._user, command)
        return [frame["response"] for frame in log if "response" in frame]


@pytest.fixture
def send(maintainer: User) -> Sender:
    return Sender(maintainer)


def matched(user: User, vehicle: Vehicle) -> list[dict[str, Any]]:
    answer = api(user).get(f"/api/v1/vehicles/{vehicle.pk}/")
    found: list[dict[str, Any]] = answer.json()["matched_variants"]
    return found


def change(user: User, vehicle: Vehicle, **ecu: Any) -> None:
    known = {"address": "0x10", "description": str(Description.objects.get().pk)}
    body = {"ecus": [known | ecu]}
    answer = api(user).patch(f"/api/v1/vehicles/{vehicle.pk}/", body, format="json")
    assert answer.status_code == 200, answer.content


def test_patterns_that_cannot_be_applied_are_left_out(described: Vehicle) -> None:
    assert [len(layer.patterns) for layer in Layer.objects.order_by("pk")] == [0, 1, 2]
    (left_out,) = Description.objects.get().left_out
    assert left_out["name"] == "ENGINE_V2"
    assert "StartTest" in left_out["reason"]


async def test_a_scan_tells_the_variant_and_by_which_value(
    maintainer: User, described: Vehicle, send: Sender
) -> None:
    engine, _ = await send(described, SCAN)

    assert engine["variant"] == {
        "name": "ENGINE_V2",
        "matchedBy": [{"dataId": "0xF189", **PROOF}],
    }
    names = {"0xF187": "Part number of V2", "0xF189": "Version of the software"}
    assert engine["identificationNames"].items() >= names.items()
    (match,) = await in_thread(matched, maintainer, described)
    assert (match["address"], match["variant"]) == ("0x10", "ENGINE_V2")
    assert match["matched_by"] == [{"data_id": "0xF189", **PROOF}]


async def test_a_variant_that_somebody_has_chosen_stays(
    maintainer: User, described: Vehicle, send: Sender
) -> None:
    await in_thread(change, maintainer, described, variant="ENGINE_V1")

    engine, _ = await send(described, SCAN)

    assert "variant" not in engine
    assert engine["identificationNames"]["0xF187"] == "Part number of V1"
    assert await in_thread(matched, maintainer, described) == []


async def test_a_value_that_fits_no_variant_takes_the_match_back(
    maintainer: User, described: Vehicle, send: Sender
) -> None:
    *_, data = await send(described, READ)
    assert data["variant"]["name"] == "ENGINE_V2"
    await send(described, write(b"9.9.9"))
    assert len(await in_thread(matched, maintainer, described)) == 1  # nothing was read

    *_, data = await send(described, READ)

    assert "variant" not in data
    assert await in_thread(matched, maintainer, described) == []


async def test_a_pattern_of_several_values_needs_all_of_them(
    maintainer: User, described: Vehicle, send: Sender
) -> None:
    await send(described, write(b"2.7.1"))

    engine, _ = await send(described, SCAN)  # the part number is another one

    assert "variant" not in engine


async def test_a_match_stays_as_long_as_the_ecu_is_the_same(
    maintainer: User, described: Vehicle, send: Sender
) -> None:
    await send(described, READ)

    await in_thread(change, maintainer, described, name="Another name")
    assert len(await in_thread(matched, maintainer, described)) == 1
    await in_thread(change, maintainer, described, logical_address="0x1010")
    assert await in_thread(matched, maintainer, described) == []
