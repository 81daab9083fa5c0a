"""The form that adds and changes a vehicle, and the test of its connection."""

import re

from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener, TabErrors

VIN = "1HGCM82633A004352"


def test_an_admin_adds_a_vehicle_and_reads_at_once_what_was_found(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/", "admin")
    tab.get_by_role("link", name="Add a vehicle").click()
    tab.get_by_label("Connector").select_option("mock")
    tab.get_by_label("VIN", exact=True).fill(" 1hgcm 82633a004352")
    tab.get_by_role("button", name="Add an ECU").click()
    tab.get_by_label("Address", exact=True).fill("0x1a")
    tab.get_by_label("Name").fill("Engine control")
    tab.get_by_role("button", name="Save and test the connection").click()
    expect(tab.locator("#test-result")).to_contain_text(f"The vehicle answers. VIN {VIN}")
    expect(tab.locator("#vin")).to_have_text(VIN)
    tab.get_by_role("link", name="Edit").click()
    expect(tab.get_by_label("Address", exact=True)).to_have_value("0x1A")
    tab.get_by_label("Online").uncheck()
    tab.get_by_role("button", name="Remove ECU 1").click()
    tab.get_by_role("button", name="Save and test the connection").click()
    expect(tab.locator("#connection-problem")).to_contain_text("offline")


def test_a_wrong_field_says_so_and_nothing_is_lost(open_tab: Opener, tab_errors: TabErrors) -> None:
    tab = open_tab("/vehicles/new/", "admin")
    tab_errors.expect("status of 400")
    tab.get_by_label("Connector").select_option("doip")
    save = tab.get_by_role("button", name="Save and test the connection")
    save.click()
    expect(tab.get_by_label("VIN", exact=True)).to_be_focused()
    expect(tab.locator("#parameter-host-error")).to_contain_text("Required")
    tab.get_by_label("VIN", exact=True).fill("WRONG")
    tab.get_by_label("Host").fill("192.0.2.10")
    for address in ("0x10", "0x0010"):
        tab.get_by_role("button", name="Add an ECU").click()
        tab.get_by_label("Address", exact=True).last.fill(address)
    save.click()
    expect(tab.locator("#parameter-vin-error")).to_contain_text("A VIN has 17")
    expect(tab.locator(".ecu-row").nth(1)).to_contain_text("0x10 is the same ECU")
    expect(tab.get_by_label("Host")).to_have_value("192.0.2.10")


def test_only_those_who_may_change_vehicles_are_offered_it(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/vehicles/", "operator")
    expect(tab.get_by_role("link", name="Add a vehicle")).to_have_count(0)
    tab.goto("/vehicles/{vehicle}/".format_map(site.ids))
    expect(tab.locator("#reached")).to_contain_text("mock")
    for name in ("Edit", "Test connection"):
        expect(tab.get_by_text(re.compile(f"^{name}$"))).to_have_count(0)
