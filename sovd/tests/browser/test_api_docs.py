"""The API documentation, which is Swagger's page in ours."""

from playwright.sync_api import expect

from dev.demo_site.chromium import SIZES
from sovd.tests.browser.conftest import Opener


def test_the_documentation_lists_the_operations(open_tab: Opener) -> None:
    tab = open_tab("/api/docs/")
    expect(tab.locator("#swagger-ui .opblock")).not_to_have_count(0)
    expect(tab.get_by_role("heading", name="SOVD command console")).to_be_visible()


def test_the_documentation_fits_at_every_width_with_operations_open(open_tab: Opener) -> None:
    tab = open_tab("/api/docs/", width=375)
    for number in (0, 4, 9):
        tab.locator(".opblock-summary-control").nth(number).click()
    expect(tab.locator(".opblock-body")).to_have_count(3)
    for width, height in SIZES.items():
        tab.set_viewport_size({"width": width, "height": height})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_documentation_has_the_colours_of_the_console(open_tab: Opener) -> None:
    tab = open_tab("/", scheme="dark")
    tab.goto("/api/docs/")
    background = "getComputedStyle(document.querySelector('.swagger-ui')).backgroundColor"
    expect(tab.locator("html.dark-mode")).to_be_attached()
    dark = tab.evaluate(background)
    tab.get_by_role("link", name="Back to the console").click()
    tab.get_by_role("button", name="Colours:").click()
    expect(tab.get_by_role("button", name="Colours: light")).to_be_visible()
    tab.goto("/api/docs/")
    expect(tab.locator("#swagger-ui .opblock")).not_to_have_count(0)
    assert tab.evaluate(background) != dark
