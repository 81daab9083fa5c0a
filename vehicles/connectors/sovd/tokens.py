"""Access tokens by OAuth2 client credentials, shared by the vehicles with the same client."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from vehicles.connectors.errors import UnusableAnswer
from vehicles.connectors.sovd.configuration import SovdSettings
from vehicles.connectors.sovd.errors import Refusal

DEFAULT_SECONDS = 300.0
EARLY_SECONDS = 10.0  # a token must not expire on its way
MAX_REMEMBERED = 10_000

# Posts a body in one of two forms; returns the status and the JSON of the answer.
Post = Callable[[str, dict[str, Any]], Awaitable[tuple[int, Any]]]


@dataclass
class Token:
    """One client's token; only for the holder of `lock`."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    text: str = ""
    expires: float = 0.0


class Tokens:
    """Tokens by client."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str, str], Token] = {}

    async def get(self, settings: SovdSettings, post: Post, *, rejected: str = "") -> str:
        """Return a token that is not the rejected one; fetch it if there is none."""
        token = self._token(settings)
        async with token.lock:
            if not token.text or monotonic() >= token.expires or token.text == rejected:
                token.text, seconds = await _fetch(settings, post)
                token.expires = monotonic() + seconds
            return token.text

    def _token(self, settings: SovdSettings) -> Token:
        if len(self._tokens) > MAX_REMEMBERED:
            self._tokens.clear()
        key = settings.token_url, settings.client_id, settings.client_secret
        return self._tokens.setdefault(key, Token())


async def _fetch(settings: SovdSettings, post: Post) -> tuple[str, float]:
    """Ask for a token as OAuth2 says, and then as some SOVD servers want it: by JSON."""
    credentials = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
    }
    status, body = await post("data", credentials)
    if status in {400, 415, 422}:
        status, body = await post("json", credentials)
    if status != 200:
        raise Refusal(
            f"The server gave no access token ({status}). "
            "Correct `client_id`, `client_secret` or `token_url`.",
            status=status,
        )
    return _token_in(body)


def _token_in(body: Any) -> tuple[str, float]:
    found = body if isinstance(body, dict) else {}
    text, seconds = found.get("access_token"), found.get("expires_in", DEFAULT_SECONDS)
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
        raise UnusableAnswer("The answer at `token_url` holds no access token. Correct it.")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return text, max(0.0, (seconds if is_number else DEFAULT_SECONDS) - EARLY_SECONDS)
