"""`make page-weight`: measure each page with an empty cache, and a stream of a thousand responses.

FCP is the first contentful paint, the median of three visits; a long task is one that blocks the
page for more than 50 ms.
"""

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
        print(f"{'1,000 responses, live':24} {weigh_stream(browser)}", flush=True)


def weigh(browser: DemoBrowser, page: Page) -> Weight:
    weights = [weigh_once(browser, page) for _ in range(VISITS)]
    return weights[-1]._replace(paint_ms=median(weight.paint_ms for weight in weights))


def weigh_once(browser: DemoBrowser, page: Page) -> Weight:
    with watched(browser, page) as tab:
        return tab.weight()


def weigh_stream(browser: DemoBrowser) -> Weight:
    (pending,) = [page for page in PAGES if page.name == "command-pending"]
    with watched(browser, pending) as tab:
        browser.site.send_responses(browser.site.ids["pending"]).wait()
        tab.wait_for_the_end_of_the_stream()
        return tab.weight()


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
