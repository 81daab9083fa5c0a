"""What is sent: a JSON body, and the headers that sign it as Standard Webhooks says."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count, F, Max

from commands.deliveries import mail
from commands.models import (
    Batch,
    Campaign,
    Command,
    Status,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)

ENDS = [status for status in Status if status not in (Status.PENDING, Status.IN_PROGRESS)]


def body_of(delivery: WebhookDelivery) -> bytes | None:
    """Return the body, the same at each attempt. None if the owner may not see the subject now."""
    webhook = delivery.webhook
    if not may_receive(webhook):
        return None
    data = DATA[WebhookEvent(delivery.event)](webhook.owner, delivery.subject)
    if data is None or (webhook.is_mail and not mail.was_long(data)):
        return None
    head = {"id": delivery.pk, "type": delivery.event, "timestamp": delivery.created_at}
    return json.dumps(head | {"data": data}, cls=DjangoJSONEncoder).encode()


def may_receive(webhook: Webhook) -> bool:
    owner = webhook.owner
    has_right = owner.email if webhook.is_mail else owner.has_perm("commands.add_webhook")
    return owner.is_active and bool(has_right)


def headers_of(delivery: WebhookDelivery, body: bytes, timestamp: int) -> dict[str, str]:
    secrets = delivery.webhook.secrets_at(timestamp)
    signatures = [signature(secret, delivery.pk, timestamp, body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "sovd-command-console",
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def signature(secret: str, delivery_id: UUID, timestamp: int, body: bytes) -> str:
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.digest(_key(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    """Return the bytes that the text of a secret stands for: what follows the prefix, in Base64."""
    return base64.b64decode(secret.partition("_")[2])


# --- What happened

Data = dict[str, Any] | None


def _command(owner: User, pk: Any) -> Data:
    found: Any = (
        Command.objects.visible_to(owner)
        .filter(pk=pk)
        .values(
            "command_id",
            "vehicle_id",
            "command_name",
            "command_params",
            "status",
            "error_code",
            "error_message",
            "batch_id",
            "campaign_id",
            "submitted_at",
            "completed_at",
            vin=F("vehicle__vin"),
            user=F("submitted_by__username"),
        )
        .first()
    )
    return _named(found)


def _batch(owner: User, pk: Any) -> Data:
    commands = Command.objects.filter(batch=pk).order_by()
    found: Any = (
        Batch.objects.visible_to(owner)
        .filter(pk=pk)
        .values(
            "batch_id",
            "name",
            "command_name",
            "vehicle_count",
            "stop_reason",
            "submitted_at",
            user=F("submitted_by__username"),
        )
        .first()
    )
    if found is None:
        return None
    counts = dict(commands.values_list("status").annotate(number=Count("*")))
    found |= {"counts": {status: counts.get(status, 0) for status in ENDS}}
    return _named(found | commands.aggregate(ended_at=Max("completed_at")))


def _campaign(owner: User, pk: Any) -> Data:
    campaign = Campaign.objects.visible_to(owner).filter(pk=pk)
    found: Any = campaign.values(
        "campaign_id",
        "command_name",
        "vehicle_count",
        "state",
        "stop_reason",
        "created_at",
        "started_at",
        "ended_at",
        user=F("submitted_by__username"),
    ).first()
    if found is None:
        return None
    waves = list(campaign.get().wave_rows.all())
    return _named(found | {"counts": {s: sum(getattr(each, s) for each in waves) for s in ENDS}})


def _named(found: Data) -> Data:
    """Give the user the name that the API has for it, which is taken in the table."""
    return found and {("submitted_by" if key == "user" else key): found[key] for key in found}


DATA: dict[WebhookEvent, Callable[[User, Any], Data]] = {
    WebhookEvent.COMMAND_ENDED: _command,
    WebhookEvent.BATCH_ENDED: _batch,
    WebhookEvent.CAMPAIGN_ENDED: _campaign,
    WebhookEvent.TEST: lambda *_: {},
}
