"""THROTTLE_LOGIN: the limit on attempts to log in, the same one for the pages and the API.

It is counted in the database: it needs no Redis, and holds for all web processes together. Names
are kept as keyed digests only, since people type passwords into that field.
"""

import math
import unicodedata
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.db.models import F
from django.db.models.functions import Now
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from commands import audit
from commands.client_address import client_address
from commands.models import LogInCount

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class LoginRefused(APIException):
    """The password was not checked. `wait` is the number of seconds until it will be."""

    wait: int


class TooManyLogins(LoginRefused):
    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "throttled"

    def __init__(self, wait: int) -> None:
        self.wait = wait
        super().__init__(
            "Too many attempts to log in with this name. Your password was not checked. "
            f"Wait {wait} second{'' if wait == 1 else 's'}, then try again."
        )


def window() -> timedelta:
    """The time over which attempts are counted; zero without a limit."""
    _, _, unit = settings.THROTTLE_LOGIN.partition("/")
    return timedelta(seconds=SECONDS[unit[0]] if unit else 0)


def count_attempt(request: HttpRequest | Request, name: str) -> None:
    """Count one attempt with this name from the request's address. Raise TooManyLogins."""
    if not settings.THROTTLE_LOGIN:
        return
    allowed = int(settings.THROTTLE_LOGIN.partition("/")[0])
    digest = _digest(request, name)
    count = LogInCount.objects.filter(pk=digest)
    count.filter(since__lte=Now() - window()).delete()
    LogInCount.objects.bulk_create([LogInCount(digest=digest)], ignore_conflicts=True)
    if _add_one(count.filter(attempts__lt=allowed)):
        return
    if _add_one(count.filter(attempts=allowed)):  # once in each lockout
        audit.record_locked_out(request, name)
    raise TooManyLogins(_seconds_left(count))


def uncount_attempt(request: HttpRequest | Request, name: str) -> None:
    """Take back an attempt whose password was not checked."""
    counts = LogInCount.objects.filter(pk=_digest(request, name), attempts__gt=0)
    counts.update(attempts=F("attempts") - 1)


@receiver(user_logged_in)
def forget_attempts(request: HttpRequest | Request, user: User, **_: Any) -> None:
    """Begin to count anew: the user has just shown the password."""
    LogInCount.objects.filter(pk=_digest(request, user.get_username())).delete()


def _add_one(count: Any) -> int:
    updated: int = count.update(attempts=F("attempts") + 1)
    return updated


def _seconds_left(count: Any) -> int:
    since = count.values_list("since", flat=True).first() or timezone.now()
    return max(1, math.ceil((since + window() - timezone.now()).total_seconds()))


def _digest(request: HttpRequest | Request, name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).strip()
    return salted_hmac(
        "commands.accounts.limits", f"{client_address(request)} {plain}", algorithm="sha256"
    ).hexdigest()
