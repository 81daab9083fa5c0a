"""One command: composed, confirmed, watched, cut off, cancelled, repeated."""

import re
import signal

import pytest
from playwright.sync_api import Locator, Request, expect
from playwright.sync_api import Page as Tab

from dev.showroom.processes import Showroom
from sovd.tests.browser.audit import actions_about
from sovd.tests.browser.conftest import Ears, Opener, Programs
from sovd.tests.browser.program import OFFLINE, vin

ONE_COMMAND = re.compile(r"/commands/[0-9a-f-]{36}/$")
PATIENCE_MS = 30_000  # to connect again, and to draw a thousand answers on a busy machine
MANY = 1000  # `dev.showroom.pour` gives so many, and a last one


def test_by_keyboard_alone_and_seen_everywhere(open_tab: Opener, site: Showroom) -> None:
    tab = open_tab("/")
    tab.keyboard.press("n")
    expect(tab.get_by_role("textbox", name="ECU address")).to_be_visible()
    with site.paused("worker-1"):
        submit_by_keyboard(tab)
        expect(tab.locator("#live .vin")).to_have_text(vin(21))
        expect(live(tab, "status")).to_have_text("Pending")
        expect(live(tab, "connection")).to_have_text("Live")
    expect(live(tab, "status")).to_have_text("Completed")
    expect(entries(tab).last).to_contain_text("The vehicle has answered everything.")
    said = entries(tab).all_inner_texts()

    shows_raw_json_on_demand(entries(tab).filter(has_text="P0420"))

    tab.reload()
    expect(entries(tab)).to_have_text(said, use_inner_text=True)
    second = tab.context.new_page()
    second.goto(tab.url)
    expect(entries(second)).to_have_text(said, use_inner_text=True)


def submit_by_keyboard(tab: Tab) -> None:
    tab.keyboard.press("/")
    tab.keyboard.type(vin(20)[:-1])  # ten vehicles
    expect(tab.get_by_role("radiogroup", name="Vehicle").get_by_role("radio")).to_have_count(10)
    for key in ("Tab", "ArrowDown", "Tab"):
        tab.keyboard.press(key)
    expect(tab.get_by_label("Command", exact=True)).to_be_focused()
    tab.keyboard.type("ReadDTC")
    tab.keyboard.press("Tab")
    tab.keyboard.type("0x10")
    tab.keyboard.press("Control+Enter")
    expect(tab).to_have_url(ONE_COMMAND)


def shows_raw_json_on_demand(answer: Locator) -> None:
    expect(answer).to_contain_text("Catalyst system efficiency below threshold, bank 1")
    expect(answer.locator("pre")).to_be_hidden()
    answer.get_by_text("Raw JSON").click()
    expect(answer.locator("pre")).to_contain_text('"dtcCode": "P0420"')


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("0x1G", "Not valid: one byte in hexadecimal, such as 0x10."),
        ("", "Required: one byte in hexadecimal, such as 0x10."),
    ],
)
def test_a_bad_parameter(typed: str, words: str, open_tab: Opener, site: Showroom) -> None:
    tab = open_tab("/commands/new/?vehicle={vehicle}".format_map(site.ids))
    asked: set[str] = set()

    def note(request: Request) -> None:
        asked.add(request.method)

    tab.on("request", note)
    address = tab.get_by_label("ECU address")
    address.fill(typed)
    tab.get_by_role("button", name="Submit command").click()
    expect(address).to_be_focused()
    expect(address).to_have_accessible_description(words)
    expect(tab.get_by_text(words)).to_be_visible()
    expect(tab).to_have_url(re.compile("/commands/new/"))
    assert asked <= {"GET"}


def test_no_vehicle_is_chosen(open_tab: Opener) -> None:
    tab = open_tab("/commands/new/")
    tab.get_by_label("ECU address").fill("0x10")
    tab.keyboard.press("Control+Enter")
    expect(tab.get_by_role("alert")).to_have_text("Choose a vehicle.")


def test_erasing_is_confirmed_by_the_vin(open_tab: Opener, program: Programs) -> None:
    vehicle = program("operator").vehicle(vin(22))
    tab = open_tab(f"/commands/new/?vehicle={vehicle}")
    dialog = ask_to_erase(tab)
    expect(dialog).to_contain_text(vin(22))
    expect(dialog).to_contain_text("were not read yet")
    dialog.get_by_role("button", name="Read the codes first").click()
    expect(dialog.get_by_role("listitem").filter(has_text="B1234")).to_be_visible()
    expect(dialog).to_contain_text("to be erased")

    end_of_vin = dialog.get_by_label("Last six characters of the VIN")
    end_of_vin.fill("000023")
    end_of_vin.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("not the last 6 characters of the VIN")
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tab.get_by_role("button", name="Submit command")).to_be_focused()
    expect(tab).to_have_url(re.compile("/commands/new/"))

    tab.keyboard.press("Enter")
    end_of_vin.fill("000022")
    end_of_vin.press("Enter")
    expect(live(tab, "status")).to_have_text("Completed")
    expect(entries(tab).filter(has_text="cleared")).to_be_visible()
    command_id = tab.url.split("/")[-2]

    cleared = open_tab(f"/vehicles/{vehicle}/", who="admin").locator("[data-change=cleared]")
    expect(cleared.filter(has_text="B1234")).to_contain_text("by operator")
    link = cleared.first.get_by_role("link", name="ClearDTC")
    expect(link).to_have_attribute("href", f"/commands/{command_id}/")
    assert sorted(actions_about(command_id, open_tab)) == ["Confirm", "Submit"]


def ask_to_erase(tab: Tab) -> Locator:
    tab.get_by_label("Command", exact=True).select_option("ClearDTC")
    tab.get_by_label("ECU address").fill("0x40")
    tab.get_by_role("button", name="Submit command").click()
    dialog = tab.get_by_role("dialog", name="Send ClearDTC to this vehicle?")
    expect(dialog).to_be_visible()
    return dialog


def test_a_thousand_answers_and_a_cut_among_them(
    open_tab: Opener, ear: Ears, site: Showroom, program: Programs
) -> None:
    """The answers are held back while the web process dies, so that it dies among them."""
    command_id = program("operator").submit(OFFLINE)
    tab = open_tab(f"/commands/{command_id}/")
    expect(live(tab, "connection")).to_have_text("Live")
    pouring = site.begin("pour", command_id)
    expect(entries(tab).nth(20)).to_be_attached()
    pouring.send_signal(signal.SIGSTOP)
    ear.expect("ERR_CONNECTION_REFUSED")
    site.kill("web-1")
    expect(live(tab, "connection")).to_have_text(re.compile("Reconnecting"))
    pouring.send_signal(signal.SIGCONT)
    assert pouring.wait() == 0
    expect(live(tab, "status")).to_have_text("In progress")
    site.start("web-1")
    expect(live(tab, "status")).to_have_text("Completed", timeout=PATIENCE_MS)
    everything = MANY + 4  # submitted, started, the last answer, completed
    expect(entries(tab)).to_have_count(everything, timeout=PATIENCE_MS)
    numbers = tab.locator(".entry .sequence").all_text_contents()
    assert numbers == [f"#{number}" for number in range(1, everything + 1)]
    tab.get_by_text("Raw JSON").first.click()
    expect(tab.locator("pre.json").first).to_contain_text("P0000")


def test_what_waits_is_cancelled_and_repeated(open_tab: Opener, program: Programs) -> None:
    tab = open_tab(f"/commands/new/?vehicle={program('operator').vehicle(OFFLINE)}")
    expect(tab.locator("#vehicle-note")).to_contain_text("Not connected")
    tab.get_by_label("Command", exact=True).select_option("ReadDataByID")
    tab.get_by_label("ECU address").fill("0x18")
    tab.get_by_label("Data identifier").fill("0x010C")
    tab.keyboard.press("Control+Enter")
    expect(live(tab, "notice")).to_contain_text("waits until it is back")
    tab.get_by_role("button", name="Cancel", exact=True).press("Enter")
    expect(live(tab, "status")).to_have_text("Cancelled")
    expect(entries(tab).last).to_contain_text("Nothing was sent to the vehicle.")

    expect(tab.get_by_role("link", name="Repeat this command")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_label("Data identifier")).to_have_value("0x010C")
    expect(tab.get_by_label("ECU address")).to_have_value("0x18")
    expect(tab.locator("[data-chosen]")).to_have_text(OFFLINE)
    tab.keyboard.press("Enter")
    expect(live(tab, "status")).to_have_text("Pending")
    tab.get_by_role("button", name="Cancel", exact=True).click()
    expect(live(tab, "status")).to_have_text("Cancelled")


def live(tab: Tab, part: str) -> Locator:
    return tab.locator(f"[data-live={part}]")


def entries(tab: Tab) -> Locator:
    return tab.locator("#live .entry")
