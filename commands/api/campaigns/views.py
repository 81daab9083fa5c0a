"""The REST API of campaigns: one command for many vehicles, in waves."""

from collections.abc import Callable
from typing import Any, cast

import django_filters
from django.contrib.auth.models import User
from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands import audit
from commands.api.campaigns.serializers import (
    CampaignPreviewSerializer,
    CampaignSerializer,
    OneCampaignSerializer,
)
from commands.api.pagination import Pages
from commands.api.parsers import LargeJSONParser
from commands.api.schema.marks import errors, submission
from commands.api.submission import IdempotentCreateMixin, MaySubmit
from commands.campaigns import steps
from commands.models import Action, Campaign, CampaignKey, CampaignState

STEP: dict[str, Any] = {
    "request": None,
    "responses": {200: CampaignSerializer},
    "extensions": errors(409),
}


class NotNow(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "not_now"


class MayApprove(BasePermission):
    message = "You may not approve campaigns: ask for the permission commands.approve_campaign."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("commands.approve_campaign")


class CampaignFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=CampaignState.choices)
    command_name = django_filters.CharFilter(max_length=64)
    submitted_by = django_filters.CharFilter(field_name="submitted_by__username", max_length=150)


class CampaignPages(Pages):
    max_page_size = 100


@extend_schema_view(
    list=extend_schema(summary="List campaigns"),
    retrieve=extend_schema(summary="Look at a campaign"),
    create=extend_schema(summary="Write a campaign", extensions=submission()),
)
class CampaignViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    IdempotentCreateMixin,
):
    """Campaigns: yours, or all of them with the permission to view commands or to approve."""

    queryset = Campaign.objects.none()
    serializer_class = CampaignSerializer
    key_model = CampaignKey
    filterset_class = CampaignFilter
    pagination_class = CampaignPages
    parser_classes = [LargeJSONParser]
    lookup_field = "campaign_id"
    orderings = [("-created_at", "-campaign_id"), ("created_at", "campaign_id")]

    def get_queryset(self) -> Any:
        visible = Campaign.objects.visible_to(self.request.user)
        people = visible.select_related("submitted_by", "approved_by")
        return people.prefetch_related("wave_rows")

    def get_permissions(self) -> list[Any]:
        if self.action == "approve":
            return [IsAuthenticated(), MayApprove()]
        reads = self.action in ("list", "retrieve", "preview")
        return [IsAuthenticated()] if reads else [IsAuthenticated(), MaySubmit()]

    def get_serializer_class(self) -> type[Any]:
        is_one = self.action == "retrieve"
        return OneCampaignSerializer if is_one else super().get_serializer_class()

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Store a draft. Nothing is sent before it is submitted. With an Idempotency-Key a repeat
        within 24 hours gets the first response again."""
        return self.submit_once(request)

    @transaction.atomic(savepoint=False)
    def write(self, request: Request) -> tuple[Campaign, Any]:
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        campaign = serializer.save()
        about = {"command_name": campaign.command_name, "vehicles": campaign.vehicle_count}
        audit.record(request, Action.WRITE_CAMPAIGN, campaign.pk, **about)
        return campaign, serializer.data

    @extend_schema(
        summary="Count the vehicles of a campaign",
        operation_id="v1_campaigns_preview",
        responses={200: CampaignPreviewSerializer},
    )
    @action(detail=False, methods=["post"], serializer_class=CampaignPreviewSerializer)
    def preview(self, request: Request) -> Response:
        """The number of vehicles it would have now and of those that are away, whether it needs
        approval, and when the first window opens. Nothing is stored."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.to_representation(serializer.validated_data))

    @extend_schema(summary="Submit a campaign", **STEP)
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, campaign_id: str) -> Response:
        """Start your draft, or ask for approval if it needs that."""
        if self.get_object().submitted_by_id != request.user.pk:
            raise PermissionDenied("Only the person who wrote a campaign may submit it.")
        return self._step(Action.SUBMIT, steps.submit)

    @extend_schema(summary="Approve a campaign", **STEP)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, campaign_id: str) -> Response:
        """Start a campaign that another person has written."""
        user = cast(User, request.user)
        return self._step(Action.APPROVE, lambda found: steps.approve(found, user))

    @extend_schema(summary="Pause a campaign", **STEP)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, campaign_id: str) -> Response:
        """Send nothing more until it is resumed. What runs goes on."""
        return self._step(Action.PAUSE, steps.pause)

    @extend_schema(summary="Resume a campaign", **STEP)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, campaign_id: str) -> Response:
        """Go on with a campaign that was paused."""
        return self._step(Action.RESUME, steps.resume)

    @extend_schema(summary="Cancel a campaign", **STEP)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, campaign_id: str) -> Response:
        """End it. A worker cancels what is pending, and asks what runs to stop."""
        return self._step(Action.CANCEL, steps.cancel)

    def _step(self, action: Action, step: Callable[[Campaign], None]) -> Response:
        campaign = self.get_object()
        try:
            with transaction.atomic():
                step(campaign)
                audit.record(self.request, action, campaign.pk, kind="campaign")
        except steps.NotNow as error:
            raise NotNow(f"The {error}.") from error
        except steps.OwnCampaign as error:
            raise PermissionDenied(
                "You have written this campaign: another person has to approve it."
            ) from error
        return Response(self.get_serializer(self.get_object()).data)
