from __future__ import annotations

import uuid
from base64 import b64encode
from datetime import timedelta
from secrets import token_bytes
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

SECRET_PREFIX = "whsec_"  # noqa: S105 - as in the Standard Webhooks specification
SECRET_OVERLAP = timedelta(hours=24)  # a replaced secret signs for so long beside the new one
LAST_EXCERPT = 500  # characters of an answer that are kept


class WebhookEvent(models.TextChoices):
    """Event that a webhook may ask for, or the test that its owner sends."""

    COMMAND_ENDED = "command.ended"
    BATCH_ENDED = "batch.ended"
    CAMPAIGN_ENDED = "campaign.ended"
    TEST = "webhook.test"


# The column of a webhook that says whether it asks for the event.
COLUMNS = {
    WebhookEvent.COMMAND_ENDED: "of_commands",
    WebhookEvent.BATCH_ENDED: "of_batches",
    WebhookEvent.CAMPAIGN_ENDED: "of_campaigns",
}


class DeliveredBy(models.TextChoices):
    WEBHOOK = "webhook"
    MAIL = "mail"


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # after the last attempt
    DROPPED = "dropped"  # its owner may not see the subject, or it was deleted


def new_secret() -> str:
    return SECRET_PREFIX + b64encode(token_bytes(32)).decode()


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def manageable_by(self, user: User | AnonymousUser) -> WebhookQuerySet:
        """Return the user's own webhooks, or all with the permission to change them."""
        webhooks = self.filter(is_mail=False)
        may_change = user.has_perm("commands.change_webhook")
        return webhooks if may_change else webhooks.filter(owner_id=user.pk)

    def asking_for(self, event: WebhookEvent) -> WebhookQuerySet:
        return self.filter(**{COLUMNS[event]: True}, is_active=True)

    def asking_for_scans(self) -> WebhookQuerySet:
        """Return those that ask for scans, alone or among all commands."""
        return self.filter(Q(of_commands=True) | Q(of_scans=True), is_active=True)

    def to_serve(self) -> WebhookQuerySet:
        """Return those that have a delivery which is due."""
        due = WebhookDelivery.objects.due().filter(webhook=OuterRef("pk"))
        return self.filter(Exists(due), is_active=True, paused_until__lte=Now())


class Webhook(models.Model):
    """Address to which the ends of commands, batches and campaigns are sent."""

    webhook_id = models.UUIDField("webhook ID", primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks"
    )
    url = models.CharField("URL", max_length=2_000)
    secret = models.CharField(max_length=100, default=new_secret)
    old_secret = models.CharField(max_length=100, blank=True, db_default="")
    old_secret_until = models.DateTimeField(null=True)
    of_commands = models.BooleanField(default=False)
    of_batches = models.BooleanField(default=False)
    of_campaigns = models.BooleanField(default=False)
    of_scans = models.BooleanField(default=False, db_default=False)  # by themselves, in no batch
    # Sent by e-mail to its owner, about what its owner has started and what took long.
    is_mail = models.BooleanField(default=False, db_default=False)
    is_active = models.BooleanField("active", default=True)
    disabled_reason = models.CharField(max_length=300, blank=True, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    enabled_at = models.DateTimeField(db_default=Now())  # what ended before is not sent
    # Whether its owner may see what others submit. Kept up to date by workers, for the statements
    # that write deliveries; what is sent is checked again.
    sees_all = models.BooleanField(default=False)
    failures = models.PositiveIntegerField(default=0, db_default=0)  # in succession
    paused_until = models.DateTimeField(db_default=Now())

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-webhook_id"]
        constraints = [
            models.UniqueConstraint(
                name="one_mail_per_user", fields=["owner"], condition=Q(is_mail=True)
            )
        ]

    def __str__(self) -> str:
        return f"webhook {self.webhook_id}"

    def secrets_at(self, timestamp: float) -> list[str]:
        """Return the secrets that sign at this time, in seconds since 1970."""
        until = self.old_secret_until
        is_old_valid = until is not None and timestamp < until.timestamp()
        return [self.secret, self.old_secret] if is_old_valid else [self.secret]

    @property
    def delivered_by(self) -> DeliveredBy:
        return DeliveredBy.MAIL if self.is_mail else DeliveredBy.WEBHOOK

    @property
    def events(self) -> list[str]:
        return [str(event) for event, column in COLUMNS.items() if getattr(self, column)]


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def due(self) -> WebhookDeliveryQuerySet:
        return self.filter(state=DeliveryState.PENDING, due_at__lte=Now())

    def old(self) -> WebhookDeliveryQuerySet:
        return self.filter(created_at__lt=Now() - timedelta(days=settings.WEBHOOK_LOG_DAYS))


class WebhookDelivery(models.Model):
    """Event for one webhook: to be sent, and then its entry in the log.

    Without a constraint on the webhook: the statement that ends a command must not fail because
    its webhook was just deleted.
    """

    delivery_id = models.UUIDField("delivery ID", primary_key=True, default=uuid.uuid4)
    webhook = models.ForeignKey(
        Webhook,
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_index=False,
        db_constraint=False,
    )
    event = models.CharField(max_length=16, choices=WebhookEvent)
    subject = models.UUIDField(null=True)  # the ID of the command, batch or campaign
    created_at = models.DateTimeField(db_default=Now())
    state = models.CharField(
        max_length=9,
        choices=DeliveryState,
        default=DeliveryState.PENDING,
        db_default=DeliveryState.PENDING,
    )
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(db_default=Now())  # the next attempt; a claim puts it off
    ended_at = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)  # of the last answer
    problem = models.CharField(max_length=300, blank=True, db_default="")
    answer = models.CharField(max_length=LAST_EXCERPT, blank=True, db_default="")

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering = ["-created_at", "-delivery_id"]
        indexes = [
            # Read by the workers.
            models.Index(
                name="webhook_delivery_due",
                fields=["webhook", "due_at"],
                condition=Q(state=DeliveryState.PENDING),
            ),
            # Read by the log of a webhook.
            models.Index(name="webhook_delivery_latest", fields=["webhook", "-created_at"]),
            # Read by the pruning and the admin.
            models.Index(name="webhook_delivery_age", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.delivery_id}"
