"""The admin, as an administrator uses it."""

import re

from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener, Programs
from sovd.tests.browser.program import OFFLINE


def test_the_admin_uses_the_login_of_the_console(open_tab: Opener) -> None:
    tab = open_tab("/admin/commands/command/", who="")
    expect(tab).to_have_url(re.compile("/accounts/login/"))
    tab.get_by_label("Username").fill("admin")
    tab.get_by_label("Password").fill("sovd-demo")
    tab.get_by_role("button", name="Log in").click()
    expect(tab).to_have_url(re.compile("/admin/commands/command/$"))


def test_a_command_shows_its_events(open_tab: Opener, site: DemoSite) -> None:
    tab = open_tab(f"/admin/commands/command/?q={site.ids['completed']}", "admin")
    tab.locator("#result_list tbody th a").click()
    expect(tab.get_by_text(re.compile(r"^All \d+ are below\.$"))).to_be_visible()
    events = tab.locator(".inline-group tbody tr.has_original")
    expect(events.first).to_contain_text('"status": "pending"')
    expect(events.last).to_contain_text('"status": "completed"')
    expect(tab.locator("#command_form").get_by_role("textbox")).to_have_count(0)
    tab.get_by_role("link", name="View on site").click()
    expect(tab).to_have_url(re.compile(f"/commands/{site.ids['completed']}/$"))


def test_commands_are_filtered_and_cancelled_in_the_admin(
    open_tab: Opener, program: Programs
) -> None:
    command_id = program("operator").submit(OFFLINE)
    tab = open_tab("/admin/commands/command/", "admin")
    filters = tab.get_by_role("navigation", name="Filter")
    filters.get_by_role("link", name="Pending").click()
    expect(tab).to_have_url(re.compile("status__exact=pending"))
    statuses = tab.locator("#result_list .field-status")
    expect(statuses).not_to_have_count(0)
    assert set(statuses.all_inner_texts()) == {"Pending"}
    tab.locator("#searchbar").fill(command_id)
    tab.get_by_role("button", name="Search").click()
    expect(statuses).to_have_text(["Pending"])
    tab.locator("#result_list .action-select").check()
    tab.get_by_label("Action:").select_option("cancel")
    tab.get_by_role("button", name="Go").click()
    expect(tab.locator(".messagelist")).to_have_text("Of 1 commands: 1 cancelled.")


def test_the_audit_is_filtered(open_tab: Opener) -> None:
    tab = open_tab("/admin/commands/auditentry/", "admin")
    tab.locator("#changelist-filter").get_by_role("link", name="Log in", exact=True).click()
    actions = tab.locator("#result_list .field-action")
    expect(actions).not_to_have_count(0)
    assert set(actions.all_inner_texts()) == {"Log in"}
    expect(tab.get_by_role("link", name="Add audit entry")).to_have_count(0)
