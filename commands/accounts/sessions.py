"""Sessions of the console: noted while they are used, shown to their user, and ended one by one."""

import logging
from collections.abc import Collection
from time import monotonic
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import empty

from commands.accounts.logins import SESSION
from commands.accounts.tokens import session_keys_of
from commands.models import BrowserSession, StreamTicket

logger = logging.getLogger(__name__)

NOTED_SECONDS = 60.0  # then the use of a session is written down again
MAX_NOTED = 10_000  # sessions that one process remembers

# What a User-Agent contains, and the words for it. The first that fits counts.
BROWSERS = [
    *[("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox")],
    *[("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari")],
]
SYSTEMS = [
    *[("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows")],
    *[("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")],
]

_noted: dict[str, float] = {}  # by key: when this process has written the use down


def device(user_agent: str) -> str:
    """Return a User-Agent in words, such as "Firefox on Windows"."""
    browser, system = (_first(names, user_agent) for names in (BROWSERS, SYSTEMS))
    return " on ".join(filter(None, (browser, system))) or user_agent[:60] or "Unknown program"


def _first(names: list[tuple[str, str]], text: str) -> str:
    return next((word for part, word in names if part in text), "")


# --- Noting


class NoteSessions(MiddlewareMixin):
    """Note the use of a session after the view, about once a minute."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        user: Any = getattr(request, "user", None)
        is_known = user is not None and getattr(user, "_wrapped", user) is not empty
        if is_known and user.is_authenticated and _is_session_of(user, request):
            _note_sometimes(request, user)
        return response


@receiver(user_logged_in)
def _note_at_once(request: HttpRequest, user: User, **_: Any) -> None:
    if _is_session_of(user, request):
        _note_sometimes(request, user)


def _is_session_of(user: User, request: HttpRequest) -> bool:
    """Return whether the session is logged in as this user, who may come from a token instead."""
    session = getattr(request, "session", None)
    if session is None or not session.session_key:
        return False
    return bool(session.get(SESSION_KEY) == str(user.pk))


def _note_sometimes(request: HttpRequest, user: User) -> None:
    key, now = str(request.session.session_key), monotonic()
    if now - _noted.get(key, -NOTED_SECONDS) < NOTED_SECONDS:
        return
    if len(_noted) >= MAX_NOTED:
        _noted.clear()
    _noted[key] = now
    try:
        with transaction.atomic():
            _note(key, user, request.META.get("HTTP_USER_AGENT", "")[:300])
    except DatabaseError as error:  # the page itself is fine, for example while it is read-only
        logger.warning("The use of a session was not noted (%s)", str(error).strip())


def _note(key: str, user: User, user_agent: str) -> None:
    used = BrowserSession(key=key, user=user, user_agent=user_agent, used_at=Now())
    BrowserSession.objects.bulk_create(
        [used],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["user", "user_agent", "used_at"],
    )


# --- Showing and ending


def of(user: User) -> QuerySet[BrowserSession]:
    """Return the sessions of this user that have not ended, the latest used first."""
    alive = Session.objects.filter(pk=OuterRef("key"), expire_date__gt=Now())
    rows: QuerySet[BrowserSession] = BrowserSession.objects.filter(Exists(alive), user=user)
    return rows.order_by("-used_at", "pk")


def left() -> QuerySet[BrowserSession]:
    """Return the notes on sessions that are gone."""
    gone: QuerySet[BrowserSession] = BrowserSession.objects.filter(
        ~Exists(Session.objects.filter(pk=OuterRef("key")))
    )
    return gone


@transaction.atomic
def end(keys: list[str]) -> None:
    """End these sessions. Their streams close when their right is next checked."""
    StreamTicket.objects.filter(login__in=[f"{SESSION}{key}" for key in keys]).delete()
    Session.objects.filter(pk__in=keys).delete()
    BrowserSession.objects.filter(key__in=keys).delete()


@receiver(post_save, sender=User)
def _end_outdated(
    instance: User, created: bool, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    """End the sessions of a former password. Django refuses them, but leaves their rows."""
    if created or (update_fields and "password" not in update_fields):
        return
    valid = {instance.get_session_auth_hash(), *instance.get_session_auth_fallback_hash()}
    rows = Session.objects.filter(pk__in=session_keys_of(instance))
    end([row.pk for row in rows if row.get_decoded().get(HASH_SESSION_KEY) not in valid])
