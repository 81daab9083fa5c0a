"""Deletion of expired rows, which a worker does once a minute."""

from collections.abc import Iterator
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import Q
from django.db.models.functions import Now

from commands.accounts import sessions
from commands.accounts.login_limit import window
from commands.api import idempotency
from commands.deliveries import delivery
from commands.models import (
    CampaignKey,
    IdempotencyKey,
    LogInCount,
    StreamTicket,
    TokenFamily,
    WebhookDelivery,
)

AT_ONCE = 10_000  # rows of one DELETE; the rest is left to the next minute


def delete_expired() -> None:
    delivery.refresh_rights()
    for rows in _expired():
        rows.model._default_manager.filter(pk__in=rows.values("pk")[:AT_ONCE]).delete()


def _expired() -> Iterator[Any]:
    yield IdempotencyKey.objects.filter(created_at__lte=Now() - idempotency.KEPT)
    yield CampaignKey.objects.filter(created_at__lte=Now() - idempotency.KEPT)
    yield StreamTicket.objects.filter(expires_at__lte=Now())
    yield TokenFamily.objects.filter(Q(expires_at__lte=Now()) | Q(user__is_active=False))
    yield Session.objects.filter(expire_date__lte=Now())
    yield sessions.left()
    yield WebhookDelivery.objects.old()
    yield LogInCount.objects.filter(since__lte=Now() - window())
