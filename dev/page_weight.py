"""`make page-weight`: measure each page with an empty cache, and a stream of a thousand responses.

FCP is the first contentful paint, the median of three visits; a long task is one that blocks the
page for more than 50 ms. The last lines say when all thousand responses are shown: after the last
one was stored, while the page was open, and after the start of a visit to the page later.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

from playwright.sync_api import Page as Tab
from playwright.sync_api import WebSocket

from dev.demo_site.browser import DemoBrowser, browse
from dev.demo_site.chromium import Received
from dev.demo_site.pages import PAGES, Page

VISITS = 3
COUNT, ALL = "#live [data-live=count]", "1,001 responses"  # the last one is a summary
RESPONSES = 1000
SETTLE_MS = 1000  # for what the last responses still cause

WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((task) => task.duration)))
  .observe({ type: "longtask", buffered: true });
"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


class Weight(NamedTuple):
    paint_ms: float
    bytes: int
    requests: int
    long_tasks: list[float]

    def __str__(self) -> str:
        tasks = " ".join(f"{task:.0f}" for task in self.long_tasks) or "-"
        return f"{self.paint_ms:7.0f} {self.bytes:9,} {self.requests:9} {tasks:>13}"


def main() -> None:
    print(f"{'page':24} {'FCP ms':>7} {'bytes':>9} {'requests':>9} {'long tasks ms':>13}")
    with browse() as browser:
        for page in PAGES:
            print(f"{page.name:24} {weigh(browser, page)}", flush=True)
        weight, shown_ms = weigh_stream(browser)
        print(f"{'1,000 responses, live':24} {weight}")
        print(f"{'  shown after':24} {shown_ms:7.0f}")
        print(f"{'1,000 responses, later':24} {replay_ms(browser):7.0f}", flush=True)


def weigh(browser: DemoBrowser, page: Page) -> Weight:
    weights = [weigh_once(browser, page) for _ in range(VISITS)]
    return weights[-1]._replace(paint_ms=median(weight.paint_ms for weight in weights))


def weigh_once(browser: DemoBrowser, page: Page) -> Weight:
    with watched(browser, page) as tab:
        return tab.weight()


def weigh_stream(browser: DemoBrowser) -> tuple[Weight, float]:
    """Return the weight, and the milliseconds from the last response to its being shown."""
    with watched(browser, page_named("command-pending")) as tab:
        browser.site.send_responses(browser.site.ids["pending"], RESPONSES).wait()
        stored = time.monotonic()
        tab.wait_until_all_is_shown()
        shown_ms = (time.monotonic() - stored) * 1000
        tab.wait_for_the_end_of_the_stream()
        return tab.weight(), shown_ms


def replay_ms(browser: DemoBrowser) -> float:
    """Return the milliseconds from the start of a visit until all responses are shown."""
    page = page_named("command-thousand")
    with browser.tab(page.username) as tab:
        tab.goto(page.address(browser.site.ids), wait_until="commit")
        tab.locator(COUNT, has_text=ALL).wait_for()
        return float(tab.evaluate("performance.now()"))


def page_named(name: str) -> Page:
    (page,) = [page for page in PAGES if page.name == name]
    return page


@contextmanager
def watched(browser: DemoBrowser, page: Page) -> Iterator["WatchedTab"]:
    with browser.tab(page.username) as tab:
        watching = WatchedTab(tab)
        browser.show(tab, page)
        yield watching


class WatchedTab:
    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._received = Received(tab)
        self._sockets: list[WebSocket] = []
        tab.add_init_script(WATCH)
        tab.on("websocket", self._add_socket)

    def _add_socket(self, socket: WebSocket) -> None:
        self._sockets.append(socket)

    def wait_until_all_is_shown(self) -> None:
        self._tab.locator(COUNT, has_text=ALL).wait_for()

    def wait_for_the_end_of_the_stream(self) -> None:
        if not self._sockets[-1].is_closed():
            self._sockets[-1].wait_for_event("close")
        self._tab.wait_for_timeout(SETTLE_MS)

    def weight(self) -> Weight:
        sizes = self._received.sizes
        paint_ms, tasks = (self._tab.evaluate(script) for script in (PAINT, "window.longTasks"))
        return Weight(paint_ms, sum(sizes.values()), len(sizes), tasks)


if __name__ == "__main__":
    main()
