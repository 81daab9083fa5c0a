"""Scans: a vehicle is scanned, its report read and compared, a snapshot read from a code."""

import re

from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.program import vin

ONE_COMMAND = re.compile(r"/commands/[0-9a-f-]{36}/$")


def test_a_vehicle_is_scanned_and_its_report_compared_with_an_earlier_one(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/vehicles/{scanned_vehicle}/".format_map(site.ids))
    marks = tab.locator(".change[data-change=scanned]")
    expect(marks).to_have_count(2)
    tab.get_by_role("button", name="Scan all ECUs").click()
    expect(tab).to_have_url(ONE_COMMAND)
    expect(tab.locator("#live [data-live=status]")).to_have_text("Completed")
    told = tab.locator("#live .entry.answer")
    expect(told).to_have_count(5)
    expect(told.first).to_contain_text("Part number")
    expect(told.last).to_contain_text("4 of 4 ECUs")

    tab.get_by_role("link", name="Report", exact=True).click()
    expect(tab.get_by_role("heading", name="Scan report")).to_be_visible()
    expect(tab.get_by_role("list", name="What became of the trouble codes")).to_have_count(0)
    tab.get_by_label("Compare with").select_option(site.ids["scan_before"])
    tab.get_by_role("button", name="Show").click()
    expect(tab.locator(".counts [data-change=went]")).to_contain_text(re.compile(r"[1-9]\d* went"))
    expect(tab.locator(".between")).to_contain_text("ClearDTC")
    tab.emulate_media(media="print", color_scheme="dark")
    expect(tab.locator("nav")).to_be_hidden()
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(24, 32, 43)"


def test_snapshots_are_read_beside_the_codes_of_a_read(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    read = operator.submit(vin(47))
    operator.wait_for_end(read)
    tab = open_tab(f"/commands/{read}/")
    codes = tab.locator("#live [data-live=codes]")
    sent = codes.locator(".sent > li")
    for number in range(2):
        codes.get_by_role("button", name="Snapshot of").nth(number).click()
        expect(sent).to_have_count(number + 1)
        expect(sent.first.get_by_role("status")).to_have_text("Completed")
        expect(sent.first).to_be_in_viewport()
        expect(sent.first.locator("thead").first).to_have_text("NameValueUnitRaw")
        expect(sent.first.get_by_role("row", name="Engine speed").first).to_contain_text("rpm")
    expect(tab).to_have_url(re.compile(f"/commands/{read}/$"))
    sent.first.get_by_role("link", name="ReadDTCSnapshot").click()
    tab.get_by_role("link", name="Timeline of this code").first.click()
    expect(tab.get_by_label("Trouble code", exact=True)).not_to_have_value("")
    expect(tab.locator("#timeline .change").first).to_be_visible()


def test_a_snapshot_that_was_refused_says_so_beside_the_codes(
    open_tab: Opener, program: Programs, tab_errors: TabErrors
) -> None:
    operator = program("operator")
    read = operator.submit(vin(47))
    operator.wait_for_end(read)
    tab = open_tab(f"/commands/{read}/")
    codes = tab.locator("#live [data-live=codes]")
    tab_errors.expect("ERR_FAILED")
    tab.route("**/api/v1/commands/", lambda route: route.abort())
    codes.get_by_role("button", name="Snapshot of").first.click()
    expect(codes.get_by_role("alert")).to_contain_text("cannot be reached")


def test_a_scan_of_many_vehicles_has_one_line_for_each(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    vehicles = [f"vehicle={operator.vehicle(vin(n))}" for n in (45, 46)]
    tab = open_tab(f"/batches/new/?{'&'.join(vehicles)}")
    tab.locator("#command-name").select_option("ScanVehicle")
    tab.get_by_role("button", name="Check and send…").click()
    tab.get_by_role("button", name="Send to 2 vehicles").click()
    lines = tab.get_by_text(re.compile("^4 of 4 ECUs, [0-9]+ trouble codes$"))
    expect(lines).to_have_count(2)
