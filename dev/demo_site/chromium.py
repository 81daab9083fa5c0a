"""Chromium for the demo site: with a login, and with a list of errors that no page may cause."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    StorageState,
    WebSocket,
    sync_playwright,
)

from dev.processes import PASSWORD
from dev.servers import ServerError

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SHELL = "chromium-headless-shell"
SIZES = {375: 812, 768: 1024, 1280: 800, 1440: 900, 1920: 1080}

# Chromium itself reports only some of the violations on the console.
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, sourceFile }) =>
  console.error(`CSP: ${effectiveDirective} refuses ${blockedURI} in ${sourceFile}`));
"""


def launch_options() -> dict[str, Any]:
    """Choose the headless shell: Chromium without the windows of a desktop, which cost most CPU."""
    path = shutil.which(SHELL)
    if path is None:
        raise ServerError(f"{SHELL} is not in PATH: dev/install-debian {SHELL} {SHELL}")
    return {"executable_path": path, "args": ["--no-sandbox"] if os.getuid() == 0 else []}


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright, playwright.chromium.launch(**launch_options()) as browser:
        yield browser


def context_options(width: int = 1280, scheme: Scheme = "light") -> dict[str, Any]:
    size = {"width": width, "height": SIZES[width]}
    return {"viewport": size, "color_scheme": scheme}


class Logins:
    """The cookies of each user, who logs in when they are asked for the first time."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self._known: dict[str, StorageState | None] = {"": None}

    def __call__(self, username: str) -> StorageState | None:
        if username not in self._known:
            with self._browser.new_context(base_url=self._address) as context:
                log_in(context.new_page(), username)
                self._known[username] = context.storage_state()
        return self._known[username]


def log_in(page: Page, username: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("/")


class PageErrors:
    """Errors of the pages of a context: on the console, of the CSP, foreign requests, 500s."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self._found: list[str] = []
        self._expected: list[str] = []
        self._context = context
        self._host = urlsplit(address).netloc
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self._found.append(f"uncaught: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("page", lambda page: page.on("websocket", self._websocket))

    def expect(self, pattern: str) -> None:
        """Require an error that the test provokes, and take it for no problem."""
        self._expected.append(pattern)

    def problems(self) -> list[str]:
        for page in self._context.pages:
            page.evaluate("0")  # earlier errors have arrived when this is answered
        missing = [
            f"did not happen: {pattern}"
            for pattern in self._expected
            if not any(re.search(pattern, error) for error in self._found)
        ]
        return missing + [
            error
            for error in self._found
            if not any(re.search(pattern, error) for pattern in self._expected)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            where = message.location["url"]
            self._found.append(f"console {message.type}: {message.text} ({where})")

    def _dialog(self, dialog: Dialog) -> None:
        self._found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        self._check_host(request.url)

    def _websocket(self, socket: WebSocket) -> None:
        self._check_host(socket.url)

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._host:
            self._found.append(f"asked another host: {url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self._found.append(f"{response.status}: {response.url}")


class Received:
    """Sizes of all responses from now on, with headers; of a repeated request, the first."""

    def __init__(self, page: Page) -> None:
        self.sizes: dict[str, int] = {}
        self._urls: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._start)
        session.on("Network.loadingFinished", self._finish)
        session.send("Network.enable")

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    def _start(self, event: dict[str, Any]) -> None:
        self._urls[event["requestId"]] = event["request"]["url"]

    def _finish(self, event: dict[str, Any]) -> None:
        url = self._urls[event["requestId"]]
        self.sizes.setdefault(url, int(event["encodedDataLength"]))
