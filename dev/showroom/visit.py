"""A visit by a program: each page in a browser that has seen nothing yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from dev.showroom.chromium import LogIns, Scheme, chromium, look
from dev.showroom.pages import Page
from dev.showroom.processes import Showroom


class Visit:
    def __init__(self, site: Showroom, browser: Browser) -> None:
        self.site = site
        self._browser = browser
        self._log_ins = LogIns(browser, site.address)

    @contextmanager
    def tab(self, who: str, width: int = 1280, scheme: Scheme = "light") -> Iterator[Tab]:
        with self._browser.new_context(
            base_url=self.site.address, storage_state=self._log_ins(who), **look(width, scheme)
        ) as context:
            yield context.new_page()

    def show(self, tab: Tab, page: Page) -> None:
        tab.goto(page.address(self.site.ids))
        tab.wait_for_load_state("networkidle")


@contextmanager
def visit() -> Iterator[Visit]:
    with Showroom.opened() as site, chromium() as browser:
        yield Visit(site, browser)
