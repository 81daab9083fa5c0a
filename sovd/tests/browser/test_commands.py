"""The list of commands: filtered, shared, watched, paged, cancelled, exported."""

import csv
import json
import re
from itertools import combinations
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from sovd.tests.browser.audit import actions_about
from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.program import vin

FORMULA = "=1+1"  # the error message of the demo site's failed command begins so


def test_a_shared_address_shows_the_same_filters(open_tab: Opener, program: Programs) -> None:
    waiting, cancelled = [program("operator").submit(vin(33)) for _ in range(2)]
    program("operator").cancel(cancelled)
    tab = open_tab("/commands/")
    tab.keyboard.press("/")
    tab.keyboard.type(vin(33))
    tab.get_by_label("Pending").check()
    expect_commands(tab, [waiting])
    expect(tab).to_have_url(re.compile(rf"search={vin(33)}&status=pending$"))
    other = open_tab(tab.url)
    expect_commands(other, [waiting])
    expect(other.get_by_label("Pending")).to_be_checked()
    other.get_by_label("Cancelled").check()
    expect_commands(other, [cancelled, waiting])
    tab.get_by_label("Search").fill("nothing-is-called-so")
    expect(tab.get_by_text("No command matches the filters.")).to_be_visible()


def test_new_commands_are_offered_and_chosen_ones_are_cancelled(
    open_tab: Opener, program: Programs
) -> None:
    operator = program("operator")
    before = [operator.submit(vin(38)) for _ in range(2)]
    tab = open_tab(f"/commands/?search={vin(38)}")
    expect_commands(tab, before[::-1])
    after = [operator.submit(vin(38)) for _ in range(2)]
    newer = tab.get_by_role("button", name="Show 2 new")
    expect(newer).to_be_visible(timeout=10_000)
    expect_commands(tab, before[::-1])
    newer.click()
    expect_commands(tab, [*after[::-1], *before[::-1]])

    for command_id in (before[0], after[0]):
        command(tab, command_id).get_by_role("checkbox").check()
    tab.get_by_role("button", name="Cancel chosen (2)").click()
    dialog = tab.get_by_role("dialog", name="Cancel 2 commands?")
    expect(dialog).to_contain_text("2 commands still wait: nothing is sent to the vehicle.")
    dialog.get_by_role("button", name="Cancel 2 commands").click()
    expect(tab.get_by_text("2 commands cancelled.")).to_be_visible()
    for command_id in (before[0], after[0]):
        expect(command(tab, command_id).locator(".status")).to_have_text("Cancelled")
    expect(command(tab, before[1]).locator(".status")).to_have_text("Pending")


def test_no_command_is_on_two_pages(open_tab: Opener, program: Programs) -> None:
    tab = open_tab("/commands/")
    pages = [ids(tab)]
    program("operator").submit(vin(43))
    for _ in range(2):
        turn(tab, "Older")
        pages.append(ids(tab))
    assert all(set(one).isdisjoint(other) for one, other in combinations(pages, 2))
    turn(tab, "Newer")
    assert ids(tab) == pages[1]
    turn(tab, "Newer")
    assert ids(tab) == pages[0]


def turn(tab: Tab, which: str) -> None:
    first = ids(tab)[0]
    tab.get_by_role("button", name=which, exact=True).click()
    expect(command(tab, first)).to_have_count(0)
    expect(rows(tab)).not_to_have_count(0)


def test_the_filtered_commands_are_exported(open_tab: Opener, tmp_path: Path) -> None:
    tab = open_tab("/commands/?status=failed&status=timed_out")
    expected = ids(tab)
    with exported(tab, "CSV", tmp_path).open(newline="") as file:
        table = list(csv.DictReader(file))
    lines = exported(tab, "JSON Lines", tmp_path).read_text().splitlines()
    objects = [json.loads(line) for line in lines]
    assert [row["command_id"] for row in table] == expected
    assert [one["command_id"] for one in objects] == expected
    (formula,) = [one for one in objects if one["error_message"].startswith(FORMULA)]
    (harmless,) = [row for row in table if row["command_id"] == formula["command_id"]]
    assert harmless["error_message"] == f"'{formula['error_message']}"
    assert actions_about("operator", open_tab)[:2] == ["Export", "Export"]


def exported(tab: Tab, kind: str, directory: Path) -> Path:
    with tab.expect_download() as download:
        tab.get_by_role("link", name=kind, exact=True).click()
    path = directory / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_refused_export_is_explained_on_the_page(open_tab: Opener, tab_errors: TabErrors) -> None:
    tab = open_tab("/commands/?status=unknown")
    tab_errors.expect("^console error: .* 400 ")
    tab.get_by_role("link", name="CSV", exact=True).click()
    expect(tab.locator("#export-message")).to_contain_text("unknown")
    expect(tab.get_by_role("heading", name="Commands")).to_be_visible()


@pytest.mark.parametrize(
    "query",
    [
        "submitted_after=2026-10-25T00:30:15.250Z&submitted_before=2026-10-25T01:30:59.999Z",
        "submitted_after=2026-03-29T01:00:00Z&search=1HG&page_size=7&command_name=WriteDTC",
    ],
)
def test_the_address_is_the_query_in_every_time_zone(query: str, open_tab: Opener) -> None:
    """Clocks go back in Berlin on 25 October 2026 at 01:00 UTC, so 02:30 comes twice."""
    tab = open_tab("about:blank", timezone_id="Europe/Berlin")
    expect_query(tab, query)
    tab.get_by_label("Completed").check()
    expect(tab).to_have_url(re.compile("status=completed"))
    assert queried(tab.url) == [*queried(f"?{query}"), ("status", "completed")]


@pytest.mark.parametrize("query", ["status=failed&status=unknown", "submitted_after=yesterday"])
def test_an_impossible_filter_is_an_error_and_no_other_filter(
    query: str, open_tab: Opener, tab_errors: TabErrors
) -> None:
    tab = open_tab("about:blank")
    tab_errors.expect("^console error: .* 400 ")
    expect_query(tab, query)
    expect(tab.locator("#commands .list-message.error")).to_be_visible()
    expect(rows(tab)).to_have_count(0)


def expect_query(tab: Tab, query: str) -> None:
    with tab.expect_request("**/api/v1/commands/?*") as request:
        tab.goto(f"/commands/?{query}")
    assert queried(request.value.url) == queried(f"?{query}")


def queried(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query)


def test_all_shown_commands_are_chosen_by_their_number(open_tab: Opener, program: Programs) -> None:
    operator = program("operator")
    waiting, cancelled = [operator.submit(vin(23)) for _ in range(2)]
    operator.cancel(cancelled)
    tab = open_tab(f"/commands/?search={vin(23)}")
    expect(command(tab, waiting)).to_be_visible()
    of_all = len(ids(tab))
    label = f"Choose all that have not ended (1 of {of_all} on this page)"
    tab.get_by_label(label).check()
    expect(command(tab, waiting).get_by_role("checkbox")).to_be_checked()


def rows(tab: Tab) -> Locator:
    return tab.locator("tr[data-command]")


def command(tab: Tab, command_id: str) -> Locator:
    return tab.locator(f"tr[data-command='{command_id}']")


def ids(tab: Tab) -> list[str]:
    expect(rows(tab)).not_to_have_count(0)
    found: list[str] = rows(tab).evaluate_all("(rows) => rows.map((row) => row.dataset.command)")
    return found


def expect_commands(tab: Tab, command_ids: list[str]) -> None:
    expect(rows(tab)).to_have_count(len(command_ids))
    for row, command_id in zip(rows(tab).all(), command_ids, strict=True):
        expect(row).to_have_attribute("data-command", command_id)
