"""The timeline of trouble codes on the page of a vehicle: a bar for each code, and its changes."""

import re

import pytest
from playwright.sync_api import Locator, expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener, Programs
from sovd.tests.browser.program import vin

WIDTH = 600  # of a drawing, from the first read until now


def test_each_code_has_a_bar_from_its_first_read_to_its_clear(
    open_tab: Opener, site: DemoSite
) -> None:
    bars = open_tab("/vehicles/{vehicle}/".format_map(site.ids)).locator("#code-bars li")
    expect(bars.locator(".code")).to_have_text(["P0442", "U0121", "P0420"])
    expect(bars.locator(".state")).to_have_text(["Cleared"] * 3)
    description = "Catalyst system efficiency below threshold, bank 1"
    text = re.compile(f"^P0420 {description}: stored from .+, cleared .+$")
    expect(bars.get_by_role("img", name=text)).to_have_count(1)
    early, late = ends(bars.nth(2)), ends(bars.nth(0))
    assert (early[0], late[0]) == (0, 0)
    assert late[1] < WIDTH
    assert early[1] / late[1] == pytest.approx(0.5, abs=0.01)  # after 100 and 200 minutes


def test_a_code_that_is_stored_has_a_bar_until_now(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    for _ in range(2):
        operator.wait_for_end(operator.submit(vin(52)))
    tab = open_tab(f"/vehicles/{operator.vehicle(vin(52))}/")
    codes = tab.locator("[data-ecu='0x10'] [data-code]")
    expect(codes.first).to_be_visible()
    bars = tab.locator("#code-bars [data-state=stored]")
    expect(bars).to_have_count(codes.count())
    assert ends(bars.first)[1] == WIDTH
    expect(bars.first.get_by_role("img", name=re.compile("until now$"))).to_be_visible()


def test_the_filters_apply_to_the_bars_and_to_the_changes(open_tab: Opener, site: DemoSite) -> None:
    tab = open_tab("/vehicles/{vehicle}/".format_map(site.ids))
    codes, changes = tab.locator("#code-bars .code"), tab.locator("#timeline .change")
    expect(codes).to_have_count(3)
    tab.get_by_label("Trouble code", exact=True).fill("catalyst")
    expect(codes).to_have_text(["P0420"])
    expect(changes).to_have_count(2)
    tab.get_by_label("Trouble code", exact=True).fill("P9999")
    expect(tab.locator("#code-bars")).to_be_hidden()
    expect(changes).to_have_count(0)


def test_many_codes_are_shown_on_demand(
    open_tab: Opener, site: DemoSite, program: Programs
) -> None:
    many = program("operator").command(site.ids["many"])
    tab = open_tab(f"/vehicles/{many['vehicle_id']}/")
    bars = tab.locator("#code-bars li")
    expect(bars).to_have_count(12)
    tab.get_by_role("button", name=re.compile(r"Show all \d+ codes")).last.click()
    expect(bars.nth(12)).to_be_focused()


def ends(row: Locator) -> tuple[float, float]:
    """Return the places at which the bar of this row begins and ends."""
    found = re.fullmatch(r"M(\S+) 10H(\S+)", row.locator(".bar").get_attribute("d") or "")
    assert found
    return float(found[1]), float(found[2])
