"""The login, and a page after its session has ended."""

import re

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from commands.accounts.demo_users import PASSWORD
from sovd.tests.browser.audit import actions_about
from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.program import OFFLINE

GOLFS = "/vehicles/?search=Golf"


def test_the_right_password_leads_to_the_page_that_was_asked_for(open_tab: Opener) -> None:
    tab = open_tab(GOLFS, who="")
    try_to_log_in(tab, "operator", "wrong")
    expect(tab.get_by_role("alert")).to_contain_text("enter a correct username and password")
    try_to_log_in(tab, "operator", PASSWORD)
    expect(tab).to_have_url(re.compile(re.escape(GOLFS)))
    log_out(tab)
    expect(tab.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_failed_login_is_in_the_audit(open_tab: Opener) -> None:
    try_to_log_in(open_tab("/", who=""), "viewer", "guessed")
    assert actions_about("viewer", open_tab)[0] == "Failed login"


def test_a_page_tells_when_its_session_has_ended(open_tab: Opener, tab_errors: TabErrors) -> None:
    tab = open_tab(GOLFS)
    expect(tab.get_by_role("row", name="Golf")).not_to_have_count(0)
    tab_errors.expect("^console error: .* 40[13] ")
    tab.context.clear_cookies(name="sessionid")
    expect(tab.get_by_role("alert")).to_have_text(re.compile("^Your session has ended"))
    log_in_again(tab)
    expect(tab.get_by_role("alert")).to_be_hidden()
    expect(tab.get_by_role("row", name="Golf")).not_to_have_count(0)


def test_a_form_outlives_the_session(
    open_tab: Opener, tab_errors: TabErrors, program: Programs
) -> None:
    tab = open_tab(f"/commands/new/?vehicle={program('operator').vehicle(OFFLINE)}")
    tab_errors.expect("^console error: .* 40[13] ")
    tab.get_by_label("ECU address").fill("0x1F")
    tab.context.clear_cookies()
    tab.get_by_role("button", name="Submit command").click()
    log_in_again(tab)
    expect(tab.get_by_role("alert", name=re.compile("session"))).to_be_hidden()
    expect(tab.get_by_label("ECU address")).to_have_value("0x1F")
    tab.get_by_role("button", name="Submit command").click()
    expect(tab).to_have_url(re.compile(r"/commands/[0-9a-f-]{36}/$"))
    expect(tab.locator("[data-live=parameters]")).to_contain_text("0x1F")


def log_in_again(tab: Tab) -> None:
    """Log in in the new tab that the notice opens, then come back."""
    with tab.expect_popup() as popup:
        tab.get_by_role("link", name="Log in again").click()
    try_to_log_in(popup.value, "operator", PASSWORD)
    popup.value.wait_for_url("/")
    popup.value.close()
    tab.evaluate("window.dispatchEvent(new Event('focus'))")


def try_to_log_in(tab: Tab, username: str, password: str) -> None:
    tab.get_by_label("Username").fill(username)
    tab.get_by_label("Password").fill(password)
    tab.get_by_role("button", name="Log in").click()


def log_out(tab: Tab) -> None:
    tab.locator("details.menu summary").click()
    tab.get_by_role("button", name="Log out", exact=True).click()
