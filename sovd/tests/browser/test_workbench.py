"""Workbench: a command is composed, confirmed, watched, interrupted, cancelled, repeated."""

import re
import signal
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Request, expect
from playwright.sync_api import Page as Tab

from dev.demo_site.site import DemoSite
from sovd.tests.browser.audit import actions_about
from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.held import Held
from sovd.tests.browser.program import OFFLINE, vin

ONE_COMMAND = re.compile(r"/commands/[0-9a-f-]{36}/$")
PATIENCE_MS = 30_000  # to reconnect, and to draw a thousand responses on a busy machine
ROWS = 20  # of the table of codes, at first
MANY = 1000  # responses sent by `dev.demo_site.send_responses`, and a last one


def test_a_command_is_submitted_by_keyboard_and_shown_in_every_tab(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/")
    tab.keyboard.press("n")
    expect(tab.get_by_role("textbox", name="ECU address")).to_be_visible()
    with site.paused("worker-1"):
        submit_by_keyboard(tab)
        expect(tab.locator("#live .vin")).to_have_text(vin(21))
        expect(live(tab, "status")).to_have_text("Pending")
        expect(live(tab, "connection")).to_have_text("Live")
    expect(live(tab, "status")).to_have_text("Completed")
    expect(entries(tab).last).to_contain_text("The vehicle has sent all responses.")
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
    tab.keyboard.press("Home")  # ReadDTC; typed, it may also be ReadDTCSnapshot
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
        ("0x1G", "Not valid: one or two bytes in hexadecimal, such as 0x10 or 0x1010."),
        ("", "Required: one or two bytes in hexadecimal, such as 0x10 or 0x1010."),
    ],
)
def test_a_bad_parameter_is_explained_and_not_sent(
    typed: str, words: str, open_tab: Opener, site: DemoSite
) -> None:
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


def test_a_command_waits_for_its_time(open_tab: Opener, program: Programs) -> None:
    vehicle = program("operator").vehicle(vin(46))
    tab = open_tab(f"/commands/new/?vehicle={vehicle}&command=ReadDTC&ecuAddress=0x10")
    tab.get_by_text("Timing and priority").click()
    tab.get_by_label("Expires after, in hours").fill("1000")
    tab.get_by_role("button", name="Submit command").click()
    expect(tab.get_by_label("Expires after, in hours")).to_be_focused()
    expect(tab.get_by_label("Expires after, in hours")).to_have_attribute("aria-invalid", "true")
    tab.get_by_label("Expires after, in hours").fill("2")
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%S}"
    tab.get_by_label("Not before").fill(tomorrow)  # in the zone of the browser
    start = datetime.fromisoformat(tab.evaluate("text => new Date(text).toISOString()", tomorrow))
    tab.get_by_label("Priority").select_option("background")
    tab.get_by_role("button", name="Submit command").click()
    expect(tab).to_have_url(ONE_COMMAND)
    expect(tab.locator("#live")).to_contain_text("It is not sent before")
    stored = program("operator").command(tab.url.rstrip("/").rpartition("/")[2])
    assert (stored["priority"], stored["status"]) == ("background", "pending")
    assert datetime.fromisoformat(stored["not_before"]) == start
    assert datetime.fromisoformat(stored["expires_at"]) == start + timedelta(hours=2)
    program("operator").cancel(stored["command_id"])


def test_codes_are_compared_with_the_last_read(open_tab: Opener, program: Programs) -> None:
    sent = [program("operator").submit(vin(27)) for _ in range(2)]
    program("operator").wait_for_end(sent[1])
    tab = open_tab(f"/commands/{sent[1]}/")
    table = tab.get_by_role("region", name="Trouble codes that it has read")
    expect(table).to_contain_text("Compared with: ECU 0x10 read")
    expect(table.locator("tbody tr", has_text="P0420")).to_contain_text("Same")
    expect(table.get_by_role("link", name="read", exact=True)).to_have_attribute(
        "href", f"/commands/{sent[0]}/"
    )


def test_a_scan_shows_every_ecu_with_its_identification_and_codes(
    open_tab: Opener, program: Programs
) -> None:
    vehicle = program("operator").vehicle(vin(24))
    tab = open_tab(f"/commands/new/?vehicle={vehicle}")
    tab.get_by_label("Command", exact=True).select_option("ScanVehicle")
    expect(tab.get_by_text("This command has no parameters.")).to_be_visible()
    tab.get_by_role("button", name="Submit command").click()

    engine = entries(tab).filter(has_text="Engine control").first  # another ECU's code may name it
    expect(engine).to_contain_text(vin(24))
    expect(engine).to_contain_text("Catalyst system efficiency below threshold, bank 1")
    expect(entries(tab).filter(has_text="4 of 4 ECUs")).to_be_visible()


def test_intrusive_commands_are_offered_to_users_with_the_permission(open_tab: Opener) -> None:
    for who, is_offered in (("operator", False), ("admin", True)):
        commands = open_tab("/commands/new/", who).get_by_label("Command", exact=True)
        expect(commands.locator("option[value=ReadDTC]")).to_be_enabled()
        for name in ("WriteDataByID", "RoutineControl", "ECUReset"):
            option = commands.locator(f"option[value={name}]")
            expect(option).to_be_enabled(enabled=is_offered)


def test_written_data_is_confirmed_and_shown(open_tab: Opener, program: Programs) -> None:
    vehicle = program("operator").vehicle(vin(25))
    tab = open_tab(f"/commands/new/?vehicle={vehicle}", "admin")
    tab.get_by_label("Command", exact=True).select_option("WriteDataByID")
    tab.get_by_label("ECU address").fill("0x10")
    tab.get_by_label("Data identifier").fill("0xF198")
    tab.get_by_label("Data", exact=True).fill("41423132")
    tab.get_by_role("button", name="Submit command").click()
    end_of_vin = tab.get_by_role("dialog").get_by_label("Last six characters of the VIN")
    end_of_vin.fill("000025")
    end_of_vin.press("Enter")

    written = entries(tab).filter(has_text="Written")
    expect(written).to_contain_text("0xF198")
    expect(written).to_contain_text("41423132")


def test_a_command_without_a_vehicle_is_not_sent(open_tab: Opener) -> None:
    tab = open_tab("/commands/new/")
    tab.get_by_label("ECU address").fill("0x10")
    tab.keyboard.press("Control+Enter")
    expect(tab.get_by_role("alert")).to_have_text("Choose a vehicle.")


def test_a_command_waits_for_the_vehicle_of_its_link(open_tab: Opener, program: Programs) -> None:
    vehicle = program("operator").vehicle(vin(29))
    tab = open_tab("about:blank")
    loading = Held(tab, f"/vehicles/{vehicle}/$")
    tab.goto(f"/commands/new/?vehicle={vehicle}")
    tab.get_by_label("ECU address").fill("0x10")
    tab.keyboard.press("Control+Enter")
    expect(tab.get_by_role("button", name="Submitting…")).to_be_visible()
    loading.release()
    expect(tab).to_have_url(ONE_COMMAND)


def test_a_clear_is_confirmed_by_the_vin(open_tab: Opener, program: Programs) -> None:
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


def test_a_clear_by_another_user_is_shown_without_the_command(
    open_tab: Opener, program: Programs
) -> None:
    admin, operator = program("admin"), program("operator")
    vehicle = operator.vehicle(vin(25))
    operator.wait_for_end(operator.submit(vin(25), ecuAddress="0x40"))
    tab = open_tab(f"/vehicles/{vehicle}/")
    unit = tab.locator("[data-ecu='0x40']")
    expect(unit.locator("[data-code]")).not_to_have_count(0)
    admin.wait_for_end(admin.submit(vin(25), "ClearDTC", ecuAddress="0x40"))
    expect(unit.locator(".caution")).to_contain_text("by another user", timeout=PATIENCE_MS)
    expect(unit.locator("[data-code]")).to_have_count(0)
    cleared = tab.locator("[data-change=cleared]").first
    expect(cleared).to_contain_text("ClearDTC by another user")
    expect(cleared.get_by_role("link")).to_have_count(0)

    tab.goto(f"/commands/new/?vehicle={vehicle}")
    dialog = ask_to_erase(tab)
    expect(dialog).to_contain_text("No trouble code was stored.")
    expect(dialog).to_contain_text("by another user.")


def ask_to_erase(tab: Tab) -> Locator:
    tab.get_by_label("Command", exact=True).select_option("ClearDTC")
    tab.get_by_label("ECU address").fill("0x40")
    tab.get_by_role("button", name="Submit command").click()
    dialog = tab.get_by_role("dialog", name="Send ClearDTC to this vehicle?")
    expect(dialog).to_be_visible()
    return dialog


def test_a_thousand_responses_arrive_across_a_restart_of_the_server(
    open_tab: Opener, tab_errors: TabErrors, site: DemoSite, program: Programs
) -> None:
    """The web process dies while a half of the responses is held back."""
    command_id = program("operator").submit(OFFLINE)
    tab = open_tab(f"/commands/{command_id}/")
    expect(live(tab, "connection")).to_have_text("Live")
    sending = site.send_responses(command_id, MANY, held_after=MANY // 2)
    expect(entries(tab).nth(20)).to_be_attached(timeout=PATIENCE_MS)
    tab_errors.expect("ERR_CONNECTION_REFUSED")
    site.kill("web-1")
    try:
        expect(live(tab, "connection")).to_have_text(re.compile("Reconnecting"))
        sending.send_signal(signal.SIGUSR1)
        assert sending.wait() == 0
        expect(live(tab, "status")).to_have_text("In progress")
    finally:
        site.start("web-1")  # other tests need it
    expect(live(tab, "status")).to_have_text("Completed", timeout=PATIENCE_MS)
    everything = MANY + 4  # submitted, started, the last answer, completed
    expect(entries(tab)).to_have_count(everything, timeout=PATIENCE_MS)
    numbers = tab.locator(".entry .sequence").all_text_contents()
    assert numbers == [f"#{number}" for number in range(1, everything + 1)]
    tab.get_by_text("Raw JSON").first.click()
    expect(tab.locator("pre.json").first).to_contain_text("P0000")


def test_a_waiting_command_is_cancelled_and_repeated(open_tab: Opener, program: Programs) -> None:
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
    expect(tab.locator("#chosen-vin")).to_have_text(OFFLINE)
    tab.keyboard.press("Enter")
    expect(live(tab, "status")).to_have_text("Pending")
    tab.get_by_role("button", name="Cancel", exact=True).click()
    expect(live(tab, "status")).to_have_text("Cancelled")


def test_a_command_shows_its_date_zone_id_and_submitter(open_tab: Opener, site: DemoSite) -> None:
    command_id = site.ids["completed"]
    tab = open_tab(f"/commands/{command_id}/", timezone_id="Asia/Kolkata")
    about = live(tab, "about")
    expect(about).to_contain_text(re.compile(r"Submitted \d+ \w+ \d{4}, \d\d:\d\d:\d\d GMT\+5:30"))
    expect(about).to_contain_text("by operator")
    expect(about).to_contain_text(command_id)
    expect(tab.get_by_role("heading", name="Recent commands (GMT+5:30)")).to_be_visible()


def test_a_command_of_another_year_shows_the_year(open_tab: Opener, site: DemoSite) -> None:
    tab = open_tab("about:blank")
    tab.clock.set_fixed_time("2031-01-01T12:00:00Z")
    tab.goto("/commands/")
    expect(tab.locator(".submitted time").first).to_have_text(re.compile(r"20[23]\d, \d\d:"))


def test_a_command_that_has_ended_is_shown_from_its_first_response(
    open_tab: Opener, site: DemoSite
) -> None:
    """Its codes come first, and stand above the log, which is longer than the page."""
    tab = open_tab(f"/commands/{site.ids['many']}/")
    expect(entries(tab)).to_have_count(MANY + 4, timeout=PATIENCE_MS)
    codes = tab.get_by_role("region", name="Trouble codes that it has read")
    expect(codes.get_by_role("row")).to_have_count(1 + ROWS, timeout=PATIENCE_MS)
    expect(codes.get_by_role("row").nth(1)).to_be_in_viewport()
    assert tab.locator(".log").evaluate("(log) => log.scrollTop") == 0
    shown = "(all) => all.filter((each) => each.checkVisibility({ contentVisibilityAuto: true }))"
    assert len(entries(tab).evaluate_all(shown)) < 50  # the others are not laid out


def test_a_waiting_command_shows_its_place_in_the_queue(
    open_tab: Opener, program: Programs
) -> None:
    program("admin").submit(vin(28))
    command_id = program("operator").submit(vin(28))
    tab = open_tab(f"/commands/{command_id}/")
    expect(live(tab, "notice")).to_contain_text("The vehicle is not connected.")
    expect(live(tab, "notice")).to_contain_text("1 other command for this vehicle runs first.")
    expect(live(tab, "elapsed")).to_contain_text("waiting")
    expect(tab.get_by_role("button", name="Copy link")).to_be_visible()


def live(tab: Tab, part: str) -> Locator:
    return tab.locator(f"[data-live={part}]")


def entries(tab: Tab) -> Locator:
    return tab.locator("#live .entry")


def test_a_table_of_codes_that_is_cut_leads_to_all_responses(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/commands/{many}/".format_map(site.ids))
    codes = tab.locator("#live [data-live=codes]")
    expect(codes).to_contain_text("the codes of the last 250 responses")
    codes.get_by_role("button", name="Go to all responses").click()
    expect(tab.get_by_role("log")).to_be_focused()
    tab.goto("/commands/{completed}/".format_map(site.ids))
    expect(codes.locator("tbody tr").first).to_be_visible()
    expect(codes.get_by_role("button", name="Go to all responses")).to_be_hidden()
