"""Notifications of the browser: its own are replaced, since they need a desktop."""

import signal

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener, Programs
from sovd.tests.browser.program import OFFLINE

NOTIFICATIONS = """permission => {
  window.told = [];
  window.Notification = class extends EventTarget {
    static permission = permission;
    static async requestPermission() { this.permission = "granted"; }
    constructor(title, { body, tag }) {
      super();
      told.push([title, body, tag]);
      document.documentElement.dataset.told = title;
    }
  };
}"""
HIDE = """isHidden => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def open_with(permission: str, path: str, open_tab: Opener) -> Tab:
    tab = open_tab("about:blank")
    tab.add_init_script(f"({NOTIFICATIONS})('{permission}')")
    tab.goto(path)
    return tab


def test_a_notification_is_offered_for_a_long_command_and_asked_for_once(
    open_tab: Opener, site: DemoSite
) -> None:
    path = "/commands/{running}/".format_map(site.ids)  # it has run since the site was made
    tab = open_with("default", path, open_tab)
    offer = tab.get_by_role("button", name="Notify me when it ends")
    offer.click()
    expect(offer).to_be_hidden()
    assert tab.evaluate("Notification.permission") == "granted"
    tab.reload()  # the permission is "default" again, as if the user had dismissed the question
    expect(tab.get_by_role("progressbar")).to_be_visible()
    expect(offer).to_be_hidden()


@pytest.mark.parametrize(("is_hidden", "count"), [(True, 1), (False, 0)])
def test_the_end_of_a_command_is_told_to_those_who_look_elsewhere(
    open_tab: Opener, program: Programs, site: DemoSite, *, is_hidden: bool, count: int
) -> None:
    command = program("operator").submit(OFFLINE)
    tab = open_with("granted", f"/commands/{command}/", open_tab)
    sender = site.send_responses(command, 4, held_after=3)
    expect(tab.locator("#live [data-live=status]")).to_have_text("In progress")
    tab.evaluate(HIDE, is_hidden)
    sender.send_signal(signal.SIGUSR1)
    sender.wait()
    expect(tab.locator("#live [data-live=status]")).to_have_text("Completed")
    told = [["ReadDTC: completed", OFFLINE, command]]
    assert tab.evaluate("told") == told[:count]


def test_the_end_of_a_batch_is_told_although_its_page_is_hidden(
    open_tab: Opener, program: Programs
) -> None:
    operator = program("operator")
    tab = open_with("granted", f"/batches/new/?vehicle={operator.vehicle(OFFLINE)}", open_tab)
    tab.get_by_label("ECU address").fill("0x10")
    tab.get_by_role("button", name="Check and send").click()
    tab.get_by_role("button", name="Send to 1 vehicle").click()
    expect(tab.locator("[data-batch=ended]")).to_have_text("0 of 1 ended")
    tab.evaluate(HIDE, True)
    command = tab.locator("#results a[href^='/commands/']").first.get_attribute("href") or ""
    operator.cancel(command.split("/")[2])
    expect(tab.locator("html")).to_have_attribute("data-told", "ReadDTC has ended")
    assert tab.evaluate("told[0][1]") == "1\u00a0cancelled"
