"""SOVD servers: one HTTP client for each vehicle's settings, closed when idle."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from vehicles.connectors.base import VehicleError
from vehicles.connectors.errors import NoAnswer, UnusableAnswer
from vehicles.connectors.sovd import bodies
from vehicles.connectors.sovd.configuration import SovdSettings
from vehicles.connectors.sovd.tokens import Tokens
from vehicles.connectors.sovd.transport import KEPT_SECONDS, PinnedTransport, tls_context

CONNECT_SECONDS = 5.0
# Shorter than a command's own limit, so that its end can say that the server was silent.
ANSWER_SECONDS = 20.0
HIDDEN = "***"
JSON, BYTES = "application/json", "application/octet-stream"


class ConnectionBroken(NoAnswer):
    """A connection that broke between a request and the end of its answer."""


@dataclass(frozen=True)
class Answer:
    """An answer whose secrets are hidden, should the server repeat them."""

    status: int
    location: str
    is_binary: bool
    content: bytes
    text: str  # hexadecimal if it is binary

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def nrc(self) -> int | None:
        """The code of a raw negative response: the whole response, or the code alone."""
        if self.is_binary and self.content[:1] == b"\x7f" and len(self.content) == 3:
            return self.content[2]
        is_code = self.is_binary and self.status == 502 and len(self.content) == 1
        return self.content[0] if is_code else None

    async def json(self) -> Any:
        """Return the JSON of the body. Raises UnusableAnswer."""
        if self.is_binary:
            raise UnusableAnswer("The server answered with bytes instead of JSON. Check `url`.")
        return await bodies.parse(self.text)

    async def error_body(self) -> Any:
        """Return the JSON of an error, None if it has none."""
        with suppress(UnusableAnswer):
            return await self.json()
        return None


@dataclass(frozen=True)
class Body:
    """The body of a request, in one of these forms."""

    json: Any = None
    data: dict[str, Any] | None = None
    content: bytes | None = None

    def arguments(self) -> dict[str, Any]:
        headers = {"Content-Type": BYTES} if self.content is not None else {}
        return {"json": self.json, "data": self.data, "content": self.content, "headers": headers}


class Server:
    """A vehicle's server; only for the holder of `lock`."""

    def __init__(self, settings: SovdSettings, tokens: Tokens) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.idle: asyncio.TimerHandle | None = None
        self.settings = settings
        self.base = ""
        """The base URI, once it was learned."""
        self.vin: str | None = None
        """The VIN of the vehicle, once it was learned."""
        self._tokens = tokens
        self._token = settings.token
        self._client: httpx.AsyncClient | None = None

    @property
    def can_renew_token(self) -> bool:
        return bool(self.settings.client_id) and not self.settings.token

    async def authorize(self, *, again: bool = False) -> None:
        """Get a token for the requests to come; `again` after the server rejected it."""
        if self.can_renew_token:
            rejected = self._token if again else ""
            self._token = await self._tokens.get(self.settings, self._post, rejected=rejected)

    async def send(self, method: str, url: str, body: Body | None = None) -> Answer:
        """Send one request, once. Raises VehicleError."""
        accepts = BYTES if body and body.content is not None else JSON
        headers = {"Accept": accepts, "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return await self._send(method, url, headers, body or Body())

    async def _post(self, form: str, fields: dict[str, Any]) -> tuple[int, Any]:
        """Ask for a token."""
        body = Body(data=fields) if form == "data" else Body(json=fields)
        headers = {"Accept": JSON, "Accept-Encoding": "identity"}
        answer = await self._send("POST", self.settings.token_url, headers, body)
        return answer.status, await answer.error_body()

    async def _send(self, method: str, url: str, headers: dict[str, str], body: Body) -> Answer:
        client = await self._open()
        arguments = body.arguments()
        arguments["headers"] |= headers
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                async with client.stream(method, url, **arguments) as response:
                    return self._answer(response, await bodies.read(response))
        except TimeoutError as error:
            raise NoAnswer(
                f"The server did not answer within {ANSWER_SECONDS:g} s. Check the vehicle and "
                "its network, then send it again."
            ) from error
        except httpx.HTTPError as error:
            reason = self.without_secrets(str(error))
            raise _failure(error, reason, httpx.URL(url)) from error
        except (httpx.InvalidURL, httpx.StreamError) as error:
            raise UnusableAnswer("The server sent an address that is none. Check it.") from error

    async def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            transport = PinnedTransport(await tls_context(self.settings))
            timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
            self._client = httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False)
        return self._client

    def _answer(self, response: httpx.Response, content: bytes) -> Answer:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_binary = kind == BYTES
        text = content.hex().upper() if is_binary else content.decode("utf-8", "replace")
        location = response.headers.get("location", "")
        return Answer(
            response.status_code, location, is_binary, content, self.without_secrets(text)
        )

    def without_secrets(self, text: str) -> str:
        """Replace every secret in the text, also as JSON writes it and in hexadecimal digits."""
        for secret in {self._token, *self.settings.secrets} - {""}:
            digits = secret.encode().hex()
            for form in (secret, json.dumps(secret)[1:-1], digits, digits.upper()):
                text = text.replace(form, HIDDEN)
        return text

    async def close(self) -> None:
        client, self._client = self._client, None
        if client:
            await client.aclose()


def _failure(error: httpx.HTTPError, reason: str, url: httpx.URL) -> VehicleError:
    reason = " ".join(reason.split())[:100] or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        port = f" port {url.port}" if url.port else ""
        return NoAnswer(
            f"The server {url.host[:100]}{port} accepts no connection ({reason}). "
            "Check that it is online, and `url`.",
            is_certain=True,
        )
    is_noise = isinstance(error, httpx.RemoteProtocolError) and "closed" not in reason
    if is_noise and "disconnected" not in reason:
        return UnusableAnswer(
            f"The server sent something that is not HTTP ({reason}). Check `url`."
        )
    return ConnectionBroken(
        f"The connection to the server broke ({reason}). Check its network, then send it again."
    )


@dataclass
class Servers:
    """The servers that are in use or were a moment ago, by settings."""

    _tokens: Tokens = field(default_factory=Tokens)
    _servers: dict[SovdSettings, Server] = field(default_factory=dict)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    def find(self, settings: SovdSettings) -> Server | None:
        return self._servers.get(settings)

    @asynccontextmanager
    async def use(self, settings: SovdSettings) -> AsyncIterator[Server]:
        """Hold a vehicle's server alone."""
        server = self._servers.setdefault(settings, Server(settings, self._tokens))
        server.users += 1
        try:
            async with server.lock:
                if server.idle:
                    server.idle.cancel()
                server.settings = settings  # the data identifiers may be others
                yield server
        finally:
            server.users -= 1
            if not server.users:
                loop = asyncio.get_running_loop()
                server.idle = loop.call_later(KEPT_SECONDS, self._forget, settings)

    def _forget(self, settings: SovdSettings) -> None:
        server = self._servers.get(settings)
        if server and not server.users:
            del self._servers[settings]
            task = asyncio.create_task(server.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for settings, server in list(self._servers.items()):
            if server.idle:
                server.idle.cancel()
            del self._servers[settings]
            await server.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
