"""The real product and a real browser. `make test-browser` alone runs this suite: Playwright's
synchronous API keeps an event loop running in the main thread, which asynchronous tests and
Django's ORM cannot bear. So nothing here touches the database; all goes by HTTP."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from dev.chaos.evidence import tracebacks_in
from dev.showroom.chromium import Ear, LogIns, Scheme, launch_options, look
from dev.showroom.processes import Showroom
from sovd.tests.browser.program import Program

Opener = Callable[..., Page]
Programs = Callable[[str], Program]


class Ears(list[Ear]):
    """One for each tab that a test has opened."""

    def expect(self, pattern: str) -> None:
        """From the first."""
        self[0].expect(pattern)


EARS = pytest.StashKey[Ears]()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return launch_options()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showroom]:
    with Showroom(tmp_path_factory.mktemp("showroom")) as showroom:
        showroom.open()
        yield showroom
        assert [*tracebacks_in(showroom.logs)] == []


@pytest.fixture(scope="session")
def base_url(site: Showroom) -> str:
    return site.address


@pytest.fixture(scope="session")
def log_ins(base_url: str, browser: Browser) -> LogIns:
    return LogIns(browser, base_url)


@pytest.fixture(scope="session")
def program(base_url: str) -> Iterator[Programs]:
    """Of a person, who logs in once."""
    with ExitStack() as ending:
        yield cache(lambda who: ending.enter_context(closing(Program(base_url, who))))


@pytest.fixture
def open_tab(
    request: pytest.FixtureRequest,
    base_url: str,
    log_ins: LogIns,
    new_context: Callable[..., BrowserContext],
) -> Opener:
    """Opens a page in a browser of its own; whatever must not happen there fails the test."""
    ears = request.node.stash.setdefault(EARS, Ears())

    def open_it(
        path: str, who: str = "operator", width: int = 1280, scheme: Scheme = "light"
    ) -> Page:
        context = new_context(storage_state=log_ins(who), **look(width, scheme))
        ears.append(Ear(context, base_url))
        page = context.new_page()
        page.goto(path)
        return page

    return open_it


@pytest.fixture
def ear(request: pytest.FixtureRequest, open_tab: Opener) -> Ears:
    ears: Ears = request.node.stash[EARS]
    return ears


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Here and not in a fixture's end, so that the test itself fails: then its trace is kept."""
    yield
    problems = [problem for ear in item.stash.get(EARS, Ears()) for problem in ear.problems()]
    assert problems == []
