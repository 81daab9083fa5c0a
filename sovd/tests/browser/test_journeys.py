"""Work by keyboard alone, counted in key strokes. A chord counts as one."""

import re

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener
from sovd.tests.browser.program import vin


class Keyboard:
    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self.strokes = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tab.keyboard.press(key)
            self.strokes += 1

    def type(self, text: str) -> None:
        self.press(*text)


def submit(tab: Tab, keyboard: Keyboard) -> None:
    """Submit the form, whose button has the focus."""
    expect(tab.get_by_role("button", name="Submit command")).to_be_focused()
    keyboard.press("Enter")


def expect_all_codes_of(vin: str, tab: Tab) -> None:
    expect(tab.locator("#live [data-live=name]")).to_have_text("ScanVehicle")
    expect(tab.locator("#live [data-live=vehicle]")).to_have_text(vin)
    expect(tab.locator("#live [data-live=status]")).to_have_text("Completed")
    expect(tab.locator("#live .entry.answer").last).to_contain_text("4 of 4 ECUs")


@pytest.mark.parametrize("path", ["/", "/vehicles/", "/batches/{batch}/", "/accounts/"])
def test_all_codes_of_a_vehicle_are_read_and_then_of_another(
    path: str, open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab(path.format_map(site.ids))
    keyboard = Keyboard(tab)
    keyboard.press("Control+k")
    keyboard.type("0036")
    keyboard.press("ArrowDown", "ArrowDown", "Enter")
    submit(tab, keyboard)
    expect_all_codes_of(vin(36), tab)
    assert keyboard.strokes <= 12

    keyboard.strokes = 0
    keyboard.press("a")
    keyboard.type("0037")
    keyboard.press("Enter")
    submit(tab, keyboard)
    expect_all_codes_of(vin(37), tab)
    assert keyboard.strokes <= 8


def test_the_codes_of_a_vehicle_are_compared_with_last_week(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/vehicles/{scanned_vehicle}/".format_map(site.ids))
    expect(tab.get_by_role("link", name="Compare with last week")).to_be_visible()
    known = tab.locator("#vin").inner_text()
    tab.goto("/")
    keyboard = Keyboard(tab)
    keyboard.press("Control+k")
    keyboard.type(known[-4:])
    keyboard.press("ArrowDown", "ArrowDown", "ArrowDown", "Enter")
    expect(tab.get_by_role("heading", name="Scan report")).to_be_visible()
    expect(tab.get_by_label("Compare with")).not_to_have_value("")
    assert keyboard.strokes <= 10

    tab.goto("/commands/{scan}/".format_map(site.ids))
    expect(tab.get_by_role("link", name="Compare with last week")).to_be_visible()
    tab.keyboard.press("w")
    expect(tab.get_by_role("heading", name="Scan report")).to_be_visible()


def test_a_command_that_changes_a_vehicle_is_shown_before_it_goes_to_another(
    open_tab: Opener,
) -> None:
    tab = open_tab("/commands/?command_name=ClearDTC&status=completed")
    tab.locator("tr[data-command]").first.get_by_role("link", name="ClearDTC", exact=True).click()
    tab.get_by_role("button", name="Send to another vehicle").click()
    expect(tab.get_by_role("combobox", name="Vehicle for ClearDTC")).to_be_focused()
    tab.keyboard.type("0037")
    tab.keyboard.press("Enter")
    expect(tab.locator("#chosen-vin")).to_have_text(vin(37))
    expect(tab.locator("#command-name")).to_have_value("ClearDTC")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("dialog", name=re.compile("Clear"))).to_be_visible()


def test_the_keys_of_a_page_are_listed_and_found_in_the_palette(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/vehicles/{vehicle}/".format_map(site.ids))
    expect(tab.get_by_role("button", name="Pin")).to_be_visible()
    tab.keyboard.press("?")
    dialog = tab.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog.locator("#page-keys")).to_contain_text("Scan all ECUs")
    tab.keyboard.press("Escape")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("pin")
    expect(tab.get_by_role("option", name=re.compile("^Pin"))).to_contain_text("on this page p")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Pin")).to_have_attribute("aria-pressed", "true")


def test_the_palette_offers_pinned_vehicles_and_those_opened_last(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/vehicles/{vehicle}/".format_map(site.ids))
    pin = tab.get_by_role("button", name="Pin")
    expect(pin).to_be_visible()
    pinned = tab.locator("#vin").inner_text()
    tab.keyboard.press("p")
    expect(pin).to_have_attribute("aria-pressed", "true")
    tab.goto("/vehicles/{scanned_vehicle}/".format_map(site.ids))
    expect(pin).to_be_visible()
    recent = tab.locator("#vin").inner_text()
    tab.goto("/")
    tab.keyboard.press("Control+k")
    options = tab.get_by_role("option")
    expect(options.nth(0)).to_contain_text(re.compile(f"{pinned}.*pinned"))
    expect(options.nth(1)).to_contain_text(re.compile(f"{recent}.*recent"))
    tab.keyboard.press("Enter")
    expect(tab.locator("#vin")).to_have_text(pinned)


def test_the_palette_lists_campaigns(open_tab: Opener, site: DemoSite) -> None:
    tab = open_tab("/")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("campaign")
    expect(tab.get_by_role("option", name=re.compile("^Campaigns page m$"))).to_be_visible()
    expect(tab.get_by_role("option", name="New campaign")).to_be_visible()
    tab.get_by_role("option", name=re.compile("^Campaign [A-Z]")).first.click()
    tab.wait_for_url("/campaigns/{campaign}/".format_map(site.ids))


def test_keys_work_again_once_a_command_is_sent(open_tab: Opener) -> None:
    tab = open_tab("/commands/new/")
    tab.get_by_role("searchbox", name="Vehicle").fill(vin(37))
    tab.get_by_role("radio").first.check()
    tab.get_by_label("ECU address").fill("0x10")
    tab.keyboard.press("Control+Enter")
    expect(tab.locator("#live [data-live=status]")).to_have_text("Completed")
    tab.get_by_role("button", name="Submit command").focus()
    tab.keyboard.press("v")
    tab.wait_for_url("/vehicles/")
