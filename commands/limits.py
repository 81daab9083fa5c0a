"""How much one may ask in a time: log-ins and submissions.

Both are counted in the database. All web processes share it, and without it neither a log-in nor a
submission works: so a limit is not multiplied by the number of processes, and none needs Redis.
"""

import hashlib
import math
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from commands.models import Batch, Command, LogInCount


class DatabaseThrottle(SimpleRateThrottle):
    """At most `num_requests` in `duration` seconds; who is refused is told how long to `wait()`."""

    num_requests: int
    duration: int
    _wait = 0

    def wait(self) -> int:
        return self._wait

    def _refuse(self, waited: timedelta) -> bool:
        self._wait = max(1, math.ceil(self.duration - waited.total_seconds()))
        return False


class CommandThrottle(DatabaseThrottle):
    """Submissions of a user: commands and batches, of which each is one.

    They themselves are the count: nothing else has to be kept. Two that arrive at once may both be
    let in as the last.
    """

    def get_rate(self) -> str | None:
        return settings.THROTTLE_COMMANDS or None

    def allow_request(self, request: Request, view: Any) -> bool:
        if self.rate is None:
            return True
        since = Now() - timedelta(seconds=self.duration)
        ages = [
            rows.filter(submitted_by=request.user.pk, submitted_at__gt=since)
            .annotate(age=Now() - F("submitted_at"))
            .values_list("age", flat=True)
            for rows in (Command.objects.filter(batch=None).order_by(), Batch.objects.order_by())
        ]
        latest = ages[0].union(ages[1], all=True).order_by("age")
        for age in latest[self.num_requests - 1 : self.num_requests]:
            return self._refuse(age)
        return True


class LogInThrottle(DatabaseThrottle):
    """Attempts to log in with one name from one address, until one is right."""

    def get_rate(self) -> str | None:
        return settings.THROTTLE_LOGIN or None

    def allow_request(self, request: Request, view: Any) -> bool:
        if self.rate is None:
            return True
        digest = _digest(request)
        count = LogInCount.objects.filter(pk=digest)
        count.filter(since__lte=Now() - timedelta(seconds=self.duration)).delete()
        LogInCount.objects.bulk_create([LogInCount(digest=digest)], ignore_conflicts=True)
        if count.filter(attempts__lt=self.num_requests).update(attempts=F("attempts") + 1):
            return True
        since = count.values_list("since", flat=True).first() or timezone.now()
        return self._refuse(timezone.now() - since)


def forget_attempts(request: Request) -> None:
    """Who knows the password is not guessing it."""
    LogInCount.objects.filter(pk=_digest(request)).delete()


def _digest(request: Request) -> str:
    """Not the name itself: people type passwords into that field."""
    name = request.data.get("username") if isinstance(request.data, dict) else None
    return hashlib.sha256(f"{client_address(request)} {name!r}".encode()).hexdigest()


def client_address(request: HttpRequest | Request) -> str | None:
    """Of the client, as the last of the TRUSTED_PROXIES tells it; without any, of the socket."""
    own = _address(request.META.get("REMOTE_ADDR") or "")
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if not 0 < settings.TRUSTED_PROXIES <= len(hops):
        return own
    return _address(hops[-settings.TRUSTED_PROXIES]) or own


def _address(text: str) -> str | None:
    """Without the zone of such as fe80::1%eth0, which Postgres does not take for an address."""
    try:
        return str(ip_address(text.strip().partition("%")[0]))
    except ValueError:
        return None
