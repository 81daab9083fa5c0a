"""Values of a vehicle: read once, again and again, and as earlier commands have read them."""

import re

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener, Programs
from sovd.tests.browser.program import Program, vin

AWAY = 18  # a vehicle of the demo site that is offline


def opened(
    open_tab: Opener, operator: Program, number: int, did: str, who: str = "operator"
) -> Tab:
    tab = open_tab(f"/vehicles/{operator.vehicle(vin(number))}/", who)
    tab.get_by_role("textbox", name="ECU address").fill("10")
    tab.get_by_role("textbox", name="Data identifier").fill(did)
    return tab


def count_of_reads(program: Program, number: int) -> int:
    found = program.commands(vehicle_id=program.vehicle(vin(number)), command_name="ReadDataByID")
    return len(found)


def test_a_value_is_read_again_and_again_and_drawn(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    before = count_of_reads(operator, 51)
    tab = opened(open_tab, operator, 51, "0x010C")
    tab.get_by_label("Seconds between two reads").fill("1")
    tab.get_by_role("button", name="Read again and again").click()
    series = tab.locator("#series")
    expect(series.locator(".dots")).to_have_count(3)
    expect(series.locator("figcaption")).to_contain_text(
        re.compile(r"^Engine speed \(rpm\): last [0-9,.]+, lowest [0-9,.]+, highest [0-9,.]+$")
    )
    expect(series.locator(".scale span").first).to_have_text(re.compile(r"^[0-9,.]+ rpm$"))
    expect(series.locator(".times time")).to_have_count(3)
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(tab.locator("#values-message")).to_have_text("Stopped.")
    expect(tab.get_by_role("button", name="Read again and again")).to_be_visible()

    series.get_by_text("As a table").focus()
    tab.keyboard.press("Enter")
    rows = series.locator("tbody tr")
    expect(rows.first).to_contain_text("rpm")
    drawn = rows.count()
    assert 3 <= drawn <= count_of_reads(operator, 51) - before <= drawn + 1
    rows.first.get_by_role("link").click()
    expect(tab.locator("#live [data-live=name]")).to_have_text("ReadDataByID")


def test_a_series_stops_at_the_first_read_that_fails(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    before = count_of_reads(operator, 52)
    tab = opened(open_tab, operator, 52, "0xDEAD")
    tab.get_by_label("Seconds between two reads").fill("1")
    tab.get_by_role("button", name="Read again and again").click()
    message = tab.locator("#values-message")
    expect(message).to_contain_text("The vehicle refused the command.")
    expect(tab.get_by_role("button", name="Read again and again")).to_be_visible()
    assert count_of_reads(operator, 52) == before + 1


def test_a_read_that_still_waits_is_cancelled_with_its_series(
    open_tab: Opener, program: Programs
) -> None:
    operator = program("operator")
    tab = opened(open_tab, operator, AWAY, "0x010C")
    tab.get_by_role("button", name="Read again and again").click()
    waiting = tab.locator("#last-commands tr").first
    expect(waiting).to_contain_text("Pending")
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(waiting).to_contain_text("Cancelled")


def test_a_value_without_a_number_is_not_drawn(open_tab: Opener, program: Programs) -> None:
    tab = opened(open_tab, program("operator"), 54, "0xF189")
    tab.get_by_role("button", name="Read once").click()
    series = tab.locator("#series")
    expect(series).to_contain_text("Nothing is drawn, because the value is not a number.")
    expect(series.locator("figure")).to_have_count(0)
    series.get_by_text("As a table: 1 read").click()
    expect(series.locator("tbody")).to_contain_text("1.4.2")


def test_earlier_values_are_drawn_also_for_those_who_only_look(
    open_tab: Opener, program: Programs
) -> None:
    operator = program("operator")
    for _ in range(2):
        read = operator.submit(vin(55), "ReadDataByID", ecuAddress="0x10", dataId="0x0105")
        operator.wait_for_end(read)
    tab = opened(open_tab, operator, 55, "0x0105", "viewer")
    expect(tab.get_by_role("button", name="Read once")).to_have_count(0)
    tab.keyboard.press("Enter")
    past = tab.locator("#past-values")
    expect(past.locator("figcaption")).to_contain_text("Coolant temperature (°C)")
    past.get_by_text("As a table").click()
    expect(past.get_by_role("link").first).to_have_attribute("href", f"/commands/{read}/")
