"""The codes of a read, compared with the last earlier read of its ECU."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands.models import Command
from commands.tests.vehicle_responses import dtc, ecu, read, read_masked, scan
from commands.trouble_codes import log
from conftest import api, submit
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded


def compared(user: User, command: Command) -> dict[str, Any]:
    response = api(user).get(f"/api/v1/commands/{command.pk}/trouble-codes/")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def changes(body: dict[str, Any]) -> dict[str, str | None]:
    return {code["dtc_code"]: code["change"] for code in body["codes"]}


def test_codes_are_new_the_same_or_gone(operator: User, vehicle: Vehicle) -> None:
    first = read(operator, vehicle, dtc("P0113"), dtc("P0420"))
    read(operator, vehicle, dtc("U0100"), ecu="0x20")
    last = read(operator, vehicle, dtc("P0420"), dtc("P0300"))
    assert changes(compared(operator, first)) == {"P0113": None, "P0420": None}
    body = compared(operator, last)
    assert changes(body) == {"P0113": "gone", "P0300": "new", "P0420": "same"}
    (previous,) = body["previous"]
    assert (previous["ecu_address"], previous["command_id"]) == ("0x10", str(first.pk))


def test_a_read_with_a_mask_says_nothing_of_what_is_gone(operator: User, vehicle: Vehicle) -> None:
    whole = read(operator, vehicle, dtc("P0113"))
    masked = read_masked(operator, vehicle, "0x08", dtc("P0420"))
    last = read(operator, vehicle, dtc("P0420"))
    assert changes(compared(operator, masked)) == {"P0420": "new"}
    body = compared(operator, last)
    assert changes(body) == {"P0113": "gone", "P0420": "new"}
    assert body["previous"][0]["command_id"] == str(whole.pk)


def test_a_scan_is_compared_for_each_ecu(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420"))
    scanned = scan(
        operator, vehicle, ecu("0x10", dtc("P0420")), ecu("0x20", dtc("U0100", ecuAddress="0x20"))
    )
    assert changes(compared(operator, scanned)) == {"P0420": "same", "U0100": None}


def test_the_earlier_read_of_another_user_is_not_named(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    """Trouble codes are facts of the vehicle; who has read them is not."""
    earlier = read(stranger, vehicle, dtc("P0420"))
    command = read(operator, vehicle, dtc("P0420"))
    body = compared(operator, command)
    assert changes(body) == {"P0420": "same"}
    assert body["previous"][0] | {"at": ""} == {
        "ecu_address": "0x10",
        "at": "",
        "command_id": None,
        "submitted_by": None,
    }
    assert compared(viewer, command)["previous"][0]["command_id"] == str(earlier.pk)
    address = f"/api/v1/commands/{command.pk}/trouble-codes/"
    assert api(stranger).get(address).status_code == 404
    operator.user_permissions.clear()
    assert api(operator).get(address).status_code == 403


def test_other_commands_have_none(operator: User, vehicle: Vehicle) -> None:
    nothing = {"codes": [], "previous": [], "is_complete": True}
    assert compared(operator, submit(operator, vehicle)) == nothing


def test_a_read_with_too_many_responses_says_that_codes_are_missing(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MAX_RESPONSES", 3)
    whole = read(operator, vehicle, dtc("P0113"), dtc("P0420"))
    assert compared(operator, whole)["is_complete"] is True
    cut = read(operator, vehicle, dtc("P0113"), dtc("P0420"), dtc("U0100"))
    body = compared(operator, cut)
    assert [*changes(body)] == ["P0420", "U0100"]
    assert body["is_complete"] is False


def test_the_statements_do_not_grow(operator: User, vehicle: Vehicle, known: Any) -> None:
    client = known(operator)
    for _ in range(3):
        command = read(operator, vehicle, dtc("P0420"), dtc("P0113"))
        with CaptureQueriesContext(connection) as captured:
            client.get(f"/api/v1/commands/{command.pk}/trouble-codes/")
        assert len(captured) == 5  # may it be seen, it, earlier ones, the ECUs, the responses
