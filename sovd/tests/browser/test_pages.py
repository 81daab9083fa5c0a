"""Requirements for every page.

Every test fails if a page logs an error, violates the CSP, asks another host or causes a 500 (see
`conftest.open_tab`).
"""

import pytest
from django.urls import URLPattern, resolve

from commands.urls import urlpatterns as console
from dev.demo_site.chromium import SIZES, Received, Scheme
from dev.demo_site.pages import PAGES, Page
from dev.demo_site.site import DemoSite
from sovd.tests.browser.axe import no_serious_findings
from sovd.tests.browser.conftest import Opener
from sovd.urls import urlpatterns

NOT_VISITED = {
    "logout",
    "logout-everywhere",
    "end-login",
    "end-session",
    "end-other-sessions",
    "mail-address",
    "mail-choice",
    "last-week",
    "schema",
}  # redirects, a file
MAX_BYTES = 80_000
TWO_FRAMES = """new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(done)))"""  # then a page has followed its size
AXED: dict[int, Scheme] = {375: "dark", 1280: "light"}  # a selection: each run takes seconds
NOT_AXED = {
    "command-thousand",  # takes a minute, and finds the same as "command"
    "admin-command",  # axe-core itself sets inline styles there, which violates the CSP
    "api-docs",
}
OF_DJANGO = {"label-title-only", "aria-input-field-name"}  # its lists name their fields so

OWN = [page for page in PAGES if not page.is_foreign]
FOREIGN = [page for page in PAGES if page.is_foreign]


def test_every_address_is_visited(site: DemoSite) -> None:
    patterns = [*urlpatterns, *console]
    names = {pattern.name for pattern in patterns if isinstance(pattern, URLPattern)}
    visited = {resolve(page.address(site.ids).partition("?")[0]).url_name for page in PAGES}
    assert names - NOT_VISITED <= visited


@pytest.mark.parametrize("page", OWN, ids=str)
def test_a_page_is_light_and_accessible_at_every_width(
    page: Page, site: DemoSite, open_tab: Opener
) -> None:
    """Load it once, with an empty cache."""
    tab = open_tab("about:blank", page.username)
    received = Received(tab)
    tab.goto(page.address(site.ids))
    tab.wait_for_load_state("networkidle")
    assert 0 < received.total < MAX_BYTES, received.sizes
    for width, height in SIZES.items():
        scheme = AXED.get(width)
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size({"width": width, "height": height})
        tab.evaluate(TWO_FRAMES)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        if scheme and page.name not in NOT_AXED:
            no_serious_findings(tab)


@pytest.mark.parametrize("page", FOREIGN, ids=str)
def test_a_page_of_django_or_swagger_works(page: Page, site: DemoSite, open_tab: Opener) -> None:
    tab = open_tab(page.address(site.ids), page.username)
    tab.wait_for_load_state("networkidle")
    if page.name not in NOT_AXED:
        no_serious_findings(tab, besides=OF_DJANGO)
