"""How a stream ends: close codes, their error codes, and whether a client may connect again.

The frames are in `commands/events.py`, the kinds of events and the error codes of commands in
`commands/models/`. The consumer closes by the names of this table. The metrics and the OpenAPI
document are built from it; docs/protocol.md and the clients are tested against it.
"""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus

from django.conf import settings

from commands.metrics import counters

FINISHED = 1000  # the terminal event was sent


class Retry(Enum):
    """Conditions under which a client may connect again."""

    NEVER = "never"
    NEW_CREDENTIAL = "with a new token or ticket"
    LATER = "after a pause"


class Close(Enum):
    """An end of a stream before the terminal event: its close code, and what the client should do.

    An `error` frame with `error_code` comes first. Codes are from 4000: those below are the
    protocol's own, such as 1012 of a server that ends.
    """

    UNAUTHENTICATED = (
        4401,
        "log in: the token or ticket is missing, invalid, expired or used, or its login has ended",
        Retry.NEW_CREDENTIAL,
    )
    TOKEN_EXPIRED = 4401, "get a new token, connect again with `after`", Retry.NEW_CREDENTIAL
    NOT_FOUND = 4404, "no such command, or none that you may see", Retry.NEVER
    BAD_REQUEST = 4400, "correct `after`, or send one credential only", Retry.NEVER
    TOO_MANY_STREAMS = (
        4429,
        "close one, or wait: {STREAMS_PER_USER} for each user, {STREAMS_PER_PROCESS} for each "
        "server process",
        Retry.LATER,
    )
    FRAME_TOO_LARGE = (
        4413,
        "you sent a message over {CLIENT_FRAME_BYTES} bytes: send none",
        Retry.LATER,
    )
    TOO_MANY_FRAMES = (
        4429,
        "you sent more than {CLIENT_FRAMES_PER_MINUTE} frames in a minute: send none",
        Retry.LATER,
    )
    FAILED = (
        4500,
        "the stream failed, and the server's log says why: connect again with `after`",
        Retry.LATER,
    )
    UNAVAILABLE = (
        4503,
        "the database is away: connect again with `after` in a few seconds",
        Retry.LATER,
    )

    def __init__(self, code: int, advice: str, retry: Retry) -> None:
        self.code, self.advice, self.retry = code, advice, retry

    @property
    def error_code(self) -> str:
        """The `error_code` of the frame before the close, or "" if there is no such frame."""
        return "" if self is Close.FAILED else self.name.lower()


class Rejection(Enum):
    """An HTTP status in place of the handshake: there is no stream that a frame could come by."""

    FOREIGN_ORIGIN = HTTPStatus.FORBIDDEN
    BUSY = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def error_code(self) -> str:
        return self.name.lower()


REASONS = [reason.error_code for reason in (*Close, *Rejection) if reason.error_code]
LIMITS = (
    "STREAMS_PER_USER",
    "STREAMS_PER_PROCESS",
    "CLIENT_FRAME_BYTES",
    "CLIENT_FRAMES_PER_MINUTE",
)

for _reason in REASONS:  # so that `rate()` sees a series before its first refusal
    counters.stream_refusals.labels(_reason)


class Refusal(Exception):
    """The end of a stream that is not, or no longer, to be given. Its text is for people."""

    def __init__(self, close: Close, message: str) -> None:
        super().__init__(message)
        self.close = close


def count(reason: Close | Rejection) -> None:
    counters.stream_refusals.labels(reason.error_code).inc()


def limits() -> dict[str, object]:
    return {name: getattr(settings, name) for name in LIMITS}


def table(limits: Mapping[str, object]) -> str:
    """Return the rows of a Markdown table, with the limits as numbers or by their names."""
    return "\n".join(
        f"| {close.code} | {f'`{close.error_code}`' if close.error_code else 'none'} "
        f"| {close.advice.format_map(limits)} |"
        for close in Close
    )
