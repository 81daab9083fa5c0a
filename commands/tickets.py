"""Tickets for streams: what a browser puts into an address instead of a token.

An address ends up in histories and logs. A ticket in one is worth nothing a moment later: it opens
one command's stream, once, within seconds. Only its digest is stored.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from commands.models import Command, StreamTicket

TICKET_SECONDS = 30


class NotATicket(Exception):
    """Unknown, expired, used before, of another command, or of a user who is not active."""


def issue(user: User, command: Command, token: Any) -> str:
    """For a stream that lasts as long as `token`, or as a new access token if that is None."""
    now = timezone.now()
    ticket = secrets.token_urlsafe(32)
    StreamTicket.objects.create(
        digest=_digest(ticket),
        user=user,
        command=command,
        expires_at=now + timedelta(seconds=TICKET_SECONDS),
        stream_ends_at=_end_of(token, now),
    )
    return ticket


def redeem(ticket: str, command_id: str) -> tuple[User, float]:
    """Whose it is, and for how many seconds the stream may last. Raises NotATicket."""
    rows = StreamTicket.objects.filter(pk=_digest(ticket))
    row = rows.select_related("user").first()
    if row is None or not rows.delete()[0]:  # of two who come at once, one deletes it
        raise NotATicket
    now = timezone.now()
    if row.expires_at <= now or not row.user.is_active or not _is(row.command_id, command_id):
        raise NotATicket
    return row.user, max(0.0, (row.stream_ends_at - now).total_seconds())


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
