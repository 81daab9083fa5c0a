"""Requests of one command: evidence, at most one try for all that changes something, links."""

from datetime import UTC, datetime
from time import monotonic
from typing import Any

import httpx

from vehicles.connectors import nrc as negative_responses
from vehicles.connectors.base import Attempt, Exchange, VehicleError
from vehicles.connectors.errors import UnusableAnswer
from vehicles.connectors.sovd import bodies
from vehicles.connectors.sovd.errors import error_of, negative_response, nrc_of
from vehicles.connectors.sovd.server import Answer, Body, ConnectionBroken, Server

MAX_KEPT_BYTES = 16 * 1024  # of an answer, as evidence
MAX_URL = 4000
UNSTORABLE = "\N{REPLACEMENT CHARACTER}"  # for NUL, which Postgres cannot hold


class Session:
    """The server of a vehicle as one command sees it."""

    def __init__(self, server: Server, attempt: Attempt | None) -> None:
        self.server = server
        self.ecu_address = ""
        """The ECU that the requests are about, for evidence."""
        self.may_have_acted = False
        """Whether a request that is not safe to repeat may have been carried out."""
        self._attempt = attempt
        self._has_announced = False
        self._lists: dict[str, list[dict[str, Any]]] = {}

    async def get(self, url: str, service: str) -> Any:
        """Return the JSON of a good answer. Raises VehicleError."""
        answer = await self.ask("GET", url, service)
        if not answer.is_good:
            raise await self.error(answer, "GET", url)
        return await answer.json()

    async def list_once(self, url: str, service: str) -> list[dict[str, Any]]:
        """Return the items of a list that stays the same during a command."""
        if url not in self._lists:
            self._lists[url] = bodies.items_of(await self.get(url, service), service)
        return self._lists[url]

    async def change(
        self,
        method: str,
        url: str,
        service: str,
        body: Body | None = None,
        *,
        before: list[str] | None = None,
    ) -> Answer:
        """Send a request that is not safe to repeat, once; return its good answer."""
        await self.server.authorize()
        await self._announce(before)
        had_acted, self.may_have_acted = self.may_have_acted, True
        try:
            answer = await self.ask(method, url, service, body)
            if not answer.is_good or answer.nrc:
                raise await self.error(answer, method, url)
        except VehicleError as error:
            if error.is_certain:
                self.may_have_acted = had_acted
            raise
        return answer

    async def _announce(self, before: list[str] | None) -> None:
        if self._attempt and not self._has_announced:
            await self._attempt.about_to_send(before)
            self._has_announced = True

    async def ask(self, method: str, url: str, service: str, body: Body | None = None) -> Answer:
        """Return the answer, good or not. Only a GET is sent again over a broken connection.

        An answer that the token is not valid says for certain that nothing was carried out.
        """
        await self.server.authorize()
        try:
            answer = await self._exchange(method, url, service, body)
        except ConnectionBroken:
            if method != "GET":
                raise
            answer = await self._exchange(method, url, service, body)
        if answer.status == 401 and self.server.can_renew_token:
            await self.server.authorize(again=True)
            answer = await self._exchange(method, url, service, body)
        return answer

    async def error(self, answer: Answer, method: str, url: str) -> VehicleError:
        asked = f"{method} {_path(url)}"[:100]
        if answer.nrc:
            return negative_response(answer.nrc, f"The ECU refused {asked}")
        return error_of(answer.status, await answer.error_body(), asked)

    async def _exchange(self, method: str, url: str, service: str, body: Body | None) -> Answer:
        started_at, started = datetime.now(UTC), monotonic()
        answer = None
        try:
            answer = await self.server.send(method, url, body)
        finally:
            if self._attempt:
                nrc = await _nrc_in(answer)
                self._attempt.record(
                    Exchange(
                        ecu_address=self.ecu_address,
                        service=service,
                        request=_kept(self.server.without_secrets(f"{method} {_path(url)}")),
                        response=_kept(f"{answer.status} {answer.text}") if answer else None,
                        nrc=None if nrc is None else f"0x{nrc:02X}",
                        nrc_name="" if nrc is None else negative_responses.name_of(nrc),
                        pending_count=0,
                        started_at=started_at,
                        duration_ms=round((monotonic() - started) * 1000, 3),
                    )
                )
        return answer

    def link(self, reference: Any, url: str, origin: str = "") -> str:
        """Return the URL of a reference in the answer of `url`. Raises UnusableAnswer.

        A server is not trusted: its links stay on the server itself, or on that of `origin`.
        """
        try:
            target = httpx.URL(url).join(str(reference))
        except httpx.InvalidURL as error:
            raise UnusableAnswer("The server sent a link that is no address.") from error
        if not isinstance(reference, str) or len(str(target)) > MAX_URL:
            raise UnusableAnswer("The server sent a link that is no address.")
        if _origin(target) != _origin(httpx.URL(origin or self.server.base)):
            raise UnusableAnswer(
                f"The server links to another one ({target.host[:60]}), which is not followed. "
                "Correct `url` or `base_uri`."
            )
        return str(target)


async def _nrc_in(answer: Answer | None) -> int | None:
    """Return the negative response code that an answer tells, if it tells one."""
    if answer is None or answer.is_good or answer.nrc:
        return answer.nrc if answer else None
    body = await answer.error_body()
    return nrc_of(body) if isinstance(body, dict) else None


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


def _path(url: str) -> str:
    return httpx.URL(url).raw_path.decode("ascii")


def _kept(text: str) -> str:
    text = text.strip().replace("\x00", UNSTORABLE)
    return text.encode()[:MAX_KEPT_BYTES].decode(errors="ignore")
