"""The comparison of two scans, against every way in which a code can be in them."""

from itertools import product

import pytest

from commands.models import Command
from commands.reports.comparison import compare
from commands.reports.scans import Code, Scan, ScannedEcu

STATES = [None, "0x24", "0x2F"]  # not stored, or stored with this status byte
PAIRS = [*product(STATES, STATES)]


def scanned(states: list[str | None], is_reached: bool = True, problem: str = "") -> ScannedEcu:
    """Return an ECU with one code for each state."""
    codes = {
        f"P{number:04}": Code(f"P{number:04}", status=status)
        for number, status in enumerate(states)
        if status
    }
    return ScannedEcu("0x10", "", is_reached, problem, {}, codes, 3)


def scan(**ecus: ScannedEcu) -> Scan:
    return Scan(Command(), {int(name[1:]): ecu for name, ecu in ecus.items()})


def test_each_code_is_in_one_list_at_most() -> None:
    before, after = (scanned([pair[side] for pair in PAIRS]) for side in (0, 1))
    (ecu,) = compare(scan(e16=before), scan(e16=after))
    found = {
        "appeared": [code.dtc_code for code in ecu.appeared],
        "went": [code.dtc_code for code in ecu.went],
        "stayed": [code.dtc_code for code in ecu.stayed],
        "changed": [code.dtc_code for _, code in ecu.changed],
    }
    for number, (old, new) in enumerate(PAIRS):
        expected = {
            (True, True): None if old is None else "stayed",
            (True, False): "appeared",
            (False, True): "went",
            (False, False): "changed",
        }[(old == new or old is None, old == new or new is None)]
        lists = [name for name, codes in found.items() if f"P{number:04}" in codes]
        assert lists == ([expected] if expected else [])


@pytest.mark.parametrize(
    "unread", [scanned(["0x2F"], is_reached=False), scanned(["0x2F"], problem="Refused."), None]
)
def test_an_ecu_that_one_scan_has_not_read_is_not_compared(unread: ScannedEcu | None) -> None:
    empty, read = scan(), scan(e16=scanned([None, "0x24"]))
    other = scan(e16=unread) if unread else empty
    for before, after in ((other, read), (read, other)):
        (ecu,) = compare(before, after)
        assert not ecu.is_compared
        assert [ecu.appeared, ecu.stayed, ecu.changed, ecu.went] == [[], [], [], []]


def test_the_ecus_come_in_the_order_of_the_second_scan() -> None:
    one = scanned([])
    found = compare(scan(e1=one, e2=one, e3=one), scan(e3=one, e1=one))
    assert [(bool(each.before), bool(each.after)) for each in found] == [
        (True, True),
        (True, True),
        (True, False),
    ]
    assert compare(None, scan(e1=one))[0].before is None
