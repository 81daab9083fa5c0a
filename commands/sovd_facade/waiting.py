"""Waiting for a command as a subscriber of its events: no thread is held, no row is polled."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from commands.accounts import logins
from commands.database.threads import in_facade_thread
from commands.models import Command, Kind, Status
from commands.sovd_facade import api_calls, errors
from commands.sovd_facade.call import Call
from commands.sovd_facade.errors import SovdError
from commands.stream.connection_manager import Connections
from commands.stream.request import StreamRequest
from commands.stream.rights import reader_of
from commands.stream.subscription import Subscription
from commands.stream.tickets import Grant


@dataclass(frozen=True)
class Done:
    """A command that completed, with the vehicle's responses that count."""

    command: Command
    responses: list[dict[str, Any]]

    @property
    def last(self) -> dict[str, Any]:
        return self.responses[-1]


async def carry_out(call: Call, command_name: str, params: dict[str, Any]) -> Done:
    """Submit a command and wait for its end. Raise SovdError if it did not complete in time."""
    seconds = call.seconds
    with Connections.of_this_process().slot(call.user.pk):
        command = await _submitted(call, command_name, params)
        try:
            async with asyncio.timeout(seconds):
                frame, responses = await _end_of(stream_of(call, command))
        except TimeoutError:
            raise await _give_up(call, command, seconds) from None
        except asyncio.CancelledError:  # the client has left
            await asyncio.shield(in_facade_thread(api_calls.withdraw, call, command))
            raise
    if frame["status"] != Status.COMPLETED:
        raise errors.of_outcome(frame, command_name)
    return Done(command, responses)


async def _submitted(call: Call, command_name: str, params: dict[str, Any]) -> Command:
    """Submit a command. If the client leaves meanwhile, withdraw it as soon as it is known."""
    submitting = asyncio.ensure_future(
        in_facade_thread(api_calls.submit, call, command_name, params)
    )
    try:
        return await asyncio.shield(submitting)
    except asyncio.CancelledError:
        await asyncio.wait([submitting])
        if not submitting.exception():
            await asyncio.shield(in_facade_thread(api_calls.withdraw, call, submitting.result()))
        raise


def stream_of(call: Call, command: Command, after: int = 0) -> StreamRequest:
    """Return the request for a stream that ends with the token and the rights of this call."""
    seconds = max(0.0, call.token["exp"] - timezone.now().timestamp())
    grant = Grant(call.user, seconds, logins.of_token(call.token))
    is_over = command.has_ended and after >= command.last_sequence_number
    return StreamRequest(
        reader_of(grant, command), Subscription(command.pk, after), seconds, is_over
    )


async def _end_of(request: StreamRequest) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the last event, and the responses since the command was last claimed."""
    responses: list[dict[str, Any]] = []
    async with Connections.of_this_process().subscribed(request) as subscription:
        while True:
            for line in await subscription.next_lines():
                frame = json.loads(line.text)
                if line.is_terminal:
                    return frame, responses
                if frame["event"] == Kind.RESPONSE:
                    responses.append(frame["response"])
                elif frame["status"] == Status.IN_PROGRESS:
                    responses.clear()


async def _give_up(call: Call, command: Command, seconds: float) -> SovdError:
    """Cancel what is still pending. A command that runs goes on."""
    withdrawn = await in_facade_thread(api_calls.withdraw, call, command)
    what = (
        "The command was cancelled: nothing was sent."
        if withdrawn
        else f"The command goes on: GET /api/v1/commands/{command.pk}/ says how it ends."
    )
    message = f"The vehicle did not respond within {seconds:g} s. {what}"
    code = "cancelled" if withdrawn else "still_running"
    return SovdError(504, "not-responding", message, code, command_id=str(command.pk))
