"""The login from which a stream follows: a token family, or a session of the console.

It is written as one text, so that tickets can carry it. Empty stands for a login without an end of
its own.
"""

from collections.abc import Iterable
from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.utils import timezone
from rest_framework_simplejwt.tokens import Token

from commands.accounts.tokens import FAMILY
from commands.models import TokenFamily

TOKEN, SESSION = "token ", "session "


def of_token(token: Token) -> str:
    return f"{TOKEN}{token[FAMILY]}"


def of_session(session: SessionBase) -> str:
    return f"{SESSION}{session.session_key}" if session.session_key else ""


def ended(logins: Iterable[str]) -> set[str]:
    """Return those of these logins that have ended, by at most two queries."""
    logins = set(logins) - {""}
    now = timezone.now()
    families = [UUID(login.removeprefix(TOKEN)) for login in logins if login.startswith(TOKEN)]
    sessions = [login.removeprefix(SESSION) for login in logins if login.startswith(SESSION)]
    open_families = TokenFamily.objects.filter(pk__in=families, expires_at__gt=now)
    open_sessions = Session.objects.filter(pk__in=sessions, expire_date__gt=now)
    alive = {f"{TOKEN}{pk}" for pk in open_families.values_list("pk", flat=True)}
    alive |= {f"{SESSION}{pk}" for pk in open_sessions.values_list("pk", flat=True)}
    return logins - alive
