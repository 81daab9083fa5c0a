"""Events of one command, from WebSockets, and from polls where no WebSocket gets through."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.exceptions import WebSocketException as SocketError

from sovd_client.answers import Command, Event, Page, Refused, Unavailable, checked, is_terminal
from sovd_client.connection import ASKED_AGAIN, Connection, pause_after, seconds_to_wait

MAX_USELESS_SOCKETS = 3  # in a row, without an event
MAX_OPENING_SECONDS = 10.0
MAX_CLOSING_SECONDS = 1.0
MAX_POLL_PAUSE_SECONDS = 3.0
MAX_WAIT_SECONDS = 60.0  # even if the server asks for more
NOT_READY = ASKED_AGAIN | {HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR}

FINAL_ERRORS = frozenset({"not_found", "bad_request"})
TOKEN_ERRORS = frozenset({"unauthenticated", "token_expired"})

logger = logging.getLogger("sovd_client")


class Stream:
    """Every event beyond `after`, once and in order, up to the terminal one."""

    def __init__(self, server: Connection, command_id: str, after: int) -> None:
        self._server = server
        self._command_id = command_id
        self._after = after
        self._failures = 0  # attempts in a row without a new event
        self._useless_sockets = 0  # of these, the sockets that opened or should have

    async def events(self) -> AsyncGenerator[Event, None]:
        await self._server.token()  # a wrong address or password ends it here
        while True:
            before = self._after
            problem: Exception | None = None
            try:
                async with AsyncExitStack() as opened:
                    read = await self._open(opened)
                    while events := await read():
                        for event in self._new(events):
                            yield event
                        if is_terminal(events[-1]):
                            return
            except (SocketError, OSError, ImportError, Unavailable) as error:
                problem = error
            has_news = self._after > before
            self._judge(problem, has_news=has_news)
            self._failures = 0 if has_news else self._failures + 1
            await asyncio.sleep(self._pause_after(problem))

    @property
    def _polls(self) -> bool:
        return self._useless_sockets >= MAX_USELESS_SOCKETS

    async def _open(self, opened: AsyncExitStack) -> Callable[[], Awaitable[list[Event]]]:
        """Return a function that reads the next events, and none when it is time to pause."""
        if self._polls:
            return self._poll
        path = f"/ws/responses/{self._command_id}?after={self._after}"
        socket = _connect(
            f"ws{self._server.url.removeprefix('http')}{path}",
            additional_headers={"Authorization": f"Bearer {await self._server.token()}"},
            ssl=self._server.tls,
            open_timeout=min(MAX_OPENING_SECONDS, self._server.timeout),
            close_timeout=MAX_CLOSING_SECONDS,
        )
        return partial(self._receive, await opened.enter_async_context(socket))

    def _new(self, events: list[Event]) -> Iterator[Event]:
        for event in events:
            if event["sequence_number"] > self._after:
                self._after = event["sequence_number"]
                yield event

    def _judge(self, problem: Exception | None, *, has_news: bool) -> None:
        if problem and _is_away(problem):
            self._warn_once(problem)
        elif not self._polls:
            self._judge_socket(problem, has_news=has_news)

    def _warn_once(self, problem: Exception) -> None:
        if self._failures == MAX_USELESS_SOCKETS:
            logger.warning("No connection (%s): trying again.", problem)

    def _judge_socket(self, problem: Exception | None, *, has_news: bool) -> None:
        """Decide whether the next attempt is a socket."""
        if has_news:
            self._useless_sockets = 0
        elif problem is None:  # closed in order: a poll shows whether the command has ended
            self._useless_sockets = MAX_USELESS_SOCKETS
        else:
            self._useless_sockets += MAX_USELESS_SOCKETS if _is_hopeless(problem) else 1
            if self._polls:
                logger.warning("No WebSocket gets through (%s): following by polling.", problem)

    def _pause_after(self, problem: Exception | None) -> float:
        pause = pause_after(self._failures)
        if self._polls:
            return min(MAX_POLL_PAUSE_SECONDS, pause)
        return pause + min(MAX_WAIT_SECONDS, _asked_to_wait(problem) or 0)

    async def _receive(self, socket: ClientConnection) -> list[Event]:
        try:
            while True:
                event = _event(await socket.recv())
                if event["sequence_number"]:
                    return [event]
                self._handle(event)
        except ConnectionClosedOK:
            return []

    def _handle(self, error: Event) -> None:
        """Handle an error of the socket, which the server closes after it."""
        code = error.get("error_code", "")
        if code in FINAL_ERRORS:
            raise Refused(code, error.get("error_message", ""))
        if code in TOKEN_ERRORS:
            self._server.forget_token()

    async def _poll(self) -> list[Event]:
        """Return the log from number `after` on: that one may be the terminal event."""
        path = f"commands/{self._command_id}/"
        query = {"after": max(0, self._after - 1)}
        page = checked(Page, await self._server.ask("GET", f"{path}events/", params=query))
        events = [checked(Event, event) for event in page["results"]]
        if not events:  # `after` lies beyond the last event
            command = checked(Command, await self._server.ask("GET", path))
            self._after = min(self._after, command["last_sequence_number"])
            return []
        is_old = events[-1]["sequence_number"] <= self._after and not is_terminal(events[-1])
        return [] if is_old else events


class _connect(connect):  # noqa: N801 - used like the function that it extends
    """A WebSocket that follows no redirect: the token is for this server alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _event(text: str | bytes) -> Event:
    try:
        return checked(Event, json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Refused("bad_answer", "The server sent a frame that is no JSON.") from error


def _asked_to_wait(problem: Exception | None) -> float | None:
    """Return the seconds for which a busy server sends new sockets away."""
    if isinstance(problem, InvalidStatus) and problem.response.status_code in ASKED_AGAIN:
        return seconds_to_wait(problem.response.headers)
    return None


def _is_away(problem: Exception) -> bool:
    """Tell whether the server is away or busy, so that polling would get no further."""
    if isinstance(problem, OSError | Unavailable):
        return not isinstance(problem, TimeoutError)
    return _asked_to_wait(problem) is not None


def _is_hopeless(problem: Exception) -> bool:
    """Tell whether the answer shows that a WebSocket will not open, such as an ordinary page."""
    if isinstance(problem, InvalidStatus):
        return problem.response.status_code not in NOT_READY
    may_pass = isinstance(problem, InvalidMessage)
    refused = isinstance(problem, InvalidHandshake | InvalidURI | ImportError)
    return refused and not may_pass
