"""Batches: chosen, confirmed, watched, exported, cancelled, stopped."""

import re

from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from sovd.tests.browser.conftest import Opener, Programs
from sovd.tests.browser.held import Held
from sovd.tests.browser.program import vin

NO_DATA = "0xDEAD"  # no vehicle knows it
ONE_BATCH = re.compile("/batches/[0-9a-f-]{36}/$")


def test_a_command_is_sent_to_three_chosen_vehicles(open_tab: Opener) -> None:
    tab = open_tab(f"/vehicles/?search={vin(40)[:-1]}")
    chosen = [vin(n) for n in (40, 41, 42)]
    for one in chosen:
        tab.get_by_role("checkbox", name=f"Choose {one}").check()
    tab.get_by_role("button", name="Command to the chosen (3)").click()
    expect(tab.locator("#chosen .vin")).to_have_text(chosen)
    unsafe = tab.get_by_role("option", name="ClearDTC")
    expect(unsafe).to_be_disabled()
    expect(unsafe).to_contain_text("only a fleet admin")

    tab.get_by_label("ECU address").fill("0x10")
    dialog = check_and_send(tab, "Send ReadDTC to 3 vehicles?")
    dialog.get_by_role("button", name="Send to 3 vehicles").click()
    expect(tab).to_have_url(ONE_BATCH)
    expect(tab.locator("[data-batch=ended]")).to_have_text("3 of 3 ended")
    expect(results(tab).locator(".result-vehicle .vin")).to_have_text(chosen)
    expect(results(tab).locator(".result-status")).to_have_text(["Completed"] * 3)
    expect(results(tab).locator(".code-tag", has_text="P0420")).to_have_count(3)
    expect(count(tab, "Completed")).to_have_text("3")
    count(tab, "Failed").click()
    expect(tab.get_by_text("None is failed now.")).to_be_visible()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 1 + 3


def test_a_batch_waits_for_the_vehicles_of_its_link(open_tab: Opener, program: Programs) -> None:
    vehicles = [program("operator").vehicle(vin(n)) for n in (40, 41)]
    tab = open_tab("about:blank")
    loading = Held(tab, f"/vehicles/{vehicles[0]}/$")
    tab.goto(f"/batches/new/?vehicle={vehicles[0]}&vehicle={vehicles[1]}")
    tab.get_by_label("ECU address").fill("0x10")
    tab.get_by_role("button", name="Check and send…").click()
    loading.release()
    expect(tab.get_by_role("dialog", name="Send ReadDTC to 2 vehicles?")).to_be_visible()


def test_a_batch_opens_with_its_answer(open_tab: Opener, program: Programs) -> None:
    """The mocked vehicles all have P0420; a line leads to the vehicles behind it."""
    tab = compose(open_tab, program, [40, 41])
    tab.get_by_label("ECU address").fill("0x10")
    dialog = check_and_send(tab, "Send ReadDTC to 2 vehicles?")
    dialog.get_by_role("button", name="Send to 2 vehicles").click()
    answer = tab.locator("#answer")
    expect(answer.get_by_role("heading", name="2 of 2 vehicles answered")).to_be_visible()
    line = answer.get_by_role("listitem").filter(has_text="P0420")
    expect(line).to_contain_text("in 2 of 2 vehicles")
    line.get_by_role("link", name="P0420").click()
    expect(tab.get_by_text("Vehicles with P0420")).to_be_visible()
    expect(results(tab).locator("tr")).to_have_count(2)
    tab.reload()
    expect(tab.get_by_text("Vehicles with P0420")).to_be_visible()
    tab.get_by_role("button", name="Show all vehicles").click()
    expect(tab).to_have_url(ONE_BATCH)


def test_a_command_is_sent_again_where_it_failed(open_tab: Opener, program: Programs) -> None:
    tab = compose(open_tab, program, [46, 47])
    tab.get_by_role("combobox", name="Command").select_option("ReadDataByID")
    tab.get_by_label("ECU address").fill("0x10")
    tab.get_by_label("Data identifier").fill(NO_DATA)
    dialog = check_and_send(tab, "Send ReadDataByID to 2 vehicles?")
    dialog.get_by_role("button", name="Send to 2 vehicles").click()
    expect(tab.locator("[data-answer=failures]")).to_contain_text("The vehicle refused")
    first = tab.url
    tab.get_by_role("button", name="Send again to the 2 that failed…").click()
    again = tab.get_by_role("dialog", name="Send ReadDataByID to 2 vehicles?")
    again.get_by_role("button", name="Send to 2 vehicles").click()
    expect(tab).not_to_have_url(first)
    expect(tab).to_have_url(ONE_BATCH)
    expect(tab.locator("[data-batch=ended]")).to_have_text("2 of 2 ended")


def test_the_rest_of_a_batch_is_cancelled(open_tab: Opener, program: Programs) -> None:
    tab = compose(open_tab, program, [45, 48])
    tab.get_by_label("ECU address").fill("0x10")
    dialog = check_and_send(tab, "Send ReadDTC to 2 vehicles?")
    expect(dialog).to_contain_text("1 is not connected now")
    dialog.get_by_role("button", name="Send to 2 vehicles").press("Enter")
    expect(tab.locator("[data-batch=ended]")).to_have_text("1 of 2 ended")
    tab.get_by_role("button", name="Cancel the rest…").click()
    rest = tab.get_by_role("dialog", name="Cancel the rest?")
    expect(rest).to_contain_text("Withdrawn before they reach their vehicle: 1.")
    rest.get_by_role("button", name="Cancel the rest").click()
    expect(tab.locator("[data-batch=state]")).to_have_text("Cancelled")
    expect(results(tab).locator(".result-status")).to_have_text(["Completed", "Cancelled"])


def test_a_batch_stops_when_too_many_commands_fail(open_tab: Opener, program: Programs) -> None:
    """Two vehicles refuse the command; the offline one never gets it."""
    tab = compose(open_tab, program, [46, 47, 48])
    tab.get_by_role("combobox", name="Command").select_option("ReadDataByID")
    tab.get_by_label("ECU address").fill("0x10")
    tab.get_by_label("Data identifier").fill(NO_DATA)
    tab.get_by_label("Stop when more than").fill("101")
    tab.get_by_role("button", name="Check and send…").click()
    expect(tab.get_by_label("Stop when more than")).to_be_focused()
    expect(tab.get_by_text("A whole number from 0 to 100")).to_be_visible()

    tab.get_by_label("Stop when more than").fill("50")
    dialog = check_and_send(tab, "Send ReadDataByID to 3 vehicles?")
    expect(dialog).to_contain_text("when more than 50 % fail")
    dialog.get_by_role("button", name="Send to 3 vehicles").click()
    expect(tab.locator("[data-batch=state]")).to_have_text("Stopped by failures")
    expect(tab.locator("[data-batch=notice]")).to_contain_text("more than 50 % failed")
    expect(results(tab).locator(".result-status")).to_have_text(["Failed", "Failed", "Cancelled"])


def test_a_fleet_admin_confirms_an_unsafe_batch_by_the_number_of_vehicles(
    open_tab: Opener, program: Programs
) -> None:
    tab = compose(open_tab, program, [50, 51], who="admin")
    tab.get_by_role("combobox", name="Command").select_option("ClearDTC")
    tab.get_by_label("ECU address").fill("0x10")
    dialog = check_and_send(tab, "Send ClearDTC to 2 vehicles?")
    expect(dialog).to_contain_text("every stored trouble code of ECU 0x10 in 2 vehicles")
    number = dialog.get_by_label("To confirm, type the number of vehicles: 2")
    number.fill("3")
    number.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("This is not the number of vehicles. Type 2.")
    number.fill("2")
    number.press("Enter")
    expect(results(tab).locator(".result-good", has_text="cleared")).to_have_count(2)


def test_nothing_moves_when_the_rest_is_cancelled(open_tab: Opener, program: Programs) -> None:
    tab = compose(open_tab, program, [43, 48])
    tab.get_by_label("ECU address").fill("0x10")
    check_and_send(tab, "Send ReadDTC to 2 vehicles?").get_by_role(
        "button", name="Send to 2 vehicles"
    ).click()
    expect(results(tab).locator("tr")).to_have_count(2)
    top = "[scrollY, document.getElementById('counts').getBoundingClientRect().top]"
    tab.get_by_role("button", name="Cancel the rest…").click()
    before = tab.evaluate(top)
    tab.get_by_role("dialog").get_by_role("button", name="Cancel the rest").click()
    expect(tab.locator("[data-batch=state]")).to_have_text("Cancelled")
    assert tab.evaluate(top) == before


def compose(open_tab: Opener, program: Programs, numbers: list[int], who: str = "operator") -> Tab:
    vehicles = [f"vehicle={program('operator').vehicle(vin(n))}" for n in numbers]
    tab = open_tab(f"/batches/new/?{'&'.join(vehicles)}", who)
    expect(tab.locator("#choice-count")).to_have_text(f"{len(numbers)} vehicles chosen")
    return tab


def check_and_send(tab: Tab, question: str) -> Locator:
    tab.get_by_role("button", name="Check and send…").click()
    dialog = tab.get_by_role("dialog", name=question)
    expect(dialog).to_be_visible()
    return dialog


def results(tab: Tab) -> Locator:
    return tab.locator("#results [data-rows]")


def count(tab: Tab, status: str) -> Locator:
    return tab.locator("#counts button", has_text=status).locator("strong")
