"""`make page-weight`: how fast and how heavy each page is with an empty cache, and whether a stream
of a thousand answers stays smooth. FCP is the first contentful paint, the median of three visits;
a long task is one that holds the page up for more than 50 ms."""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

from playwright.sync_api import Page as Tab
from playwright.sync_api import WebSocket

from dev.showroom.chromium import Received
from dev.showroom.pages import PAGES, Page
from dev.showroom.visit import Visit, visit

VISITS = 3
SETTLE_MS = 1000  # what the last answers still cause

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
    with visit() as visiting:
        for page in PAGES:
            print(f"{page.name:24} {weigh(visiting, page)}", flush=True)
        print(f"{'1,000 answers, live':24} {weigh_stream(visiting)}", flush=True)


def weigh(visiting: Visit, page: Page) -> Weight:
    weights = [weigh_once(visiting, page) for _ in range(VISITS)]
    return weights[-1]._replace(paint_ms=median(weight.paint_ms for weight in weights))


def weigh_once(visiting: Visit, page: Page) -> Weight:
    with watched(visiting, page) as tab:
        return tab.weight()


def weigh_stream(visiting: Visit) -> Weight:
    (pending,) = [page for page in PAGES if page.name == "command-pending"]
    with watched(visiting, pending) as tab:
        visiting.site.do("pour", visiting.site.ids["pending"])
        tab.wait_for_the_end_of_the_stream()
        return tab.weight()


@contextmanager
def watched(visiting: Visit, page: Page) -> Iterator["WatchedTab"]:
    with visiting.tab(page.who) as tab:
        watching = WatchedTab(tab)
        visiting.show(tab, page)
        yield watching


class WatchedTab:
    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._received = Received(tab)
        self._sockets: list[WebSocket] = []
        tab.add_init_script(WATCH)
        tab.on("websocket", self._hear)

    def _hear(self, socket: WebSocket) -> None:
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
