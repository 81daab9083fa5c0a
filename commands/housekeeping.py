"""What is kept for a time only, and then forgotten. A worker looks once a minute."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from commands import idempotency
from commands.limits import LogInThrottle
from commands.models import IdempotencyKey, LogInCount, StreamTicket, UsedToken

AT_ONCE = 10_000  # rows of one DELETE; the next minute brings the next


def forget_expired() -> None:
    for rows in _expired():
        rows.model._default_manager.filter(pk__in=rows.values("pk")[:AT_ONCE]).delete()


def _expired() -> Iterator[Any]:
    yield IdempotencyKey.objects.filter(created_at__lte=Now() - idempotency.KEPT)
    yield StreamTicket.objects.filter(expires_at__lte=Now())
    yield UsedToken.objects.filter(expires_at__lte=Now())
    window = timedelta(seconds=LogInThrottle().duration or 0)
    yield LogInCount.objects.filter(since__lte=Now() - window)
