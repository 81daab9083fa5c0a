"""Each error of a page is noticed."""

import pytest
from playwright.sync_api import Error, Page, Route, expect

from sovd.tests.browser.conftest import Opener, TabErrors

INLINE_SCRIPT = """
const script = document.createElement("script");
script.textContent = "1";
document.body.append(script);
"""


@pytest.fixture
def tab(open_tab: Opener) -> Page:
    return open_tab("/accounts/login/", who="")


@pytest.mark.parametrize(
    ("script", "heard"),
    [
        ("console.error('no')", "^console error: no"),
        ("console.warn('hm')", "^console warning: hm"),
        ("setTimeout(() => { throw new Error('lost') })", "^uncaught: .*lost"),
        ("setTimeout(() => alert('in'))", "^dialog: in"),
        (INLINE_SCRIPT, "CSP: script-src-elem refuses inline|Content Security Policy"),
        ("new Image().src = 'http://localhost:9/'", "http://localhost:9/"),
    ],
)
def test_an_error_of_a_page_is_noticed(
    tab: Page, tab_errors: TabErrors, script: str, heard: str
) -> None:
    tab_errors.expect(heard)
    tab.evaluate(f"() => {{ {script}; return new Promise((done) => setTimeout(done)) }}")


def test_a_request_to_another_host_is_noticed(tab: Page, tab_errors: TabErrors) -> None:
    tab_errors.expect("^asked another host: http://127.0.0.1:9/")
    with pytest.raises(Error):
        tab.goto("http://127.0.0.1:9/")
    expect(tab).to_have_url("chrome-error://chromewebdata/")


def test_a_server_error_is_noticed(tab: Page, tab_errors: TabErrors) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503)

    tab_errors.expect("^503: ")
    tab_errors.expect("^console error: .* 503")
    tab.route("**/broken", refuse)
    tab.evaluate("fetch('/broken')")
