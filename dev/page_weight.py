"""`make page-weight`: how fast and how heavy each page is with an empty cache, and whether a stream
of a thousand answers stays smooth. FCP is the first contentful paint, the median of three visits;
a long task is one that holds the page up for more than 50 ms."""

from collections.abc import Callable, Iterator
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
    with watched_tab(visiting, page) as (tab, received):
        return weight(tab, received)


def weigh_stream(visiting: Visit) -> Weight:
    (pending,) = [page for page in PAGES if page.name == "command-pending"]
    sockets: list[WebSocket] = []
    with watched_tab(visiting, pending, lambda socket: sockets.append(socket)) as (tab, received):
        visiting.site.do("pour", visiting.site.ids["pending"])
        if not sockets[-1].is_closed():
            sockets[-1].wait_for_event("close")
        tab.wait_for_timeout(SETTLE_MS)
        return weight(tab, received)


@contextmanager
def watched_tab(
    visiting: Visit, page: Page, on_socket: Callable[[WebSocket], None] = lambda _: None
) -> Iterator[tuple[Tab, Received]]:
    with visiting.tab(page.who) as tab:
        tab.add_init_script(WATCH)
        tab.on("websocket", on_socket)
        received = Received(tab)
        visiting.show(tab, page)
        yield tab, received


def weight(tab: Tab, received: Received) -> Weight:
    return Weight(
        tab.evaluate(PAINT), received.total, len(received.sizes), tab.evaluate("window.longTasks")
    )


if __name__ == "__main__":
    main()
