"""The REST API of webhooks, and the log of their deliveries."""

from typing import Any

import django_filters
from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from commands import audit
from commands.api.schema.marks import errors
from commands.api.submission_limit import CommandThrottle
from commands.api.views import ApiView
from commands.api.webhooks.serializers import (
    DeliverySerializer,
    NewWebhookSerializer,
    WebhookSerializer,
    replace_secret,
)
from commands.models import Action, DeliveryState, Webhook, WebhookDelivery, WebhookEvent


class MayHaveWebhooks(BasePermission):
    message = "You may not have webhooks. Ask for the permission commands.add_webhook."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("commands.add_webhook")


class DeliveryFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=DeliveryState.choices)
    event = django_filters.ChoiceFilter(choices=WebhookEvent.choices)


@extend_schema_view(
    list=extend_schema(summary="List webhooks"),
    retrieve=extend_schema(summary="Look at a webhook"),
    create=extend_schema(
        summary="Register a webhook",
        request=WebhookSerializer,
        responses={201: NewWebhookSerializer},
    ),
    partial_update=extend_schema(summary="Change a webhook, or enable it again"),
    destroy=extend_schema(summary="Delete a webhook"),
)
class WebhookViewSet(
    ApiView,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[Webhook],
):
    """Your webhooks, or all of them with the permission to change webhooks. Workers send to them
    the ends of the commands, batches and campaigns that their owner may see."""

    queryset = Webhook.objects.none()
    serializer_class = WebhookSerializer
    permission_classes = [IsAuthenticated, MayHaveWebhooks]
    filterset_class: Any = None
    lookup_field = "webhook_id"
    orderings = [("-created_at", "-webhook_id")]

    def get_queryset(self) -> Any:
        return Webhook.objects.manageable_by(self.request.user).select_related("owner")

    def get_throttles(self) -> list[Any]:
        writes = self.action in ("create", "partial_update", "test")  # these look names up, or send
        return [CommandThrottle()] if writes else []

    def get_serializer_class(self) -> type[Any]:
        has_secret = self.action in ("create", "secret")
        return NewWebhookSerializer if has_secret else super().get_serializer_class()

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        webhook = serializer.save()
        about = {"url": webhook.url, "events": webhook.events}
        audit.record(self.request, Action.ADD_WEBHOOK, webhook.pk, **about)

    @transaction.atomic
    def partial_update(self, request: Request, webhook_id: str) -> Response:
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        webhook: Any = serializer.save()
        about = {name: getattr(webhook, name) for name in ("url", "events", "is_active")}
        audit.record(request, Action.CHANGE_WEBHOOK, webhook.pk, **about)
        return Response(serializer.data)

    @transaction.atomic
    def perform_destroy(self, webhook: Webhook) -> None:
        """Delete it with its log. What was not sent yet is not sent."""
        audit.record(self.request, Action.DELETE_WEBHOOK, webhook.pk, url=webhook.url)
        webhook.delete()

    @extend_schema(
        summary="Replace the secret of a webhook",
        request=None,
        responses={200: NewWebhookSerializer},
    )
    @action(detail=True, methods=["post"])
    @transaction.atomic
    def secret(self, request: Request, webhook_id: str) -> Response:
        """Make a new secret, and show it this once. For 24 hours all that is sent is signed with
        the former secret, too: `webhook-signature` then has two signatures."""
        webhook = self.get_object()
        if webhook.owner_id != request.user.pk:
            raise PermissionDenied("The secret of a webhook is its owner's.")
        replace_secret(webhook)
        audit.record(request, Action.ROTATE_SECRET, webhook.pk, url=webhook.url)
        return Response(self.get_serializer(webhook).data)

    @extend_schema(
        summary="Send a test to a webhook",
        request=None,
        responses={202: DeliverySerializer},
        extensions=errors(429),
    )
    @action(detail=True, methods=["post"])
    def test(self, request: Request, webhook_id: str) -> Response:
        """Let a worker send the event `webhook.test`, whose `data` is empty. The log says what
        came of it."""
        sent = WebhookDelivery(webhook=self.get_object(), event=WebhookEvent.TEST)
        sent.save(force_insert=True)
        return Response(DeliverySerializer(sent).data, status.HTTP_202_ACCEPTED)

    @extend_schema(
        summary="List the deliveries of a webhook",
        responses={200: DeliverySerializer(many=True)},
    )
    @action(
        detail=True,
        serializer_class=DeliverySerializer,
        filterset_class=DeliveryFilter,
        orderings=[("-created_at", "-delivery_id")],
    )
    def deliveries(self, request: Request, webhook_id: str) -> Response:
        """List what was sent lately, what waits, and what came of each attempt."""
        webhook = get_object_or_404(self.get_queryset(), pk=webhook_id)
        log: Any = webhook.deliveries.all()
        page = self.get_serializer(self.paginate_queryset(self.filter_queryset(log)), many=True)
        return self.get_paginated_response(page.data)
