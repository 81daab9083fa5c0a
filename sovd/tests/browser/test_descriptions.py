"""Descriptions: a file is uploaded, its import report read, and the description deleted."""

import re

from playwright.sync_api import FilePayload, expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener
from vehicles.tests import pdx

ONE_DESCRIPTION = re.compile(r"/descriptions/[0-9a-f-]{36}/$")


def file_of(content: bytes, name: str) -> FilePayload:
    return FilePayload(name=name, mimeType="application/octet-stream", buffer=content)


def test_an_admin_uploads_a_file_reads_the_report_and_deletes_it(open_tab: Opener) -> None:
    tab = open_tab("/vehicles/", "admin")
    tab.get_by_role("link", name="Descriptions").click()
    row = tab.get_by_role("row", name="to-be-deleted.pdx")
    tab.get_by_label("PDX file", exact=True).set_input_files(
        [file_of(pdx.recognizable(), "to-be-deleted.pdx")]
    )
    tab.get_by_role("button", name="Upload").click()
    expect(tab.locator("#upload-state")).to_contain_text("to-be-deleted.pdx has arrived")
    expect(row).to_contain_text("Ready", timeout=60_000)
    expect(row).to_contain_text("4.2")
    row.get_by_role("link").click()
    expect(tab).to_have_url(ONE_DESCRIPTION)
    expect(tab.locator("#facts")).to_contain_text("ENGINE_V1 ENGINE_V2")
    expect(tab.locator("#left-out")).to_contain_text("A variant pattern is not used")
    expect(tab.locator("#unused")).to_have_text("It is used by no ECU.")
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(tab.locator("#descriptions")).not_to_have_attribute("aria-busy", "true")
    expect(tab.get_by_role("row", name="engine-control.pdx")).to_be_visible()
    expect(row).to_have_count(0)


def test_a_file_that_is_no_pdx_file_is_refused_with_the_reason(open_tab: Opener) -> None:
    tab = open_tab("/descriptions/", "admin")
    tab.get_by_role("button", name="Upload").click()
    expect(tab.locator("#upload-problem")).to_have_text("Choose a file.")
    tab.get_by_label("PDX file", exact=True).set_input_files([file_of(b"no archive", "broken.pdx")])
    expect(tab.locator("#upload-problem")).to_be_hidden()
    tab.get_by_role("button", name="Upload").click()
    row = tab.get_by_role("row", name="broken.pdx")
    expect(row).to_contain_text("It is not a PDX file", timeout=60_000)


def test_a_description_in_use_names_its_vehicles_and_cannot_be_deleted(
    open_tab: Opener, site: DemoSite
) -> None:
    tab = open_tab("/descriptions/{description}/".format_map(site.ids), "admin")
    expect(tab.locator("#used-by li")).to_contain_text(re.compile("ECU 0x10, 0x18"))
    expect(tab.get_by_role("button", name="Delete")).to_have_count(0)
    tab.locator("#used-by a").click()
    expect(tab.locator("#vin")).not_to_have_text("…")


def test_only_those_who_maintain_descriptions_are_offered_it(open_tab: Opener) -> None:
    tab = open_tab("/descriptions/", "operator")
    expect(tab.get_by_role("row", name="engine-control.pdx")).to_be_visible()
    expect(tab.get_by_label("PDX file", exact=True)).to_have_count(0)
    expect(tab.get_by_role("link", name="Descriptions", exact=True)).to_have_count(0)


def test_a_command_is_composed_by_the_names_of_the_description(
    open_tab: Opener, site: DemoSite
) -> None:
    vehicle = site.ids["described_vehicle"]
    tab = open_tab(f"/commands/new/?vehicle={vehicle}&command=ReadDataByID&ecuAddress=0x10")
    name = tab.locator("[data-name]")
    expect(name).to_have_text(["Engine control"])
    did = tab.get_by_label("Data identifier")
    did.fill("oil")
    expect(tab.locator("#suggestions option")).to_have_count(3)
    did.fill("0xd001")
    expect(name).to_have_text(["Engine control", "Engine oil temperature"])
    did.fill("0xD0")
    expect(name).to_have_text(["Engine control", ""])
