"""Keys, focus, colours and motion."""

import re

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener
from sovd.tests.browser.held import Held
from sovd.tests.browser.program import vin

PLACES = [
    ("d", "/"),
    ("v", "/vehicles/"),
    ("c", "/commands/"),
    ("b", "/batches/"),
    ("m", "/campaigns/"),
]
RING = """() => {
  const focused = document.activeElement;
  const isRinged = (element) => parseFloat(getComputedStyle(element).outlineWidth) >= 2
    && getComputedStyle(element).outlineStyle !== "none";
  const hasPartsOfItsOwn = focused.type === "datetime-local";  // which the browser rings
  return hasPartsOfItsOwn || isRinged(focused) || isRinged(focused.closest("label") ?? focused);
}"""
MOVING = "document.getAnimations().filter((one) => one.playState === 'running').length"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def test_shortcut_keys_open_the_pages(open_tab: Opener) -> None:
    tab = open_tab("/commands/new/")
    for key, path in PLACES:
        tab.keyboard.press(key)
        tab.wait_for_url(path)
    tab.keyboard.press("/")  # this page has no search: the list of commands is opened
    tab.wait_for_url("/commands/?focus=search")
    expect(tab.get_by_role("searchbox", name="Search")).to_be_focused()
    tab.keyboard.type("dvcbn?")
    expect(tab.get_by_role("searchbox", name="Search")).to_have_value("dvcbn?")


def test_a_vehicle_is_reached_by_part_of_its_vin(open_tab: Opener) -> None:
    """Read the codes of a known vehicle, without waiting for what the palette finds."""
    tab = open_tab("/")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("0034")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    expect(tab.locator("#chosen-vin")).to_have_text(vin(34))
    tab.get_by_label("ECU address").fill("10")
    tab.keyboard.press("Control+Enter")
    expect(tab.locator("[data-live=parameters]")).to_have_text("ECU address 0x10")

    tab.keyboard.press("Control+k")
    tab.keyboard.type("vehicles")
    tab.keyboard.press("Enter")
    tab.wait_for_url("/vehicles/")


def test_the_palette_gets_the_keys_that_come_before_its_module(open_tab: Opener) -> None:
    tab = open_tab("/")
    module = Held(tab, r"/palette\.")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("vehicles")
    tab.keyboard.press("Enter")
    module.release()
    tab.wait_for_url("/vehicles/")


def test_a_palette_that_is_closed_opens_nothing(open_tab: Opener) -> None:
    tab = open_tab("/")
    search = Held(tab, r"/api/v1/vehicles/\?search=vehicles")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("vehicles")
    tab.keyboard.press("Enter")
    search.wait_until_asked()
    tab.keyboard.press("Escape")
    with tab.expect_event("requestfinished", lambda request: "search=vehicles" in request.url):
        search.release()
    tab.keyboard.press("Control+k")
    tab.keyboard.type("batches")
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile("/(batches|vehicles)/$"))
    expect(tab).to_have_url(re.compile("/batches/$"))


def test_a_vehicle_is_chosen_from_what_was_typed_last(open_tab: Opener) -> None:
    """Leave the search before its answer: by then the list still has the vehicles of before."""
    tab = open_tab("/commands/new/")
    search = tab.get_by_role("searchbox", name="Vehicle")
    vehicles = tab.get_by_role("radiogroup", name="Vehicle").get_by_role("radio")
    expect(vehicles).not_to_have_count(0)
    search.fill(vin(35))
    search.press("Tab")
    expect(vehicles.first).to_be_focused()
    tab.keyboard.press("Space")
    expect(tab.locator("#chosen-vin")).to_have_text(vin(35))


def test_keys_move_through_the_rows_of_a_list(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/")
    rows = tab.locator("[data-rows] tr")
    expect(rows.first).to_be_visible()
    for key, row in (("j", 0), ("j", 1), ("k", 0)):
        tab.keyboard.press(key)
        expect(rows.nth(row).get_by_role("link").first).to_be_focused()


def test_a_key_lists_the_shortcuts(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/")
    tab.keyboard.press("?")
    dialog = tab.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    tab.keyboard.press("d")
    expect(dialog).to_be_visible()
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_shortcut_keys_can_be_turned_off(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/")
    tab.keyboard.press("?")
    tab.get_by_label("Use single-key shortcuts").uncheck()
    tab.keyboard.press("Escape")
    tab.reload()
    for key in "dn?":
        tab.keyboard.press(key)
    expect(tab.get_by_role("heading", name="Vehicles", level=1)).to_be_visible()
    expect(tab.get_by_role("dialog")).to_be_hidden()
    tab.get_by_role("button", name="Keyboard shortcuts").click()
    tab.get_by_label("Use single-key shortcuts").check()
    tab.keyboard.press("Escape")
    tab.keyboard.press("d")
    tab.wait_for_url("/")


@pytest.mark.parametrize("path", ["/commands/new/", "/batches/new/"])
def test_a_shortcut_key_never_leaves_a_form_that_is_begun(path: str, open_tab: Opener) -> None:
    tab = open_tab(path)
    tab.get_by_label("ECU address").fill("0x10")
    tab.get_by_role("button", name=re.compile("Submit command|Check and send")).focus()
    for key in "dvcbn":
        tab.keyboard.press(key)
    expect(tab.get_by_label("ECU address")).to_have_value("0x10")
    assert tab.url.endswith(path)


def test_the_skip_link_leads_to_the_content(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/")
    tab.keyboard.press("Tab")
    skip = tab.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    tab.keyboard.press("Enter")
    expect(tab.locator("main")).to_be_focused()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Save view")).to_be_focused()


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


def test_nothing_moves_for_users_who_prefer_reduced_motion(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/commands/{running}/".format_map(site.ids), reduced_motion="no-preference")
    expect(tab.get_by_role("progressbar")).to_be_visible()
    assert tab.evaluate(MOVING) > 0
    tab.emulate_media(reduced_motion="reduce")
    assert tab.evaluate(MOVING) == 0
