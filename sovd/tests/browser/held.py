"""Requests of a tab that wait, as behind a slow network."""

import re
import time

from playwright.sync_api import Page, Route

ASKED_SECONDS = 20


class Held:
    def __init__(self, tab: Page, url: str) -> None:
        """`url`: a regular expression that is searched for in the address."""
        self._tab = tab
        self._url = re.compile(url)
        self._routes: list[Route] = []
        self._is_released = False
        tab.route(self._url, self._handle)

    def wait_until_asked(self) -> None:
        deadline = time.monotonic() + ASKED_SECONDS
        while not self._routes:
            assert time.monotonic() < deadline, f"{self._url.pattern} was not asked for"
            self._tab.wait_for_timeout(20)

    def release(self) -> None:
        self.wait_until_asked()
        self._is_released = True
        for route in self._routes:
            route.continue_()

    def _handle(self, route: Route) -> None:
        if self._is_released:
            route.continue_()
        else:
            self._routes.append(route)
