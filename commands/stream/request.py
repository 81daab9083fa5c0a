"""The request for a stream: authenticated, authorised and parsed, in this order."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.utils import timezone
from rest_framework.exceptions import APIException

from commands import events
from commands.accounts import logins
from commands.accounts.authentication import TokenAuthentication
from commands.database.compiled import Compiled, columns, loaded
from commands.models import Command
from commands.stream.protocol import Close, Refusal
from commands.stream.rights import Reader, reader_of
from commands.stream.subscription import Subscription
from commands.stream.tickets import TICKET_SECONDS, Grant, NotATicket, redeem


@dataclass(frozen=True)
class StreamRequest:
    reader: Reader
    subscription: Subscription
    seconds: float  # until the token expires
    is_over: bool  # the client already has the terminal event


def read_request(scope: dict[str, Any]) -> StreamRequest:
    """Read the address and the headers. Raise Refusal."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    command_id = scope["url_route"]["kwargs"]["command_id"]
    grant = _authenticate(_credential(scope, query), command_id)
    command = _find_command(grant.user, command_id)
    after = _after(query, command)
    is_over = command.has_ended and after >= command.last_sequence_number
    reader = reader_of(grant, command)
    return StreamRequest(reader, Subscription(command.pk, after), grant.seconds, is_over)


def _credential(scope: dict[str, Any], query: dict[str, list[str]]) -> tuple[str, str]:
    """Return the kind and the text of the only credential. Raise Refusal if there are more."""
    scheme, _, bearer = (_header(scope, b"authorization") or "").partition(" ")
    given = [("token", text) for text in query.get("token", [])]
    given += [("ticket", text) for text in query.get("ticket", [])]
    given += [("token", bearer.strip())] if scheme.lower() == "bearer" else []
    given = [(kind, text) for kind, text in given if text]
    if len(given) > 1:
        message = "More than one credential. Pass a token, or a ticket, or a header, and only once."
        raise Refusal(Close.BAD_REQUEST, message)
    if not given:
        raise Refusal(Close.UNAUTHENTICATED, "No token. Pass an access token as `?token=`.")
    return given[0]


def _authenticate(credential: tuple[str, str], command_id: str) -> Grant:
    kind, text = credential
    try:
        return redeem(text, command_id) if kind == "ticket" else _grant_of(text)
    except NotATicket as error:
        message = (
            "The ticket is not valid: each opens one stream of its command once, "
            f"within {TICKET_SECONDS} s."
        )
        raise Refusal(Close.UNAUTHENTICATED, message) from error
    except (APIException, UnicodeError) as error:
        message = "The token is not valid: it must be an unexpired access token of an active user."
        raise Refusal(Close.UNAUTHENTICATED, message) from error


def _grant_of(raw_token: str) -> Grant:
    authentication = TokenAuthentication()
    token = authentication.get_validated_token(raw_token.encode())
    seconds = max(0.0, token["exp"] - timezone.now().timestamp())
    return Grant(authentication.get_user(token), seconds, logins.of_token(token))


_by_id = Compiled(
    lambda pk: Command.objects.filter(pk=pk).order_by().values_list(*columns(Command)), UUID
)


def _find_command(user: Any, command_id: str) -> Command:
    with suppress(ValueError):
        found = [loaded(Command, row) for row in _by_id.rows(UUID(command_id))]
        if found and found[0].is_visible_to(user):
            return found[0]
    raise Refusal(Close.NOT_FOUND, f"There is no command {command_id}.")


def _after(query: dict[str, list[str]], command: Command) -> int:
    text = query.get("after", ["0"])[-1]
    try:
        after = events.read_after(text)
    except ValueError as error:
        message = f"`after` must be a sequence number, not {text[:40]!r}."
        raise Refusal(Close.BAD_REQUEST, message) from error
    if after > command.last_sequence_number and not command.has_ended:
        message = f"`after` is {after}, but the log ends at {command.last_sequence_number}."
        raise Refusal(Close.BAD_REQUEST, message)
    return after


def _header(scope: dict[str, Any], name: bytes) -> str | None:
    values = [value for key, value in scope["headers"] if key == name]
    return values[-1].decode("latin-1") if values else None
