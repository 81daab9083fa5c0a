"""Requests of one user to one server: log-in, waiting, and errors in one shape."""

import asyncio
import random
import re
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx

from sovd_client.answers import Refused, Tokens, Unavailable, checked

MAX_PAUSE_SECONDS = 10.0
NOT_READY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
ASKED_AGAIN = NOT_READY | {HTTPStatus.TOO_MANY_REQUESTS}


class Connection:
    """Requests with a token. Logs in when it has to, and again when the token has expired."""

    def __init__(self, url: str, username: str, password: str, ca: str, timeout: float) -> None:
        self.url = _address(url)
        self.tls = _tls(ca) if self.url.startswith("https:") else None
        self.timeout = timeout
        self._credentials = {"username": username, "password": password}
        self._token = ""
        self._http = _http(f"{self.url}/api/v1/", self.tls)

    async def close(self) -> None:
        await self._http.aclose()

    async def token(self) -> str:
        if not self._token:
            response = await self._send("POST", "token/", json=self._credentials)
            self._token = checked(Tokens, read(response))["access"]
        return self._token

    def forget_token(self) -> None:
        self._token = ""

    async def ask(self, method: str, path: str, **given: Any) -> Any:
        """Return the JSON of the answer. Raise Refused or Unavailable."""
        response = await self._with_token(method, path, **given)
        if response.status_code == HTTPStatus.UNAUTHORIZED:  # the token has expired
            self.forget_token()
            response = await self._with_token(method, path, **given)
        return read(response)

    async def _with_token(self, method: str, path: str, **given: Any) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {await self.token()}"}
        headers = given.pop("headers", {}) | bearer
        return await self._send(method, path, headers=headers, **given)

    async def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Send again while the server is away or asks to wait, until the time is over."""
        deadline = time.monotonic() + self.timeout
        for failures in count(1):
            answer = await self._send_once(method, path, deadline, **given)
            pause = _pause_after(answer, failures)
            if pause is None or time.monotonic() + pause > deadline:
                break
            await asyncio.sleep(pause)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def _send_once(
        self, method: str, path: str, deadline: float, **given: Any
    ) -> httpx.Response | Unavailable:
        try:
            async with asyncio.timeout(max(0, deadline - time.monotonic())):
                return await self._http.request(method, path, **given)
        except TimeoutError:
            message = f"{self.url} gave no answer within {self.timeout:g} s."
            return Unavailable("no_answer", message)
        except httpx.RequestError as error:
            return self._no_answer(error)

    def _no_answer(self, error: httpx.RequestError) -> Unavailable:
        if distrust := _distrust(error):
            message = f"The certificate of {self.url} is not trusted ({distrust})."
            raise Refused("untrusted", f"{message} Name the file of its CA with --ca.") from error
        reason = str(error) or type(error).__name__
        return Unavailable("no_answer", f"{self.url} does not answer ({reason}).")


def read(response: httpx.Response) -> Any:
    """Return the JSON of an answer. Raise Refused or Unavailable for any other answer."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        raise _error(response, "", "") from None
    if response.is_success:
        return answer
    texts = answer if isinstance(answer, dict) else {}
    raise _error(response, str(texts.get("code", "")), str(texts.get("detail", "")))


def _error(response: httpx.Response, code: str, detail: str) -> Refused | Unavailable:
    status = response.status_code
    code, detail = code or f"http_{status}", detail or _about(response)
    if status in NOT_READY:
        return Unavailable(code, detail)
    wait = seconds_to_wait(response.headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS and wait and "second" not in detail:
        detail += f" Try again in {wait:.0f} seconds."
    return Refused(code, detail)


def _about(response: httpx.Response) -> str:
    """Describe an answer that is no error of the API: of a proxy, or of another server."""
    asked = f"{response.request.method} {response.url}"
    if response.has_redirect_location:
        return f"{asked} is redirected to {response.headers['Location']}. Use its address."
    return f"{asked} gave HTTP {response.status_code} without an answer of the API. Check the URL."


def pause_after(failures: int) -> float:
    """Return seconds to wait: longer each time, and random so that clients come back apart."""
    longest: float = min(MAX_PAUSE_SECONDS, 0.25 * 2 ** min(failures, 10))
    return random.uniform(0.5, 1) * longest


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`, seconds or a date. Return None if it is missing or neither."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    if (end := _instant(text)) is None:
        return None
    now = _instant(headers.get("Date", "")) or datetime.now(UTC)  # two clocks may differ
    return max(0.0, (end - now).total_seconds())


def _instant(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _pause_after(answer: httpx.Response | Unavailable, failures: int) -> float | None:
    """Return seconds until the request is sent again, or None if it is not."""
    if isinstance(answer, Unavailable):
        return pause_after(failures)
    if answer.status_code not in ASKED_AGAIN:
        return None
    wait = seconds_to_wait(answer.headers)
    return pause_after(failures) if wait is None else wait


def _address(url: str) -> str:
    """Return the URL without an ending slash. Raise Refused unless it names a server."""
    try:
        parts = urlsplit(url.strip())
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server or parts.query or parts.fragment or parts.username is not None:
        raise Refused("bad_url", f"{url!r} is no address of a server, such as https://host:8000.")
    path = parts.path.rstrip("/").removesuffix("/api/v1")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _tls(ca: str) -> ssl.SSLContext:
    """Return one context for requests and sockets, so that both trust the same servers."""
    if not ca:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # SSLError is one
        raise Refused("bad_ca", f"{ca!r} is no file of PEM certificates ({error}).") from error


def _http(base_url: str, tls: ssl.SSLContext | None) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(base_url=base_url, verify=tls or True, timeout=30)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        message = f"The URL or the proxy in the environment cannot be used ({error})."
        raise Refused("bad_url", message) from error


def _distrust(error: BaseException | None) -> str:
    """Return the reason why a certificate is not trusted, or nothing."""
    while error:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""
