"""What holds for every page. That none complains, breaks the CSP, asks another host or causes a
500 is not said here: it holds for every test (see `conftest.open_tab`)."""

import pytest
from django.urls import URLPattern, resolve
from playwright.sync_api import Page as Tab

from dev.showroom.chromium import SIZES, Received, Scheme
from dev.showroom.pages import PAGES, Page
from dev.showroom.processes import Showroom
from sovd.tests.browser.axe import no_serious_findings
from sovd.tests.browser.conftest import Opener
from sovd.urls import console, urlpatterns

NOT_LOOKED_AT = {"logout", "schema"}  # a redirect, a file
MOST_BYTES = 60_000
AXED: dict[int, Scheme] = {375: "dark", 1280: "light"}  # not all of them: it takes seconds
NOT_AXED = {
    "command-thousand",  # a minute, to find what it finds on "command"
    "admin-command",  # there it sets inline styles itself, and the CSP says so
    "api-docs",
}
OF_DJANGO = {"label-title-only", "aria-input-field-name"}  # how its lists name their fields

OWN = [page for page in PAGES if not page.is_foreign]
FOREIGN = [page for page in PAGES if page.is_foreign]


def test_no_page_is_forgotten(site: Showroom) -> None:
    patterns = [*urlpatterns, *console]
    there_are = {pattern.name for pattern in patterns if isinstance(pattern, URLPattern)}
    looked_at = {resolve(page.address(site.ids).partition("?")[0]).url_name for page in PAGES}
    assert there_are - NOT_LOOKED_AT <= looked_at


@pytest.mark.parametrize("page", OWN, ids=str)
def test_a_page_can_be_used_by_everybody(page: Page, site: Showroom, open_tab: Opener) -> None:
    tab = open_tab(page.address(site.ids), page.who)
    for width in SIZES:
        scheme = AXED.get(width)
        tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour in between
        settle(tab, width)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        if scheme and page.name not in NOT_AXED:
            no_serious_findings(tab)


@pytest.mark.parametrize("page", OWN, ids=str)
def test_a_page_is_light(page: Page, site: Showroom, open_tab: Opener) -> None:
    """With an empty cache."""
    tab = open_tab("about:blank", page.who)
    received = Received(tab)
    tab.goto(page.address(site.ids))
    settle(tab, 1280)
    assert 0 < received.total < MOST_BYTES, received.sizes


@pytest.mark.parametrize("page", FOREIGN, ids=str)
def test_a_page_of_others_works_too(page: Page, site: Showroom, open_tab: Opener) -> None:
    tab = open_tab(page.address(site.ids), page.who)
    settle(tab, 1280)
    if page.name not in NOT_AXED:
        no_serious_findings(tab, besides=OF_DJANGO)


def settle(tab: Tab, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": SIZES[width]})
    tab.wait_for_load_state("networkidle")
