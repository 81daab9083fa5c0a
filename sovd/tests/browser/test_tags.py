"""Tags of vehicles: on a vehicle's page, for many in the list, and as a filter."""

import re

from playwright.sync_api import expect

from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.program import vin


def test_chosen_vehicles_get_a_tag_and_are_found_by_it(
    open_tab: Opener, tab_errors: TabErrors
) -> None:
    tab = open_tab("/vehicles/", "admin")
    for number in (56, 57):
        tab.get_by_role("searchbox", name="Search").fill(vin(number))
        tab.get_by_role("checkbox", name=f"Choose {vin(number)}").check()
    tab.get_by_role("button", name="Tag the chosen (2)").click()
    dialog = tab.get_by_role("dialog", name="Tags of 2 vehicles")
    dialog.get_by_label("Tags").fill("100%")
    tab_errors.expect("400")
    dialog.get_by_role("button", name="Add to 2 vehicles").click()
    expect(dialog.get_by_role("alert")).to_contain_text("A tag has 1 to 32 letters")
    dialog.get_by_label("Tags").fill("Pilot")
    dialog.get_by_role("button", name="Add to 2 vehicles").click()
    expect(tab.locator("#tag-outcome")).to_have_text("The tags of 2 vehicles were changed.")

    tab.get_by_role("searchbox", name="Search").fill("")
    tab.get_by_label("Tag", exact=True).fill("pilot")
    rows = tab.locator("#vehicles tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.get_by_role("link", name="pilot")).to_be_visible()
    tab.get_by_role("link", name="Command to all that match").click()
    expect(tab.locator("#choice-count")).to_contain_text("2 vehicles match now")

    tab.goto("/vehicles/?tag=pilot")
    expect(rows).to_have_count(2)
    tab.get_by_label("Choose all").check()
    tab.get_by_role("button", name="Tag the chosen (2)").click()
    dialog.get_by_label("Tags").fill("pilot")
    dialog.get_by_role("button", name="Remove from 2 vehicles").click()
    expect(tab.get_by_text("No vehicle matches the filter.")).to_be_visible()


def test_all_vehicles_that_match_a_filter_get_a_tag_that_is_in_use(
    open_tab: Opener, program: Programs
) -> None:
    tab = open_tab("/vehicles/", "admin")
    tab.get_by_role("checkbox", name="Choose 1").first.check()
    tab.get_by_role("button", name="Tag the chosen (1)").click()
    tab.get_by_role("dialog").get_by_label("Tags").fill("ready-made")
    tab.get_by_role("button", name="Add to 1 vehicle").click()
    expect(tab.locator("#known-tags option[value=ready-made]")).to_have_count(1)
    tab.get_by_role("searchbox", name="Search").fill(vin(59))
    expect(tab.locator("#vehicles tbody tr")).to_have_count(1)
    tab.get_by_role("button", name="Tag all that match").click()
    dialog = tab.get_by_role("dialog", name="Tags of 1 vehicle")
    dialog.get_by_role("button", name="ready-made").click()
    expect(dialog.get_by_label("Tags")).to_have_value("ready-made")
    dialog.get_by_role("button", name="Add to 1 vehicle").click()
    expect(tab.locator("#tag-outcome")).to_have_text("The tags of 1 vehicle were changed.")
    expect(tab.get_by_role("link", name="ready-made")).to_be_visible()


def test_no_tag_is_given_when_other_vehicles_match_by_now(
    open_tab: Opener, program: Programs, tab_errors: TabErrors
) -> None:
    admin = program("admin")
    admin.tag(vin(54), add=["shift"])
    tab = open_tab("/vehicles/?tag=shift", "admin")
    tab.get_by_role("button", name="Tag all that match").click()
    dialog = tab.get_by_role("dialog", name="Tags of 1 vehicle")
    admin.tag(vin(54), remove=["shift"])
    admin.tag(vin(52), add=["shift"])
    dialog.get_by_label("Tags").fill("night")
    tab_errors.expect("400")
    dialog.get_by_role("button", name="Add to 1 vehicle").click()
    expect(tab.locator("#tag-outcome")).to_contain_text("Other vehicles are chosen")
    expect(dialog).to_be_hidden()
    expect(tab.get_by_role("link", name=vin(52), exact=True)).to_be_visible()
    expect(tab.get_by_role("link", name="night")).to_have_count(0)


def test_a_vehicle_is_tagged_on_its_page(open_tab: Opener, program: Programs) -> None:
    vehicle = program("operator").vehicle(vin(58))
    tab = open_tab(f"/vehicles/{vehicle}/", "admin")
    tab.get_by_label("New tag").fill("Workshop, spare")
    tab.get_by_label("New tag").press("Enter")
    tags = tab.get_by_role("list", name="Tags").get_by_role("listitem")
    expect(tags).to_have_count(2)
    tab.get_by_role("button", name="Remove the tag spare").click()
    expect(tags).to_have_count(1)
    tab.get_by_role("link", name="workshop").click()
    expect(tab).to_have_url(re.compile(r"/vehicles/\?tag=workshop$"))
    expect(tab.locator("#vehicles tbody tr")).to_have_count(1)

    reader = open_tab(f"/vehicles/{vehicle}/")
    expect(reader.get_by_role("link", name="workshop")).to_be_visible()
    expect(reader.get_by_label("New tag")).to_be_hidden()
