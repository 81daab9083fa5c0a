"""Notes on the page of a vehicle."""

from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener, Programs
from sovd.tests.browser.program import vin

LIVE_MS = 15_000  # the page polls every few seconds


def test_a_note_is_read_by_others_and_deleted_by_its_author(
    open_tab: Opener, program: Programs
) -> None:
    page = f"/vehicles/{program('operator').vehicle(vin(59))}/"
    tab, other = open_tab(page), open_tab(page, "viewer")
    expect(other.locator("#notes")).to_contain_text("None.")
    expect(tab.locator("#notes")).to_contain_text("None.")
    tab.get_by_label("New note").fill("Battery changed.\nDrives again.")
    tab.get_by_label("New note").press("Control+Enter")
    delete = "Delete the note “Battery changed."
    expect(tab.get_by_role("button", name=delete)).to_be_visible()
    expect(tab.get_by_label("New note")).to_have_value("")
    expect(other.locator("#notes li")).to_contain_text("by operator", timeout=LIVE_MS)
    expect(other.locator("#timeline")).to_contain_text("Battery changed.")
    expect(other.get_by_role("button", name=delete)).to_be_hidden()
    tab.get_by_role("button", name=delete).click()
    expect(tab.locator("#notes")).to_contain_text("None.")
    expect(other.locator("#notes")).to_contain_text("None.", timeout=LIVE_MS)
