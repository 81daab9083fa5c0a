"""Deliveries: claimed one at a time for each webhook, sent, and written down."""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from smtplib import SMTPException
from time import time
from typing import Any
from uuid import UUID

import httpx
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from commands.backoff import jittered
from commands.database.threads import in_thread
from commands.deliveries import content, mail
from commands.deliveries.addresses import NotAllowed, checked_addresses, checked_form
from commands.metrics import counters
from commands.models import (
    Action,
    AuditEntry,
    DeliveryState,
    Webhook,
    WebhookDelivery,
    sees_all_commands,
)
from commands.models.webhook import LAST_EXCERPT
from vehicles.connectors.sovd.transport import PinnedTransport, public_context

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
SECONDS = 10.0  # for one attempt, with name resolution and all
CLAIM = timedelta(seconds=60)  # then another worker sends it
MAIL_CLAIM = timedelta(minutes=5)  # a mail server may take EMAIL_TIMEOUT for each line
MAX_ATTEMPTS = 20  # of one delivery: about twelve hours
FIRST_DELAY = 10.0  # seconds, then twice as long each time
LONGEST_DELAY = 3_600.0
IN_A_ROW = 100  # deliveries to one webhook, before it has to wait for its next turn
NOT_SENT = "Its owner may not see it, it is gone, or it was over too soon for an e-mail."
NO_RESULT = "No result was written down: its worker ended, or the server took too long."
NO_RIGHT = "Its owner has left, or has no longer the right to have webhooks."
NO_RIGHT_TO_MAIL = "Its owner has left, or has no longer an e-mail address."
WORKER = "manage.py runworker"  # the author of audit entries: no user's name has a blank


@dataclass(frozen=True)
class Attempt:
    """Result of one attempt, which is good without a problem."""

    problem: str = ""
    status_code: int | None = None
    answer: str = ""


async def serve(webhook_id: UUID) -> None:
    """Send what is due to a webhook, one after the other, up to the first failure."""
    transport = PinnedTransport(public_context(), checked_addresses)
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
        for _ in range(IN_A_ROW):
            claimed = await in_thread(claim, webhook_id)
            if claimed is None:
                break
            is_mail = claimed[0].webhook.is_mail
            attempt = await (by_mail(*claimed) if is_mail else post(client, *claimed))
            await in_thread(write_down, claimed[0], attempt)
            if attempt.problem:
                break


# --- Claiming


def claim(webhook_id: UUID) -> tuple[WebhookDelivery, bytes] | None:
    """Claim the next delivery of a webhook. Return it with its body, or None."""
    while delivery := _claim_next(webhook_id):
        if delivery.attempts > MAX_ATTEMPTS:
            write_down(delivery, Attempt(NO_RESULT))
        elif body := content.body_of(delivery):
            return delivery, body
        else:
            _mark(delivery, DeliveryState.DROPPED, Attempt(NOT_SENT))
    return None


@transaction.atomic
def _claim_next(webhook_id: UUID) -> WebhookDelivery | None:
    waiting = Webhook.objects.to_serve().filter(pk=webhook_id)
    due = WebhookDelivery.objects.due().filter(webhook__in=waiting).order_by("due_at")
    free = due.select_related("webhook").select_for_update(skip_locked=True, of=("self",))
    delivery = free.first()
    if delivery is None:
        return None
    mine = WebhookDelivery.objects.filter(pk=delivery.pk)
    lasts = MAIL_CLAIM if delivery.webhook.is_mail else CLAIM
    mine.update(attempts=F("attempts") + 1, due_at=Now() + lasts)
    claimed: WebhookDelivery = mine.select_related("webhook__owner").get()
    return claimed


# --- Sending


async def post(client: httpx.AsyncClient, delivery: WebhookDelivery, body: bytes) -> Attempt:
    headers = content.headers_of(delivery, body, int(time()))
    try:
        url = checked_form(delivery.webhook.url)  # the settings may be others now
        async with asyncio.timeout(SECONDS):
            async with client.stream("POST", url, content=body, headers=headers) as response:
                return _judged(response, await _excerpt(response))
    except TimeoutError:
        return Attempt(f"No answer within {SECONDS:g} s.")
    except NotAllowed as error:
        return Attempt(str(error))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Attempt(f"{type(error).__name__}: {' '.join(str(error).split())}")


async def by_mail(delivery: WebhookDelivery, body: bytes) -> Attempt:
    try:
        await asyncio.to_thread(mail.send, delivery, json.loads(body))
    except (OSError, SMTPException, ValueError, mail.NotConfigured) as error:
        return Attempt(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return Attempt()


async def _excerpt(response: httpx.Response) -> str:
    """Return the beginning of the answer. No more of it is read."""
    read = b""
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) >= LAST_EXCERPT:
            break
    return read[:LAST_EXCERPT].decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _judged(response: httpx.Response, answer: str) -> Attempt:
    code = response.status_code
    if response.is_success:
        return Attempt("", code, answer)
    what = "Redirects are not followed." if response.is_redirect else "Only 2xx is taken for good."
    return Attempt(f"It answered {code}. {what}", code, answer)


# --- Writing down


@transaction.atomic
def write_down(delivery: WebhookDelivery, attempt: Attempt) -> None:
    """Store the outcome, unless another worker has claimed the delivery meanwhile."""
    webhook = delivery.webhook
    if not attempt.problem:
        written = _mark(delivery, DeliveryState.DELIVERED, attempt)
        if written and webhook.failures:
            _change(webhook, failures=0, paused_until=Now())
    elif delivery.attempts >= MAX_ATTEMPTS:
        if _mark(delivery, DeliveryState.FAILED, attempt):
            _count_failure(webhook, attempt)
    elif _mark(delivery, DeliveryState.PENDING, attempt):
        _count_failure(webhook, attempt)


def _mark(delivery: WebhookDelivery, state: DeliveryState, attempt: Attempt) -> bool:
    mine = WebhookDelivery.objects.filter(
        pk=delivery.pk, state=DeliveryState.PENDING, attempts=delivery.attempts
    )
    is_over = state != DeliveryState.PENDING
    by = delivery.webhook.delivered_by
    if is_over:
        counters.webhook_deliveries.labels(by, state).inc()
    else:
        counters.webhook_failures.labels(by).inc()
    return bool(
        mine.update(
            state=state,
            ended_at=Now() if is_over else None,
            due_at=Now() + delay_after(delivery.attempts),
            problem=attempt.problem[:300],
            status_code=attempt.status_code,
            answer=attempt.answer,
        )
    )


def delay_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts have failed."""
    seconds = min(FIRST_DELAY * 2.0 ** (attempts - 1), LONGEST_DELAY)
    return timedelta(seconds=jittered(seconds))


def _count_failure(webhook: Webhook, attempt: Attempt) -> None:
    """Let the webhook rest for a time, and disable it after WEBHOOK_MAX_FAILURES in succession."""
    failures = webhook.failures + 1
    _change(webhook, failures=failures, paused_until=Now() + delay_after(failures))
    if failures >= settings.WEBHOOK_MAX_FAILURES:
        disable(webhook, f"{failures} attempts in succession failed. The last: {attempt.problem}")


def disable(webhook: Webhook, reason: str) -> None:
    """Send nothing more until its owner enables it again. Say why, where people look."""
    _change(webhook, is_active=False, disabled_reason=reason[:300])
    AuditEntry.objects.create(
        username=WORKER,
        action=Action.DISABLE_WEBHOOK,
        subject=str(webhook.pk),
        details={"owner": webhook.owner.get_username(), "reason": reason},
    )
    counters.webhooks_disabled.labels(webhook.delivered_by).inc()
    logger.warning("Webhook %s is disabled: %s", webhook.pk, reason)


def _change(webhook: Webhook, **changes: Any) -> None:
    Webhook.objects.filter(pk=webhook.pk).update(**changes)


# --- Rights


def refresh_rights() -> None:
    """Note what the owners of active webhooks may see now, and disable those of others."""
    for webhook in Webhook.objects.filter(is_active=True).select_related("owner"):
        if not content.may_receive(webhook):
            disable(webhook, NO_RIGHT_TO_MAIL if webhook.is_mail else NO_RIGHT)
        elif webhook.sees_all != (sees_all_commands(webhook.owner) and not webhook.is_mail):
            _change(webhook, sees_all=not webhook.sees_all)
