"""Texts of a vehicle are shown and never executed.

Every test fails if a dialog opens, another host is asked or the CSP is violated (see
`conftest.open_tab`).
"""

from playwright.sync_api import expect

from dev.demo_site.site import DemoSite
from sovd.tests.browser.conftest import Opener

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
PLACES = [
    ("/commands/{hostile}/", "operator"),
    ("/commands/{failed}/", "operator"),
    ("/commands/?status=failed", "operator"),
    ("/vehicles/?search=HACKED", "operator"),
    ("/batches/new/?search=HACKED", "operator"),
    ("/admin/commands/command/{hostile}/change/", "admin"),
    ("/admin/commands/command/{failed}/change/", "admin"),
    ("/admin/vehicles/vehicle/?q=HACKED", "admin"),
]


def test_hostile_texts_are_shown_as_text(open_tab: Opener, site: DemoSite) -> None:
    tabs = {who: open_tab("about:blank", who, width=375) for _, who in PLACES}
    for path, who in PLACES:
        tab = tabs[who]
        tab.goto(path.format_map(site.ids))
        if path != "/commands/?status=failed":
            expect(tab.get_by_text(MARKUP).first).to_be_attached()
        tab.wait_for_load_state("networkidle")
        expect(tab.locator("[src=x], [onerror]")).to_have_count(0)
        assert tab.evaluate("'polluted' in {}") is False
        if who == "operator":
            assert tab.evaluate("document.documentElement.scrollWidth") <= 375, path
