"""The WebSocket edge: who asks, for which command, after what. Then it forwards, and only reads."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import structlog
from autobahn.exception import Disconnected
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError
from django.http.request import split_domain_port, validate_host
from django.utils import timezone
from rest_framework.exceptions import APIException
from structlog.contextvars import bind_contextvars

from commands import events, metrics
from commands.authentication import TokenAuthentication
from commands.models import Command
from commands.stream.connections import Connections, TooManyStreams
from commands.stream.subscription import Revoked, Subscription
from commands.threads import in_thread
from commands.tickets import NotATicket, redeem

logger = structlog.get_logger(__name__)


# Besides 1000 only such as these: daphne does not send 1001 to 1015, and breaks off instead.
FINISHED = 1000
TOO_LARGE = 4413
TOO_MANY = 4429
FAILED = 4500
UNAVAILABLE = 4503


class Refusal(Exception):
    """Why a stream is not, or no longer, given: an error frame and a close code."""

    def __init__(self, close_code: int, error_code: str, message: str) -> None:
        super().__init__(message)
        self.close_code, self.error_code = close_code, error_code


@dataclass(frozen=True)
class Opening:
    subscription: Subscription
    seconds: float  # until the token expires
    is_over: bool  # the client already has the terminal event


def unauthenticated(message: str) -> Refusal:
    return Refusal(4401, "unauthenticated", message)


class ResponseConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/responses/<command_id>?token=<access JWT>[&after=N]`, as docs/protocol.md tells it."""

    # No channel of the layer: the connection manager holds the one of this process.
    channel_layer_alias = "none"

    _forwarding: asyncio.Task[None] | None = None
    _heard: Sequence[float] = ()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # `disconnect()` is not called when a handler raised
            await self._stop_forwarding()

    async def connect(self) -> None:
        if not origin_is_ours(self.scope):
            metrics.stream_refusals.labels(metrics.FOREIGN_ORIGIN).inc()
            await self.close()
            return
        try:
            opening = await self._open()
        except Refusal as refusal:
            await self.accept()
            await self._refuse(refusal)
        else:
            await self.accept()
            subscription = opening.subscription
            bind_contextvars(command_id=str(subscription.command_id), user_id=subscription.user_id)
            logger.info("stream_opened", after=subscription.position)
            self._forwarding = asyncio.create_task(self._forward(opening))

    async def send(self, *args: Any, **options: Any) -> None:
        with suppress(Disconnected):  # the client has just left; that it did is the next message
            await super().send(*args, **options)

    async def _open(self) -> Opening:
        try:
            # Before the server loses its patience with the handshake, and ends it without a word.
            async with asyncio.timeout(settings.HANDSHAKE_SECONDS / 2):
                return await in_thread(open_stream, self.scope)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("stream_not_opened", error=str(error).strip() or "no time")
            message = "The database does not answer. Connect again in a few seconds."
            raise Refusal(UNAVAILABLE, "unavailable", message) from error

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        now = asyncio.get_running_loop().time()
        self._heard = [*(then for then in self._heard if now - then < 60), now]
        most, at_once = settings.CLIENT_FRAMES_PER_MINUTE, settings.CLIENT_FRAME_BYTES
        if len(text_data or bytes_data or "") > at_once:
            message = f"A frame of yours was larger than {at_once} bytes. Send none."
            await self._break_off(Refusal(TOO_LARGE, "frame_too_large", message))
        elif len(self._heard) > most:
            message = f"You sent over {most} frames in a minute. Send none."
            await self._break_off(Refusal(TOO_MANY, "too_many_frames", message))

    async def _forward(self, opening: Opening) -> None:
        try:
            with Connections.of_this_process().place(opening.subscription.user_id):
                await self._send_until_over(opening)
        except TooManyStreams as problem:
            await self._refuse(Refusal(4429, "too_many_streams", str(problem)))

    async def _send_until_over(self, opening: Opening) -> None:
        with metrics.websocket_connections.track_inprogress():
            try:
                async with asyncio.timeout(opening.seconds):
                    await self._send_lines(opening)
            except TimeoutError:
                message = "The token has expired. Get a new one and connect again with `after`."
                await self._refuse(Refusal(4401, "token_expired", message))
            except Revoked:
                await self._refuse(unauthenticated("The user is no longer active."))
            except Exception:
                logger.exception("stream_failed")
                await self.close(FAILED)
            else:
                await self.close(FINISHED)
            finally:
                logger.info("stream_closed")

    async def _send_lines(self, opening: Opening) -> None:
        if opening.is_over:
            return
        async with Connections.of_this_process().subscribed(opening.subscription) as subscription:
            while True:
                for line in await subscription.next_lines():
                    await self.send(text_data=line.text)
                    if line.is_terminal:
                        return

    async def _break_off(self, refusal: Refusal) -> None:
        await self._stop_forwarding()
        await self._refuse(refusal)

    async def _stop_forwarding(self) -> None:
        if self._forwarding:
            self._forwarding.cancel()
            await asyncio.wait([self._forwarding])

    async def _refuse(self, refusal: Refusal) -> None:
        metrics.stream_refusals.labels(refusal.error_code).inc()
        logger.info("stream_refused", reason=refusal.error_code, path=self.scope["path"])
        command_id = self.scope["url_route"]["kwargs"]["command_id"]
        frame = events.socket_error(command_id, refusal.error_code, str(refusal))
        await self.send(text_data=events.encode(frame))
        await self.close(refusal.close_code)


class NoSuchStream(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Any other WebSocket path: refused, where Channels would answer with a traceback."""

    channel_layer_alias = "none"

    async def connect(self) -> None:
        await self.close()


# --- May this stream be opened?


def origin_is_ours(scope: dict[str, Any]) -> bool:
    """A browser says where its page is from, with scheme and port; a program says nothing."""
    origin = _header(scope, b"origin")
    if origin is None or origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    host = _header(scope, b"host") or ""
    scheme = "https" if _is_secure(scope) else "http"
    return origin == f"{scheme}://{host}" and _is_allowed(host)


def _is_secure(scope: dict[str, Any]) -> bool:
    """As Django tells it of a request."""
    if not settings.SECURE_PROXY_SSL_HEADER:
        return bool(scope.get("scheme") == "wss")
    name, secure = settings.SECURE_PROXY_SSL_HEADER
    said = _header(scope, name.removeprefix("HTTP_").replace("_", "-").lower().encode()) or ""
    return bool(said.partition(",")[0].strip() == secure)


def _is_allowed(host: str) -> bool:
    """Also for sockets: an address that a foreign page had pointed at us is not ours."""
    allowed = settings.ALLOWED_HOSTS or [".localhost", "127.0.0.1", "[::1]"]  # as Django in DEBUG
    return validate_host(split_domain_port(host)[0], allowed)


def open_stream(scope: dict[str, Any]) -> Opening:
    """Authenticate, authorise, and read the request, in this order. Raises Refusal."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    command_id = scope["url_route"]["kwargs"]["command_id"]
    user, seconds = _authenticate(_credential(scope, query), command_id)
    command = _find_command(user, command_id)
    after = _after(query, command)
    is_over = command.has_ended and after >= command.last_sequence_number
    return Opening(Subscription(command.pk, user.pk, after), seconds, is_over)


def _credential(scope: dict[str, Any], query: dict[str, list[str]]) -> tuple[str, str]:
    """The one that there is, and what kind it is. Raises Refusal if there are two."""
    scheme, _, bearer = (_header(scope, b"authorization") or "").partition(" ")
    given = [("token", text) for text in query.get("token", [])]
    given += [("ticket", text) for text in query.get("ticket", [])]
    given += [("token", bearer.strip())] if scheme.lower() == "bearer" else []
    given = [(kind, text) for kind, text in given if text]
    if len(given) > 1:
        message = "More than one credential. Pass a token, or a ticket, or a header, and only once."
        raise Refusal(4400, "bad_request", message)
    if not given:
        raise unauthenticated("No token. Pass an access token as `?token=`.")
    return given[0]


def _authenticate(credential: tuple[str, str], command_id: str) -> tuple[Any, float]:
    kind, text = credential
    try:
        return redeem(text, command_id) if kind == "ticket" else _user_of(text)
    except NotATicket as error:
        message = "The ticket is not valid: each opens one stream of its command once, for 30 s."
        raise unauthenticated(message) from error
    except (APIException, UnicodeError) as error:
        message = "The token is not valid: it must be an unexpired access token of an active user."
        raise unauthenticated(message) from error


def _user_of(raw_token: str) -> tuple[Any, float]:
    authentication = TokenAuthentication()
    token = authentication.get_validated_token(raw_token.encode())
    return authentication.get_user(token), max(0.0, token["exp"] - timezone.now().timestamp())


def _find_command(user: Any, command_id: str) -> Command:
    try:
        command: Command = Command.objects.visible_to(user).get(pk=UUID(command_id))
    except (ValueError, Command.DoesNotExist) as error:
        raise Refusal(4404, "not_found", f"There is no command {command_id}.") from error
    return command


def _after(query: dict[str, list[str]], command: Command) -> int:
    text = query.get("after", ["0"])[-1]
    try:
        after = events.read_after(text)
    except ValueError as error:
        message = f"`after` must be a sequence number, not {text[:40]!r}."
        raise Refusal(4400, "bad_request", message) from error
    if after > command.last_sequence_number and not command.has_ended:
        message = f"`after` is {after}, but the log ends at {command.last_sequence_number}."
        raise Refusal(4400, "bad_request", message)
    return after


def _header(scope: dict[str, Any], name: bytes) -> str | None:
    values = [value for key, value in scope["headers"] if key == name]
    return values[-1].decode("latin-1") if values else None
