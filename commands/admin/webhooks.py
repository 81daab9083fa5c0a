"""Webhooks and the log of their deliveries in the admin, which changes none."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from commands.admin.lists import CreatedFilter
from commands.admin.tables import LargeTableAdmin
from commands.models import Webhook, WebhookDelivery
from commands.search import uuid_of


class OfWebhooks(LargeTableAdmin):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("commands.view_webhook")


@admin.register(Webhook)
class WebhookAdmin(OfWebhooks):
    list_display = ["created_at", "owner", "url", "events", "is_active", "failures"]
    list_select_related = ["owner"]
    search_fields = ["owner"]
    search_help_text = "A webhook's ID, or its owner's whole name"
    readonly_fields = [
        "webhook_id",
        "owner",
        "url",
        "events",
        "is_active",
        "disabled_reason",
        "failures",
        "paused_until",
        "created_at",
    ]

    def search_filter(self, text: str) -> Q:
        return Q(pk=uuid_of(text)) | Q(owner__username=text)

    @admin.display(description="events")
    def events(self, webhook: Webhook) -> str:
        return ", ".join(webhook.events)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(OfWebhooks):
    list_display = ["created_at", "webhook", "event", "state", "attempts", "status_code", "problem"]
    list_filter = [CreatedFilter]
    list_select_related = ["webhook"]
    search_fields = ["webhook"]
    search_help_text = "A webhook's or a delivery's ID"
    readonly_fields = [
        "delivery_id",
        "webhook",
        "event",
        "subject",
        "state",
        "attempts",
        "created_at",
        "due_at",
        "ended_at",
        "status_code",
        "problem",
        "answer",
    ]

    def search_filter(self, text: str) -> Q:
        return Q(webhook=uuid_of(text)) | Q(pk=uuid_of(text))
