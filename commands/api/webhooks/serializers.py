"""Webhooks as the API reads and writes them."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Now
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError

from commands.deliveries.addresses import NotAllowed, check_url
from commands.models import DeliveryState, Webhook, WebhookDelivery, WebhookEvent, sees_all_commands
from commands.models.webhook import COLUMNS, SECRET_OVERLAP, new_secret
from vehicles.serializers import StrictBooleanField, StrictCharField, StrictSerializer

MAX_WEBHOOKS = 20  # of one user


class WebhookSerializer(StrictSerializer, serializers.ModelSerializer[Webhook]):
    url = StrictCharField(
        max_length=2_000,
        help_text="Of the public internet, by https, unless a setting allows more.",
    )
    events = serializers.ListField(
        child=serializers.ChoiceField([str(event) for event in COLUMNS]),
        allow_empty=False,
        max_length=len(COLUMNS),
    )
    is_active = StrictBooleanField(
        default=True,
        help_text="False: nothing is sent. True, written again, lets a disabled one go on.",
    )
    owner = serializers.CharField(source="owner.username", read_only=True)
    disabled_reason = serializers.CharField(
        read_only=True, help_text="Why it was disabled after too many failures."
    )
    failures = serializers.IntegerField(
        read_only=True, help_text="Attempts in succession that have failed."
    )

    class Meta:
        model = Webhook
        fields = [
            "webhook_id",
            "url",
            "events",
            "is_active",
            "owner",
            "created_at",
            "disabled_reason",
            "failures",
            "old_secret_until",
        ]
        read_only_fields = ["webhook_id", "created_at", "old_secret_until"]
        extra_kwargs = {
            "old_secret_until": {"help_text": "Until then the replaced secret signs as well."}
        }

    def validate_url(self, value: str) -> str:
        try:
            check_url(value)
        except NotAllowed as error:
            raise ValidationError(str(error)) from error
        return value

    def validate_events(self, events: list[str]) -> list[str]:
        if len(set(events)) < len(events):
            raise ValidationError("Each event may be named once.")
        return events

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        user = self.context["request"].user
        if self.instance and self.instance.owner != user and set(attrs) - {"is_active"}:
            raise PermissionDenied("The address and the events of a webhook are its owner's.")
        return attrs

    def update(self, webhook: Webhook, validated_data: dict[str, Any]) -> Webhook:
        if validated_data.get("is_active"):
            again = {"failures": 0, "disabled_reason": "", "paused_until": Now()}
            again |= {} if webhook.is_active else {"enabled_at": Now()}
            validated_data |= again
        changes = columns_of(validated_data)
        Webhook.objects.filter(pk=webhook.pk).update(**changes)
        webhook.refresh_from_db()
        return webhook


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(
        read_only=True, help_text="Shown this once: signs what is sent. Keep it."
    )

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        user = self.context["request"].user
        if Webhook.objects.filter(owner=user, is_mail=False).count() >= MAX_WEBHOOKS:
            message = f"You have {MAX_WEBHOOKS} webhooks, which is the limit. Delete one of them."
            raise ValidationError({"url": message})
        return super().validate(attrs)

    def create(self, validated_data: dict[str, Any]) -> Webhook:
        user = self.context["request"].user
        webhook = Webhook(
            owner=user, sees_all=sees_all_commands(user), **columns_of(validated_data)
        )
        webhook.save(force_insert=True)
        return webhook


def replace_secret(webhook: Webhook) -> None:
    """Give the webhook a new secret. The present one signs for SECRET_OVERLAP beside it."""
    Webhook.objects.filter(pk=webhook.pk).update(
        secret=new_secret(), old_secret=F("secret"), old_secret_until=Now() + SECRET_OVERLAP
    )
    webhook.refresh_from_db()


def columns_of(validated_data: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the columns: one for each event stands for the list."""
    values = dict(validated_data)
    events = values.pop("events", None)
    if events is None:
        return values
    return values | {column: event in events for event, column in COLUMNS.items()}


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    event = serializers.ChoiceField(WebhookEvent.choices, read_only=True)
    state = serializers.ChoiceField(DeliveryState.choices, read_only=True)

    class Meta:
        model = WebhookDelivery
        fields = [
            "delivery_id",
            "event",
            "subject",
            "created_at",
            "state",
            "attempts",
            "due_at",
            "ended_at",
            "status_code",
            "problem",
            "answer",
        ]
        read_only_fields = fields
        extra_kwargs = {
            "delivery_id": {"help_text": "The `id` of the body, the same at each attempt."},
            "subject": {"help_text": "The ID of the command, batch or campaign."},
            "due_at": {"help_text": "The next attempt, while the delivery is pending."},
            "answer": {"help_text": "The beginning of the last answer's body."},
        }
