"""The events of a command as `text/event-stream`, on the same subscription as a WebSocket.

The number of an event is its `id`, so a client that connects again with `Last-Event-ID` misses and
repeats nothing.
"""

import asyncio
from collections.abc import AsyncIterator

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from commands import events
from commands.events import Line
from commands.models import Command
from commands.sovd_facade.call import Call
from commands.sovd_facade.errors import bad_request
from commands.sovd_facade.waiting import stream_of
from commands.stream.connection_manager import Connections
from commands.stream.protocol import Close, Refusal
from commands.stream.request import StreamRequest
from commands.stream.subscription import Subscription

KEEP_ALIVE_SECONDS = 15.0
HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


async def event_stream(call: Call, command: Command) -> HttpResponseBase:
    """Return the events after `Last-Event-ID`, or 204, which ends an EventSource."""
    request = stream_of(call, command, _after(call, command))
    if request.is_over:
        return HttpResponse(status=204)
    return StreamingHttpResponse(_events(request), headers=HEADERS)


def _after(call: Call, command: Command) -> int:
    text = call.request.headers.get("Last-Event-ID") or "0"
    try:
        after = events.read_after(text)
    except ValueError as error:
        raise bad_request(f"Last-Event-ID must be a sequence number, not {text[:40]!r}.") from error
    if after > command.last_sequence_number:
        raise bad_request(f"The log ends at {command.last_sequence_number}.")
    return after


async def _events(request: StreamRequest) -> AsyncIterator[str]:
    connections = Connections.of_this_process()
    try:
        with connections.slot(request.reader.user_id):
            async with connections.subscribed(request) as subscription:
                async for text in _texts(subscription, request.seconds):
                    yield text
    except Refusal as refusal:
        code = refusal.close.error_code
        frame = events.socket_error(str(request.reader.command_id), code, str(refusal))
        yield f"event: error\ndata: {events.encode(frame)}\n\n"


async def _texts(subscription: Subscription, seconds: float) -> AsyncIterator[str]:
    """Yield events until the last one, and a comment when there is none for long."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    reading = asyncio.create_task(subscription.next_lines())
    try:
        while loop.time() < ends:
            # Without cancelling it: a read of the log that is cancelled would be a gap.
            await asyncio.wait([reading], timeout=min(KEEP_ALIVE_SECONDS, ends - loop.time()))
            if not reading.done():
                yield ": waiting\n\n"
                continue
            for line in (lines := reading.result()):
                yield _text(line)
            if lines[-1].is_terminal:
                return
            reading = asyncio.create_task(subscription.next_lines())
    finally:
        reading.cancel()
    raise Refusal(Close.TOKEN_EXPIRED, "The token has expired. Get a new one, and connect again.")


def _text(line: Line) -> str:
    return f"id: {line.sequence_number}\ndata: {line.text}\n\n"
