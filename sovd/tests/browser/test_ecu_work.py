"""Work on the ECUs of a vehicle without leaving its page."""

import re

from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.program import vin

AWAY = 23  # a vehicle of the demo site that is offline


def test_codes_are_read_and_cleared_on_the_page_of_the_vehicle(
    open_tab: Opener, program: Programs
) -> None:
    address = f"/vehicles/{program('operator').vehicle(vin(57))}/"
    tab = open_tab(address)
    tab.get_by_label("Address of another ECU").fill("28")
    tab.keyboard.press("Enter")
    newest = tab.locator("#ecu-work > li").first
    expect(newest.get_by_role("status")).to_have_text("Completed")
    expect(newest.locator("ol > li")).to_have_count(1)
    expect(newest).to_contain_text(re.compile(r"\d trouble codes?stored"))
    ecu = tab.locator("[data-ecu='0x28']")
    expect(ecu.locator("[data-code]").first).to_be_visible()

    ecu.get_by_role("button", name="Clear codes… of ECU 0x28").click()
    dialog = tab.get_by_role("dialog", name="Send ClearDTC to this vehicle?")
    expect(dialog.get_by_role("list")).to_contain_text("C0035")
    dialog.get_by_label("Last six characters").fill("000057")
    dialog.get_by_role("button", name="Send ClearDTC").click()
    expect(newest.get_by_role("link", name="ClearDTC")).to_be_visible()
    expect(newest.get_by_role("status")).to_have_text("Completed")
    expect(newest).to_contain_text("by a read after the clear")
    expect(ecu.locator("[data-code]")).to_have_count(0)
    expect(tab).to_have_url(re.compile(f"{address}$"))


def test_a_snapshot_is_read_on_the_page_of_the_vehicle(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    operator.wait_for_end(operator.submit(vin(54)))
    address = f"/vehicles/{operator.vehicle(vin(54))}/"
    tab = open_tab(address)
    code = tab.locator("[data-ecu='0x10'] [data-code]").last
    name = code.get_attribute("data-code") or ""
    code.get_by_role("button", name=f"Snapshot of {name} of ECU 0x10").click()
    newest = tab.locator("#ecu-work > li").first
    expect(newest.get_by_role("link", name="ReadDTCSnapshot")).to_be_visible()
    expect(newest.get_by_role("status")).to_have_text("Completed")
    expect(newest).to_be_in_viewport()
    expect(newest.locator("ol > li").first).to_contain_text(f"{name}snapshot")
    speed = newest.get_by_role("row", name="Engine speed")
    expect(speed.first).to_contain_text("rpm")
    expect(tab).to_have_url(re.compile(f"{address}$"))


def test_a_command_that_waits_is_cancelled_on_the_page_of_the_vehicle(
    open_tab: Opener, program: Programs
) -> None:
    tab = open_tab(f"/vehicles/{program('operator').vehicle(vin(AWAY))}/")
    tab.get_by_label("Address of another ECU").fill("0x10")
    tab.keyboard.press("Enter")
    newest = tab.locator("#ecu-work > li").first
    expect(newest.get_by_role("status")).to_have_text("Pending")
    expect(tab.locator("#facts .in-turn li")).to_have_text(
        re.compile(r"^ReadDTC by operator, waiting since ")
    )
    newest.get_by_role("button", name="Cancel").click()
    expect(newest.get_by_role("status")).to_have_text("Cancelled")
    expect(newest.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_wrong_address_is_named(
    open_tab: Opener, program: Programs, tab_errors: TabErrors
) -> None:
    tab = open_tab(f"/vehicles/{program('operator').vehicle(vin(57))}/")
    tab_errors.expect("400")
    tab.get_by_label("Address of another ECU").fill("xyz")
    tab.get_by_role("button", name="Read codes", exact=True).last.click()
    expect(tab.locator("#ecu-problem")).to_contain_text("hexadecimal")


def test_an_ecu_is_proposed_for_a_value(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    operator.wait_for_end(operator.submit(vin(50), ecuAddress="0x40"))
    tab = open_tab(f"/vehicles/{operator.vehicle(vin(50))}/")
    tab.get_by_role("button", name="Read a value of ECU 0x40").click()
    expect(tab.get_by_role("textbox", name="ECU address", exact=True)).to_have_value("0x40")
    expect(tab.get_by_label("Data identifier")).to_be_focused()


def test_those_who_only_look_are_offered_no_command(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    operator.wait_for_end(operator.submit(vin(50), ecuAddress="0x40"))
    tab = open_tab(f"/vehicles/{operator.vehicle(vin(50))}/", "viewer")
    expect(tab.locator("[data-ecu='0x40']")).to_be_visible()
    expect(tab.locator("[data-ecu='0x40']").get_by_role("button")).to_have_count(0)
