"""The timeline of trouble codes with failure types, masks, verified clears and scans."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.tests.vehicle_responses import (
    changes,
    clear,
    clear_verified,
    codes,
    dtc,
    ecu,
    read,
    read_masked,
    scan,
    shown,
)
from vehicles.models import Ecu, Vehicle

# Failure types, masks, and codes that are not stored


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("P0420", ["P0113-00"]),
        ("P0420-13", ["P0113-00", "P0420-00"]),
        ("P0420-00", ["P0113-00", "P0420-13"]),
    ],
)
@pytest.mark.embedded
def test_a_clear_without_failure_type_clears_every_code_of_the_base(
    operator: User, vehicle: Vehicle, code: str, left: list[str]
) -> None:
    read(operator, vehicle, *map(dtc, ["P0420-00", "P0420-13", "P0113-00"]))
    clear(operator, vehicle, dtcCode=code)
    assert codes(shown(operator, vehicle)) == left


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("mask", "left"),
    [("0x08", ["P0113", "P0420"]), ("0xFF", ["P0113"]), ("0xaf", ["P0113"]), ("0x50", None)],
)
def test_a_masked_read_lets_no_code_disappear(
    operator: User, vehicle: Vehicle, mask: str, left: list[str] | None
) -> None:
    first = read(operator, vehicle, dtc("P0420"))
    second = read_masked(operator, vehicle, mask, dtc("P0113"))
    body = shown(operator, vehicle)
    assert codes(body) == (left or ["P0113", "P0420"])
    assert body["is_complete"]
    is_whole = left == ["P0113"]
    (unit,) = body["control_units"]
    assert unit["command_id"] == str((second if is_whole else first).pk)


@pytest.mark.embedded
def test_a_code_that_was_not_tested_since_the_clear_is_not_stored(
    operator: User, vehicle: Vehicle
) -> None:
    read(operator, vehicle, dtc("P0420"), dtc("P0113", "0x50"))
    assert codes(shown(operator, vehicle)) == ["P0420"]
    read(operator, vehicle, dtc("P0420", "0x50"), dtc("P0113", "0x40"))
    body = shown(operator, vehicle)
    assert changes(body) == [("gone", "P0420"), ("appeared", "P0420")]
    assert codes(body) == []


# Clears that were verified


@pytest.mark.embedded
def test_a_clear_after_which_codes_remain_erases_the_others_only(
    operator: User, vehicle: Vehicle
) -> None:
    read(operator, vehicle, dtc("P0420"), dtc("P0113"), dtc("P0300"))
    before = ["P0113", "P0300", "P0420"]
    clear_verified(operator, vehicle, before=before, remaining=["P0300"], verified=False)
    body = shown(operator, vehicle)
    assert codes(body) == ["P0300"]
    assert changes(body)[:2] == [("cleared", "P0113"), ("cleared", "P0420")]


def test_a_clear_of_one_code_tells_of_the_others_too(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0420"), dtc("P0113"))
    fields = {"before": ["P0420", "P0171"], "remaining": ["P0171", "U0100"], "verified": True}
    clear_verified(operator, vehicle, "P0420", **fields)
    body = shown(operator, vehicle)
    assert codes(body) == ["P0171", "U0100"]
    assert changes(body)[:4] == [
        ("gone", "P0113"),
        ("cleared", "P0420"),
        ("appeared", "P0171"),
        ("appeared", "U0100"),
    ]


@pytest.mark.embedded
def test_a_clear_of_codes_that_nobody_has_read_is_told(operator: User, vehicle: Vehicle) -> None:
    clear_verified(operator, vehicle, before=["P0420-13"], remaining=[], verified=True)
    body = shown(operator, vehicle)
    assert (changes(body), codes(body)) == ([("cleared", "P0420-13")], [])
    assert body["control_units"] == []


NO_LISTS: list[Any] = [
    None,
    "P0420",
    {},
    [1],
    ["x" * 9_000],
    ["P0420"] * 20_000,
    ["P0420\n"],
    [["P0420"]],
]


@pytest.mark.embedded
@pytest.mark.parametrize("value", NO_LISTS)
def test_a_list_of_remaining_codes_that_is_none_counts_as_not_there(
    operator: User, vehicle: Vehicle, value: Any
) -> None:
    lists = {"before": value, "remaining": value}
    read(operator, vehicle, dtc("P0420"))
    clear_verified(operator, vehicle, **lists, verified=False)
    assert codes(shown(operator, vehicle)) == ["P0420"]
    clear_verified(operator, vehicle, **lists, verified=True)
    assert codes(shown(operator, vehicle)) == []


# Scans


@pytest.mark.embedded
def test_a_scan_is_a_read_of_each_ecu_that_was_reached(operator: User, vehicle: Vehicle) -> None:
    read(operator, vehicle, dtc("P0113"))
    read(operator, vehicle, dtc("U0100", ecuAddress="0x18"), ecu="0x18")
    read(operator, vehicle, dtc("C0035", ecuAddress="0x28"), ecu="0x28")
    bits = {"statusBits": ["testFailed", "confirmedDTC"], "confirmed": True}
    scanned = scan(
        operator,
        vehicle,
        ecu("0x10", dtc("P0420-13", "0x2F", **bits), dtc("P0300", "0x50")),
        ecu("0x18", reachable=False, problem="It did not answer."),
        ecu("0x28", problem="It reports 600 codes."),
        ecu("0x40"),
    )
    body = shown(operator, vehicle)
    assert codes(body) == ["P0420-13", "U0100", "C0035"]
    assert changes(body)[:2] == [("gone", "P0113"), ("appeared", "P0420-13")]
    assert body["stored"][0] | {"first_seen_at": "", "read_at": ""} == {
        "ecu_address": "0x10",
        "dtc_code": "P0420-13",
        "description": "what P0420-13 means",
        "failure_type": "circuit open",
        "status": "0x2F",
        "status_bits": ["testFailed", "confirmedDTC"],
        "confirmed": True,
        "first_seen_at": "",
        "read_at": "",
        "command_id": str(scanned.pk),
    }
    read_by_it = [unit["command_id"] == str(scanned.pk) for unit in body["control_units"]]
    assert read_by_it == [True, False, False, True]
    assert body["is_complete"]


CODE = {"type": "dtc", "ecuAddress": "0x10", "dtcCode": "P0420", "status": "0x2F"}


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("fields", "left", "is_complete"),
    [
        ({"dtcs": None}, ["P0113"], False),
        ({"dtcs": {"P0420": 1}}, ["P0113"], False),
        ({"dtcs": [CODE, "P0420"]}, ["P0113", "P0420"], False),
        ({"dtcs": [CODE | {"type": ["dtc"]}]}, ["P0420"], True),
        ({"dtcs": [CODE, CODE | {"dtcCode": 420}]}, ["P0113", "P0420"], False),
        ({"dtcs": [CODE, CODE | {"ecuAddress": "0x18"}]}, ["P0113", "P0420"], False),
        ({"dtcs": [CODE] * 300}, ["P0113", "P0420"], False),
        ({"dtcs": [CODE] * 3_000}, ["P0113"], False),
        ({"dtcs": [CODE], "problem": "Some could not be read."}, ["P0113", "P0420"], False),
        ({"dtcs": [CODE], "reachable": "yes"}, ["P0113"], True),
        ({"dtcs": [CODE], "ecuAddress": "engine"}, ["P0113"], True),
        ({"dtcs": [CODE], "ecuAddress": None}, ["P0113"], True),
        ({"dtcs": [CODE], "type": "other"}, ["P0113"], True),
    ],
)
def test_a_scan_may_tell_any_json(
    operator: User, vehicle: Vehicle, fields: Any, left: list[str], is_complete: bool
) -> None:
    read(operator, vehicle, dtc("P0113"))
    scan(operator, vehicle, ecu("0x10") | fields)
    body = shown(operator, vehicle)
    assert (codes(body), body["is_complete"]) == (left, is_complete)


@pytest.mark.embedded
def test_addresses_are_spelled_as_the_vehicle_configures_them(
    operator: User, vehicle: Vehicle
) -> None:
    Ecu.objects.create(vehicle=vehicle, address="0x0010")
    read(operator, vehicle, dtc("P0420", ecuAddress="0x10"), ecu="0x10")
    scan(operator, vehicle, ecu("0x0010", dtc("P0420", ecuAddress="0x0010")), ecu("0x101A"))
    body = shown(operator, vehicle)
    assert [unit["ecu_address"] for unit in body["control_units"]] == ["0x0010", "0x101A"]
    assert changes(body) == [("appeared", "P0420")]


# Failure types and scans


@pytest.mark.embedded
def test_the_failure_type_and_the_scans_are_told(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    first = scan(operator, vehicle, ecu("0x10", dtc("U0100-87"), dtc("P0420-F3")))
    scan(stranger, vehicle, ecu("0x10", dtc("U0100-87")))
    read(operator, vehicle, dtc("U0100-87"))
    body = shown(operator, vehicle)
    assert body["stored"][0]["failure_type"] == "message missing"
    types = {each["dtc_code"]: each["failure_type"] for each in body["timeline"]}
    assert types == {"U0100-87": "message missing", "P0420-F3": ""}
    assert [(each["command_id"], each["submitted_by"]) for each in body["scans"]] == [
        (None, None),
        (str(first.pk), "operator"),
    ]
