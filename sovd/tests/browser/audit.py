"""The audit, as an administrator looks it up in the admin."""

from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener


def actions_about(text: str, open_tab: Opener) -> list[str]:
    """Return the actions of a user, or on a command, the newest first."""
    tab = open_tab("/admin/commands/auditentry/", who="admin")
    tab.locator("#searchbar").fill(text)
    tab.get_by_role("button", name="Search").click()
    actions = tab.locator("#result_list .field-action")
    expect(actions).not_to_have_count(0)
    return actions.all_inner_texts()
