"""Webhooks: added, tested, given a new secret, stopped, started again and deleted."""

import re

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener, TabErrors

GOOD = "https://8.8.8.8/hook-of-this-test"


def add(tab: Tab, url: str) -> None:
    tab.get_by_label("Address").fill(url)
    tab.get_by_role("button", name="Add", exact=True).click()


def test_a_webhook_is_added_and_its_secret_shown_once(open_tab: Opener) -> None:
    tab = open_tab("/accounts/", "admin")
    tab.get_by_role("link", name="Webhooks").first.click()
    add(tab, GOOD)
    expect(tab.locator("#webhook-problem")).to_have_text("Choose at least one event.")
    tab.get_by_label("Batch ended").check()
    add(tab, GOOD)
    secret = tab.locator("#secret-text")
    expect(secret).to_have_text(re.compile("^whsec_"))
    first = secret.inner_text()
    tab.get_by_role("button", name="I have stored it").click()
    expect(secret).to_be_hidden()
    row = tab.get_by_role("listitem").filter(has_text=GOOD)
    expect(row).to_contain_text("batch.ended")

    row.get_by_role("button", name="New secret").click()
    tab.get_by_role("dialog").get_by_role("button", name="Make a new secret").click()
    expect(secret).to_have_text(re.compile("^whsec_"))
    assert secret.inner_text() != first
    expect(row).to_contain_text("The former secret signs as well until")

    row.get_by_role("button", name="Stop").click()
    expect(row).to_contain_text("Stopped")
    expect(row.get_by_role("button", name="Send a test")).to_have_count(0)
    row.get_by_role("button", name="Start again").click()
    expect(row).to_contain_text("Active")
    row.get_by_role("button", name="Send a test").click()
    expect(row.locator(".deliveries tbody tr")).to_contain_text("webhook.test")

    row.get_by_role("button", name="Delete").click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_a_refused_address_is_explained(open_tab: Opener, tab_errors: TabErrors) -> None:
    tab = open_tab("/webhooks/", "admin")
    tab_errors.expect("^console error: .* 400 ")
    tab.get_by_label("Command ended").check()
    add(tab, "https://127.0.0.1/hook")
    expect(tab.locator("#webhook-problem")).to_contain_text("127.0.0.1")
    expect(tab.locator("#secret")).to_be_hidden()
