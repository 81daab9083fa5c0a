"""The offers of the pages to operators, viewers and other users."""

from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.program import OFFLINE, vin

OFFERS = [
    ("/vehicles/", "New command for"),
    ("/commands/", "Repeat"),
    ("/commands/{pending}/", "Cancel"),
    ("/commands/{completed}/", "Repeat this command"),
    ("/commands/new/", "Submit command"),
    ("/batches/", "New batch"),
    ("/batches/new/", "Check and send…"),
    ("/batches/{batch}/", "Cancel the rest…"),
    ("/vehicles/{vehicle}/", "Read its trouble codes"),
]


def test_a_viewer_is_offered_nothing_that_submits(open_tab: Opener, site: DemoSite) -> None:
    operator, viewer = open_tab("/"), open_tab("/", "viewer")
    for path, offer in OFFERS:
        for tab in (operator, viewer):
            tab.goto(path.format_map(site.ids))
        expect(offered(operator, offer)).not_to_have_count(0)
        viewer.wait_for_load_state("networkidle")
        expect(offered(viewer, offer)).to_have_count(0)
        expect(offered(viewer, "New command")).to_have_count(0)


def offered(tab: Tab, words: str) -> Locator:
    named = f":is([aria-label^='{words}'], :text('{words}'))"
    return tab.locator(f":is(a, button):visible:not(:disabled){named}")


def test_a_viewer_has_no_shortcut_to_submit(open_tab: Opener) -> None:
    tab = open_tab("/", "viewer")
    tab.keyboard.press("n")
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog")).to_be_visible()
    expect(tab.get_by_role("dialog")).not_to_contain_text("new command")
    expect(tab.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_a_viewer_sees_the_commands_of_all_users(open_tab: Opener, program: Programs) -> None:
    program("admin").submit(OFFLINE)
    program("operator").submit(OFFLINE)
    tab = open_tab(f"/commands/?search={OFFLINE}", "viewer")
    people = tab.locator("tr[data-command] .by")
    expect(people.filter(has_text="admin")).not_to_have_count(0)
    expect(people.filter(has_text="operator")).not_to_have_count(0)


def test_a_command_of_another_user_does_not_exist_for_an_operator(
    open_tab: Opener, tab_errors: TabErrors, program: Programs
) -> None:
    command_id = program("admin").submit(vin(58))
    tab = open_tab(f"/commands/{command_id}/")
    tab_errors.expect("^console error: .* 404 ")
    expect(tab.get_by_role("heading", name="This page does not exist")).to_be_visible()
    tab.get_by_role("link", name="Back to the console").click()
    expect(tab.get_by_role("heading", name="Dashboard")).to_be_visible()
    tab.goto(f"/commands/?search={vin(58)}")
    expect(tab.get_by_text("No command matches the filters.")).to_be_visible()
