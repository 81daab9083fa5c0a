"""Pages on paper, and at the width of a tablet."""

from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener


def test_a_printed_command_shows_all_responses_and_no_form(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/commands/{completed}/".format_map(site.ids), scheme="dark")
    expect(tab.locator("#live .entry").last).to_contain_text("Completed.")
    tab.emulate_media(media="print")
    for part in (".composer", ".recent", "nav", ".live-actions"):
        expect(tab.locator(part)).to_be_hidden()
    log = tab.locator(".log")
    assert log.evaluate("(log) => log.scrollHeight <= log.clientHeight")
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(24, 32, 43)"


def test_the_header_has_one_row_on_a_tablet(open_tab: Opener) -> None:
    tab = open_tab("/batches/")
    tab.set_viewport_size({"width": 768, "height": 1024})
    header = tab.locator("header.top").bounding_box()
    assert header
    assert header["height"] < 64
    assert tab.evaluate("document.documentElement.scrollWidth") <= 768


def test_a_row_of_commands_begins_with_its_command_on_a_tablet(open_tab: Opener) -> None:
    tab = open_tab("/commands/")
    tab.set_viewport_size({"width": 768, "height": 1024})
    row = tab.locator("tr[data-command]").first
    command, status = (row.locator(f".{name}").bounding_box() for name in ("command", "status"))
    act, submitted = (row.locator(f".{name}").bounding_box() for name in ("act", "submitted"))
    assert command
    assert status
    assert act
    assert submitted
    assert command["y"] < status["y"]
    assert submitted["x"] < act["x"]
