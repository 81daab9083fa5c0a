"""That each thing which must not happen is heard when it does."""

import pytest
from playwright.sync_api import Error, Page, Route, expect

from sovd.tests.browser.conftest import Ears, Opener

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
def test_what_a_page_does(tab: Page, ear: Ears, script: str, heard: str) -> None:
    ear.expect(heard)
    tab.evaluate(f"() => {{ {script}; return new Promise((done) => setTimeout(done)) }}")


def test_what_it_asks_for(tab: Page, ear: Ears) -> None:
    ear.expect("^asked another host: http://127.0.0.1:9/")
    with pytest.raises(Error):
        tab.goto("http://127.0.0.1:9/")
    expect(tab).to_have_url("chrome-error://chromewebdata/")


def test_what_it_gets(tab: Page, ear: Ears) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503)

    ear.expect("^503: ")
    ear.expect("^console error: .* 503")
    tab.route("**/broken", refuse)
    tab.evaluate("fetch('/broken')")
