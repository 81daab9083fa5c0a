"""The WebSocket edge: it reads the request, then forwards the events of one command."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError
from structlog.contextvars import bind_contextvars

from commands import events
from commands.database.errors import meaning_of
from commands.database.threads import in_thread
from commands.metrics import counters
from commands.stream import origin, protocol
from commands.stream.connection_manager import Connections
from commands.stream.protocol import Close, Refusal, Rejection
from commands.stream.request import StreamRequest, read_request

logger = structlog.get_logger(__name__)

PUSH = "sovd.push"  # an extension of our server: see `Push` in subscription.py


class ResponseConsumer(AsyncWebsocketConsumer):
    """One subscriber: `/ws/responses/<command_id>?token=<access JWT>[&after=N]`.

    Group messages do not arrive here. The `connection_manager` of the process receives them once
    and hands them to the subscriptions of their command.
    """

    _forwarding: asyncio.Task[None] | None = None
    _frame_times: Sequence[float] = ()
    _has_closed = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one message after another.

        Channels' own way has a task for each, and a thread that closes database connections.
        """
        self.scope, self.base_send = scope, send
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.connect":
                    await self.connect()
                else:
                    await self.receive(message.get("text"), message.get("bytes"))
        finally:
            await self._stop_forwarding()

    async def connect(self) -> None:
        if not origin.is_ours(self.scope):
            protocol.count(Rejection.FOREIGN_ORIGIN)
            await self.close()
            return
        try:
            request = await self._read_request()
        except Refusal as refusal:
            await self.accept()
            await self._refuse(refusal)
        else:
            await self.accept()
            reader, position = request.reader, request.subscription.position
            bind_contextvars(command_id=str(reader.command_id), user_id=reader.user_id)
            logger.info("stream_opened", after=position)
            self._forwarding = asyncio.create_task(self._forward(request))

    async def send(self, *args: Any, **options: Any) -> None:
        with suppress(OSError):  # the client has just left, which the next message says
            await super().send(*args, **options)

    async def close(self, *args: Any, **options: Any) -> None:
        self._has_closed = True
        await super().close(*args, **options)

    async def _read_request(self) -> StreamRequest:
        try:
            # Shorter than the server's patience with a handshake, which ends without a reason.
            async with asyncio.timeout(settings.HANDSHAKE_SECONDS / 2):
                return await in_thread(read_request, self.scope)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("stream_not_opened", error=str(error).strip() or "no time")
            message = f"{meaning_of(error).reason}. Connect again in a few seconds."
            raise Refusal(Close.UNAVAILABLE, message) from error

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Limit the frames of the client; their content is ignored."""
        if self._has_closed:
            return
        now = asyncio.get_running_loop().time()
        self._frame_times = [*(then for then in self._frame_times if now - then < 60), now]
        max_frames, max_bytes = settings.CLIENT_FRAMES_PER_MINUTE, settings.CLIENT_FRAME_BYTES
        if len(text_data or bytes_data or "") > max_bytes:
            message = f"A message of yours was larger than {max_bytes} bytes. Send none."
            await self._break_off(Refusal(Close.FRAME_TOO_LARGE, message))
        elif len(self._frame_times) > max_frames:
            message = f"You sent more than {max_frames} frames in a minute. Send none."
            await self._break_off(Refusal(Close.TOO_MANY_FRAMES, message))

    async def _forward(self, request: StreamRequest) -> None:
        try:
            with Connections.of_this_process().slot(request.reader.user_id):
                await self._send_until_over(request)
        except Refusal as refusal:
            await self._refuse(refusal)
        except Exception:
            logger.exception("stream_failed")
            await self.close(Close.FAILED.code)
        else:
            await self.close(protocol.FINISHED)
        finally:
            logger.info("stream_closed")

    async def _send_until_over(self, request: StreamRequest) -> None:
        with counters.websocket_connections.track_inprogress():
            try:
                async with asyncio.timeout(request.seconds):
                    await self._send_lines(request)
            except TimeoutError as error:
                message = "The token has expired. Get a new one and connect again with `after`."
                raise Refusal(Close.TOKEN_EXPIRED, message) from error

    async def _send_lines(self, request: StreamRequest) -> None:
        if request.is_over:
            return
        request.subscription.push = self.scope.get("extensions", {}).get(PUSH)
        async with Connections.of_this_process().subscribed(request) as subscription:
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
        close = refusal.close
        protocol.count(close)
        logger.info("stream_refused", reason=close.error_code, path=self.scope["path"])
        command_id = self.scope["url_route"]["kwargs"]["command_id"]
        frame = events.socket_error(command_id, close.error_code, str(refusal))
        await self.send(text_data=events.encode(frame))
        await self.close(close.code)


class NoSuchStream(AsyncWebsocketConsumer):
    """Any other WebSocket path: refused, where Channels would answer with a traceback."""

    channel_layer_alias = "none"

    async def connect(self) -> None:
        await self.close()
