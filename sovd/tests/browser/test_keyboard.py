"""Keys, focus, colours and motion."""

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from dev.showroom.processes import Showroom
from sovd.tests.browser.conftest import Opener

PLACES = [("d", "/"), ("v", "/vehicles/"), ("c", "/commands/"), ("f", "/batches/")]
RING = """() => {
  const focused = document.activeElement;
  const isRinged = (element) => parseFloat(getComputedStyle(element).outlineWidth) >= 2
    && getComputedStyle(element).outlineStyle !== "none";
  const hasPartsOfItsOwn = focused.type === "datetime-local";  // which the browser rings
  return hasPartsOfItsOwn || isRinged(focused) || isRinged(focused.closest("label") ?? focused);
}"""
MOVING = "document.getAnimations().filter((one) => one.playState === 'running').length"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def test_keys_lead_everywhere(open_tab: Opener) -> None:
    tab = open_tab("/commands/new/")
    for key, path in PLACES:
        tab.keyboard.press(key)
        tab.wait_for_url(path)
    tab.keyboard.press("/")  # no field to search in here: the commands are searched
    tab.wait_for_url("/commands/?focus=search")
    expect(tab.get_by_role("searchbox", name="Search")).to_be_focused()
    tab.keyboard.type("dvcfn?")
    expect(tab.get_by_role("searchbox", name="Search")).to_have_value("dvcfn?")


def test_the_list_of_keys(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/")
    tab.keyboard.press("?")
    dialog = tab.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    tab.keyboard.press("d")
    expect(dialog).to_be_visible()
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_skip_link(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/")
    tab.keyboard.press("Tab")
    skip = tab.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    tab.keyboard.press("Enter")
    expect(tab.locator("main")).to_be_focused()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("searchbox", name="Search")).to_be_focused()


@pytest.mark.parametrize("path", ["/commands/new/", "/commands/", "/batches/new/"])
def test_the_focus_is_visible(path: str, open_tab: Opener) -> None:
    tab = open_tab(path)
    tab.wait_for_load_state("networkidle")
    for _ in range(25):
        tab.keyboard.press("Tab")
        focused = tab.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        assert tab.evaluate(RING), focused


def test_colours_are_chosen_and_kept(open_tab: Opener) -> None:
    tab = open_tab("/", scheme="dark")
    dark = tab.evaluate(BACKGROUND)
    choose_colours(tab, "Colours: light")
    light = tab.evaluate(BACKGROUND)
    assert light != dark
    tab.reload()
    expect(tab.get_by_role("button", name="Colours: light")).to_be_visible()
    assert tab.evaluate(BACKGROUND) == light
    choose_colours(tab, "Colours: dark")
    assert tab.evaluate(BACKGROUND) == dark
    tab.emulate_media(color_scheme="light")
    assert tab.evaluate(BACKGROUND) == dark
    choose_colours(tab, "Colours: as the system")
    assert tab.evaluate(BACKGROUND) == light


def choose_colours(tab: Tab, then: str) -> None:
    tab.get_by_role("button", name="Colours:").click()
    expect(tab.get_by_role("button", name=then)).to_be_visible()


def test_nothing_moves_for_who_wants_no_motion(open_tab: Opener, site: Showroom) -> None:
    tab = open_tab("/commands/{running}/".format_map(site.ids))
    expect(tab.get_by_role("progressbar")).to_be_visible()
    assert tab.evaluate(MOVING) > 0
    tab.emulate_media(reduced_motion="reduce")
    assert tab.evaluate(MOVING) == 0
