"""A stream whose socket is dead without a sign, as after a sleep or a change of network."""

import re

import pytest
from playwright.sync_api import Locator, WebSocketRoute, expect
from playwright.sync_api import Page as Tab

from sovd.tests.browser.conftest import Opener, Programs, TabErrors
from sovd.tests.browser.program import OFFLINE

NOTICED_MS = 40_000  # a heartbeat, a stall and a reconnection on a busy machine


class Network:
    """The sockets of one tab: those that are cut stay open and bring nothing."""

    def __init__(self, tab: Tab) -> None:
        self.opened = 0
        self._cut = 0
        tab.route_web_socket(re.compile("/ws/responses/"), self._connect)

    def cut(self) -> None:
        """Cut the sockets that are open now."""
        self._cut = self.opened

    def _connect(self, socket: WebSocketRoute) -> None:
        self.opened += 1
        number = self.opened
        server = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            if number > self._cut:
                socket.send(message)

        def close(code: int | None, reason: str | None) -> None:
            if number > self._cut:
                socket.close(code=code, reason=reason)

        server.on_message(pass_on)
        server.on_close(close)


@pytest.fixture
def command_id(program: Programs) -> str:
    return program("operator").submit(OFFLINE)


@pytest.fixture
def tab(open_tab: Opener) -> Tab:
    return open_tab("about:blank")


@pytest.fixture
def network(tab: Tab, command_id: str) -> Network:
    """The network of a tab that shows the waiting command."""
    network = Network(tab)
    tab.goto(f"/commands/{command_id}/")
    expect(live(tab, "connection")).to_have_text("Live")
    expect(tab.locator("#live .entry")).to_have_count(1)
    return network


def test_a_dead_stream_is_noticed_by_the_heartbeat(
    tab: Tab, network: Network, command_id: str, program: Programs
) -> None:
    network.cut()
    program("operator").cancel(command_id)
    expect_cancelled(tab)


def test_a_dead_stream_is_noticed_for_a_command_that_the_list_does_not_have(
    open_tab: Opener, program: Programs
) -> None:
    command_id = program("operator").submit(OFFLINE)
    tab = open_tab("about:blank", who="viewer")
    network = Network(tab)
    tab.goto("/commands/new/")
    tab.get_by_label("Mine").check()
    tab.goto(f"/commands/{command_id}/")
    expect(live(tab, "connection")).to_have_text("Live")
    expect(tab.locator("#live .entry")).to_have_count(1)
    network.cut()
    program("operator").cancel(command_id)
    expect_cancelled(tab)


def test_a_refused_cancellation_shows_how_the_command_ended(
    tab: Tab, network: Network, command_id: str, program: Programs, tab_errors: TabErrors
) -> None:
    tab_errors.expect("^console error: .* 409 ")
    network.cut()
    tab.route("**/api/v1/commands/?*", lambda route: route.abort("failed"))
    tab_errors.expect("^console error: .*ERR_FAILED")
    program("operator").cancel(command_id)
    tab.get_by_role("button", name="Cancel", exact=True).click()
    expect(tab.get_by_role("link", name="Repeat this command")).to_be_focused()
    expect_cancelled(tab)


def test_a_stream_connects_again_when_the_network_is_back(tab: Tab, network: Network) -> None:
    network.cut()
    with tab.expect_request("**/api/v1/stream-tickets/"):
        tab.evaluate("window.dispatchEvent(new Event('online'))")
    expect(live(tab, "connection")).to_have_text("Live")


def test_a_page_that_is_shown_again_checks_the_command(
    tab: Tab, network: Network, command_id: str
) -> None:
    with tab.expect_request(lambda request: request.url.endswith(f"/commands/{command_id}/")):
        tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def expect_cancelled(tab: Tab) -> None:
    expect(live(tab, "status")).to_have_text("Cancelled", timeout=NOTICED_MS)
    entries = tab.locator("#live .entry")
    expect(entries.last).to_contain_text("Nothing was sent to the vehicle.", timeout=NOTICED_MS)
    expect(tab.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()
    expect(live(tab, "connection")).to_be_empty()


def live(tab: Tab, part: str) -> Locator:
    return tab.locator(f"[data-live={part}]")
