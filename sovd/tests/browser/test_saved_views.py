"""Saved views of the lists."""

import re

from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener


def test_a_view_is_saved_found_by_the_palette_and_deleted(open_tab: Opener) -> None:
    tab = open_tab("/commands/")
    tab.get_by_role("button", name="Save view").click()
    dialog = tab.get_by_role("dialog", name="Save these filters as a view")
    dialog.get_by_label("Name").fill("My failures")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("set a filter")
    dialog.get_by_role("button", name="Go back").click()
    tab.get_by_role("checkbox", name="Failed").check()
    expect(tab).to_have_url(re.compile("status=failed$"))
    tab.get_by_role("button", name="Save view").click()
    dialog.get_by_label("Name").fill("My failures")
    dialog.get_by_label("Share with all users").check()
    dialog.get_by_label("Name").press("Enter")
    view = tab.get_by_role("list", name="Saved views").get_by_role("link", name="My failures")
    expect(view).to_be_visible()

    other = open_tab("/commands/", "viewer")
    other.get_by_role("link", name="My failures").click()
    expect(other.get_by_role("checkbox", name="Failed")).to_be_checked()
    expect(other.get_by_role("button", name="Delete the view My failures")).to_be_hidden()

    tab.goto("/")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("my fail")
    expect(tab.get_by_role("option", name="My failures")).to_be_visible()
    tab.keyboard.press("Enter")
    tab.wait_for_url("/commands/?status=failed")
    tab.get_by_role("button", name="Rename the view My failures").click()
    dialog = tab.get_by_role("dialog", name="Rename the view My failures")
    expect(dialog.get_by_label("Name")).to_have_value("My failures")
    expect(dialog.get_by_label("Share with all users")).to_be_checked()
    dialog.get_by_label("Name").fill("Red ones")
    dialog.get_by_label("Name").press("Enter")
    renamed = tab.get_by_role("list", name="Saved views").get_by_role("link", name="Red ones")
    expect(renamed).to_be_visible()
    expect(view).to_be_hidden()
    tab.get_by_role("button", name="Delete the view Red ones").click()
    expect(renamed).to_be_hidden()
