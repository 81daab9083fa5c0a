"""A browser that shows the pages of the demo site, each in a context without a cache."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from dev.demo_site.chromium import Logins, Scheme, chromium, context_options
from dev.demo_site.pages import Page
from dev.demo_site.site import DemoSite


class DemoBrowser:
    def __init__(self, site: DemoSite, browser: Browser) -> None:
        self.site = site
        self._browser = browser
        self._logins = Logins(browser, site.url())

    @contextmanager
    def tab(self, username: str, width: int = 1280, scheme: Scheme = "light") -> Iterator[Tab]:
        with self._browser.new_context(
            base_url=self.site.url(),
            storage_state=self._logins(username),
            **context_options(width, scheme),
        ) as context:
            yield context.new_page()

    def show(self, tab: Tab, page: Page) -> None:
        tab.goto(page.address(self.site.ids))
        tab.wait_for_load_state("networkidle")


@contextmanager
def browse(kind: type[DemoSite] = DemoSite) -> Iterator[DemoBrowser]:
    with kind.temporary() as site, chromium() as browser:
        yield DemoBrowser(site, browser)
