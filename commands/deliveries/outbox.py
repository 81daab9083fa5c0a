"""The outbox: a delivery for each active webhook that asks for an event and may see its subject.

Moves of workers in Postgres write the same by their own statement: see `lifecycle.steps`.
"""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, Max, Min, OuterRef

from commands.models import (
    OPEN,
    TERMINAL,
    Batch,
    Campaign,
    Command,
    Event,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)

AT_ONCE = 500  # batches of one transaction


def note_ended_commands(log: Iterable[Event]) -> None:
    """Note the ends among these new events."""
    ended = [event.command for event in log if event.payload.get("status") in TERMINAL]
    if ended:
        scans = [command for command in ended if command.is_scan_by_itself]
        asking = list(Webhook.objects.asking_for_scans())
        of_all = [webhook for webhook in asking if webhook.of_commands]
        of_scans = [webhook for webhook in asking if not webhook.of_commands]
        _write(WebhookEvent.COMMAND_ENDED, _with_users(ended), of_all)
        _write(WebhookEvent.COMMAND_ENDED, _with_users(scans), of_scans)


def _with_users(commands: Iterable[Command]) -> list[tuple[UUID, int]]:
    return [(command.pk, command.submitted_by_id) for command in commands]


def note_ended_campaign(campaign: Campaign) -> None:
    _note(WebhookEvent.CAMPAIGN_ENDED, [(campaign.pk, campaign.submitted_by_id)])


def note_ended_batches() -> None:
    """Note the ends of batches, which have no transaction of their own: the last command's may be
    one of several at once. Do nothing while no webhook asks for them.
    """
    since = Webhook.objects.asking_for(WebhookEvent.BATCH_ENDED).aggregate(at=Min("enabled_at"))
    while since["at"] and _settle_some(since["at"]) == AT_ONCE:
        pass


@transaction.atomic
def _settle_some(since: Any) -> int:
    still_open = Command.objects.filter(batch=OuterRef("pk"), status__in=OPEN).order_by()
    over = Batch.objects.filter(~Exists(still_open), is_settled=False).order_by("-submitted_at")
    keys = list(
        over.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)[:AT_ONCE]
    )
    if keys:
        Batch.objects.filter(pk__in=keys).update(is_settled=True)
        rows = Batch.objects.filter(pk__in=keys).annotate(end=Max("commands__completed_at"))
        lately = rows.filter(end__gte=since).order_by("end")
        _note(WebhookEvent.BATCH_ENDED, list(lately.values_list("pk", "submitted_by_id")))
    return len(keys)


def _note(event: WebhookEvent, subjects: Collection[tuple[UUID, int]]) -> None:
    """Write the deliveries for subjects, each with the ID of the user who submitted it."""
    _write(event, subjects, list(Webhook.objects.asking_for(event)))


def _write(
    event: WebhookEvent, subjects: Collection[tuple[UUID, int]], webhooks: Iterable[Webhook]
) -> None:
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(webhook=webhook, event=event, subject=subject)
        for webhook in webhooks
        for subject, user_id in subjects
        if webhook.sees_all or webhook.owner_id == user_id
    )
