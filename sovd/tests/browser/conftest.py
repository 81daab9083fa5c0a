"""Fixtures: the real product and a real browser.

Only `make test-browser` runs this suite, because Playwright's synchronous API keeps an event loop
running in the main thread, and asynchronous tests and Django's ORM do not work there. So nothing
here touches the database; everything goes through HTTP.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dev.chaos.gather import tracebacks_in
from dev.demo_site.chromium import Logins, PageErrors, Scheme, context_options, launch_options
from dev.demo_site.site import DemoSite
from sovd.tests.browser.program import Program

Opener = Callable[..., Page]
Programs = Callable[[str], Program]


class TabErrors(list[PageErrors]):
    """The errors of each tab that a test has opened."""

    def expect(self, pattern: str) -> None:
        """Expect this error in the first tab."""
        self[0].expect(pattern)


expect.set_options(timeout=20_000)  # a deadline for what comes at once on an idle machine

TAB_ERRORS = pytest.StashKey[TabErrors]()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return launch_options()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    home = tmp_path_factory.mktemp("site")
    with DemoSite(home) as site:
        yield site
        assert [*tracebacks_in(home / "logs")] == []


@pytest.fixture(scope="session")
def base_url(site: DemoSite) -> str:
    return site.url()


@pytest.fixture(scope="session")
def log_ins(base_url: str, browser: Browser) -> Logins:
    return Logins(browser, base_url)


@pytest.fixture(scope="session")
def program(base_url: str) -> Iterator[Programs]:
    """Return a function that gives the API client of a user, who logs in once."""
    with ExitStack() as ending:
        yield cache(lambda who: ending.enter_context(closing(Program(base_url, who))))


@pytest.fixture
def open_tab(
    request: pytest.FixtureRequest,
    base_url: str,
    log_ins: Logins,
    new_context: Callable[..., BrowserContext],
) -> Opener:
    """Return a function that opens a page in a new browser; an error of the page fails the test.

    With reduced motion, since a page that moves is drawn sixty times a second.
    """
    tab_errors = request.node.stash.setdefault(TAB_ERRORS, TabErrors())

    def open_it(
        path: str,
        who: str = "operator",
        width: int = 1280,
        scheme: Scheme = "light",
        **options: Any,
    ) -> Page:
        look = context_options(width, scheme) | {"reduced_motion": "reduce"} | options
        context = new_context(storage_state=log_ins(who), **look)
        tab_errors.append(PageErrors(context, base_url))
        page = context.new_page()
        page.goto(path)
        return page

    return open_it


@pytest.fixture
def tab_errors(request: pytest.FixtureRequest, open_tab: Opener) -> TabErrors:
    errors: TabErrors = request.node.stash[TAB_ERRORS]
    return errors


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail the test itself, not the end of a fixture: then the trace of the browser is kept."""
    yield
    tabs = item.stash.get(TAB_ERRORS, TabErrors())
    assert [problem for tab in tabs for problem in tab.problems()] == []
