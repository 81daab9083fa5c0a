"""Tickets for streams, which a browser puts into an address instead of a token.

Addresses end up in histories and logs. A ticket there is worth nothing: it opens the stream of one
command, once, within seconds. Only its digest is stored.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from rest_framework.request import Request

from commands.accounts import logins, user_cache
from commands.database.compiled import Compiled, columns, loaded
from commands.models import Command, StreamTicket

TICKET_SECONDS = 30


class Grant(NamedTuple):
    """The right of a user to open streams, which follows from a login."""

    user: User
    seconds: float  # for which a stream may last
    login: str


class NotATicket(Exception):
    """A ticket that is unknown, expired, used, for another command, or of an inactive user."""


def issue(request: Request, command: Command) -> str:
    """Return a ticket for a stream that ends with the login of this request.

    It lasts as long as the request's token; with a session, as long as a new access token.
    """
    now = timezone.now()
    token: Any = request.auth  # None with a session
    is_session = token is None
    ticket = secrets.token_urlsafe(32)
    StreamTicket.objects.create(
        digest=_digest(ticket),
        user=cast(User, request.user),
        command=command,
        login=logins.of_session(request.session) if is_session else logins.of_token(token),
        expires_at=now + timedelta(seconds=TICKET_SECONDS),
        stream_ends_at=_end_of(token, now),
    )
    return ticket


_by_digest = Compiled(
    lambda digest: StreamTicket.objects.filter(pk=digest).values_list(
        "user__is_active", *columns(StreamTicket)
    ),
    str,
)


def redeem(ticket: str, command_id: str) -> Grant:
    """Use the ticket up. Raise NotATicket."""
    digest = _digest(ticket)
    rows = _by_digest.rows(digest)
    if not rows or not _delete(digest):  # of two requests at the same time, one deletes it
        raise NotATicket
    is_active, *values = rows[0]
    row, now = loaded(StreamTicket, values), timezone.now()
    if row.expires_at <= now or not is_active or not _is(row.command_id, command_id):
        raise NotATicket
    return Grant(
        user_cache.user(row.user_id),
        max(0.0, (row.stream_ends_at - now).total_seconds()),
        row.login,
    )


def _delete(digest: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM commands_streamticket WHERE digest = %s", [digest])
        return bool(cursor.rowcount)


def _end_of(token: Any, now: datetime) -> datetime:
    if token is None:
        return now + timedelta(seconds=settings.ACCESS_TOKEN_SECONDS)
    return datetime.fromtimestamp(token["exp"], now.tzinfo)


def _is(command_id: UUID, text: str) -> bool:
    try:
        return UUID(text) == command_id
    except ValueError:
        return False


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
