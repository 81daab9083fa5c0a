"""Who comes in, and what becomes of a page when its session has ended."""

import re

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from commands.demo_users import PASSWORD
from sovd.tests.browser.audit import actions_about
from sovd.tests.browser.conftest import Ears, Opener

GOLFS = "/vehicles/?search=Golf"


def test_a_wrong_password_and_then_the_right_one(open_tab: Opener) -> None:
    tab = open_tab(GOLFS, who="")
    try_to_log_in(tab, "operator", "wrong")
    expect(tab.get_by_role("alert")).to_contain_text("enter a correct username and password")
    try_to_log_in(tab, "operator", PASSWORD)
    expect(tab).to_have_url(re.compile(re.escape(GOLFS)))
    log_out(tab)
    expect(tab.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_failed_log_in_is_in_the_audit(open_tab: Opener) -> None:
    try_to_log_in(open_tab("/", who=""), "viewer", "guessed")
    assert actions_about("viewer", open_tab)[0] == "Failed log-in"


def test_a_session_that_has_ended(open_tab: Opener, ear: Ears) -> None:
    tab = open_tab(GOLFS)
    expect(tab.get_by_role("row", name="Golf")).not_to_have_count(0)
    ear.expect("^console error: .* 40[13] ")
    tab.context.clear_cookies(name="sessionid")
    expect(tab.get_by_role("alert")).to_have_text(re.compile("^Your session has ended"))
    tab.get_by_role("link", name="Log in again").click()
    try_to_log_in(tab, "operator", PASSWORD)
    expect(tab).to_have_url(re.compile(re.escape(GOLFS)))


def try_to_log_in(tab: Tab, username: str, password: str) -> None:
    tab.get_by_label("Username").fill(username)
    tab.get_by_label("Password").fill(password)
    tab.get_by_role("button", name="Log in").click()


def log_out(tab: Tab) -> None:
    tab.locator("details.menu summary").click()
    tab.get_by_role("button", name="Log out").click()
