"""Pages that follow changes made elsewhere: the dashboard and the list of vehicles."""

import re

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener, Programs
from sovd.tests.browser.program import vin

LIVE_MS = 15_000  # the pages poll every few seconds


def test_the_dashboard_follows_the_commands(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    tab = open_tab("/")
    figure = tab.locator("[data-tile=in-flight] [data-figure]")
    expect(figure).to_have_text(re.compile(r"^\d+$"))
    before = int(figure.inner_text())
    waiting = operator.submit(vin(53))
    expect(figure).to_have_text(str(before + 1), timeout=LIVE_MS)
    operator.cancel(waiting)
    expect(figure).to_have_text(str(before), timeout=LIVE_MS)

    refused = operator.submit(vin(26), "ReadDataByID", ecuAddress="0x10", dataId="0xDEAD")
    newest = tab.locator("#failures tr").first
    link = newest.locator(f"a[href='/commands/{refused}/']")
    expect(link).to_be_visible(timeout=LIVE_MS)
    expect(newest).to_contain_text("The vehicle refused the command.")


def test_the_dashboard_shows_a_longer_period(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    for read in [operator.submit(vin(n)) for n in (30, 31, 32, 34)]:
        operator.wait_for_end(read)
    refused = operator.submit(vin(26), "ReadDataByID", ecuAddress="0x10", dataId="0xDEAD")
    operator.wait_for_end(refused)
    tab = open_tab("/")
    expect(tab.locator("#outcomes .hover")).to_have_count(60)
    expect(tab.locator("#reasons li")).not_to_have_count(0)
    tab.get_by_role("navigation", name="Period").get_by_text("7 days").click()
    expect(tab.locator("#outcomes .hover")).to_have_count(84)
    expect(tab.locator("[data-tile=latency]")).to_contain_text("95 % within")
    expect(tab.locator("#codes li").first).to_contain_text(re.compile(r"\d vehicle"))
    tab.locator("#reasons").get_by_role("link", name="The vehicle refused the command.").click()
    expect(tab.get_by_label("Reason of failure")).to_have_value("vehicle_refused")
    expect(tab.locator(f"tr[data-command='{refused}']")).to_be_visible()
    expect(tab.locator(".result", has_text="not reached")).to_have_count(0)


def test_the_list_of_vehicles_follows_the_admin(open_tab: Opener, program: Programs) -> None:
    vehicle = program("operator").vehicle(vin(27))
    tab = open_tab("/vehicles/")
    tab.keyboard.press("/")
    tab.keyboard.type(vin(27))
    row = tab.get_by_role("row", name=vin(27))
    expect(row).to_contain_text("Connected")
    expect(tab.locator("#vehicles tbody tr")).to_have_count(1)

    admin = open_tab(f"/admin/vehicles/vehicle/{vehicle}/change/", "admin")
    set_online(admin, "false")
    expect(row).to_contain_text("Disconnected", timeout=LIVE_MS)
    tab.get_by_label("Connection").select_option("Connected")
    expect(tab.get_by_text("No vehicle matches the filter.")).to_be_visible()
    expect(tab).to_have_url(re.compile(f"search={vin(27)}&connection_status=connected$"))
    admin.goto(f"/admin/vehicles/vehicle/{vehicle}/change/")
    set_online(admin, "true")
    expect(row).to_contain_text("Connected", timeout=LIVE_MS)


def set_online(admin: Tab, online: str) -> None:
    """A worker's probe then tells whether the vehicle is connected."""
    admin.get_by_label("Connector settings").fill(f'{{"online": {online}}}')
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.locator(".messagelist")).to_contain_text("changed successfully")
