"""Campaigns in the admin, which shows them and changes none."""

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from commands.admin.lists import CommandNameFilter, CreatedFilter
from commands.admin.tables import LargeTableAdmin, as_json
from commands.models import Campaign
from commands.search import belonging_to, uuid_of


@admin.register(Campaign)
class CampaignAdmin(LargeTableAdmin):
    list_display = [
        "created_at",
        "command_name",
        "vehicle_count",
        "state",
        "stop_reason",
        "submitted_by",
        "approved_by",
    ]
    list_filter = [CreatedFilter, CommandNameFilter]
    list_select_related = ["submitted_by", "approved_by"]
    search_fields = ["campaign_id"]
    search_help_text = "A campaign's ID, or a user's whole name"
    readonly_fields = [
        "campaign_id",
        "state",
        "stop_reason",
        "command_name",
        "params",
        "vehicle_filter",
        "vehicle_count",
        "wave",
        "waves",
        "progress",
        "go_on_below_failed_percent",
        "windows",
        "retries",
        "expires_at",
        "needs_approval",
        "submitted_by",
        "approved_by",
        "created_at",
        "started_at",
        "ended_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        campaigns: QuerySet[Campaign] = Campaign.objects.visible_to(request.user)
        return campaigns.order_by(*self.get_ordering(request))

    def search_filter(self, text: str) -> Q:
        of_user = belonging_to("submitted_by", User.objects.filter(username=text))
        return Q(pk=uuid_of(text)) | of_user

    def view_on_site(self, obj: Campaign) -> str:
        return reverse("campaign", args=[obj.pk])

    @admin.display(description="parameters")
    def params(self, campaign: Campaign) -> str:
        return as_json(campaign.command_params)

    @admin.display(description="progress")
    def progress(self, campaign: Campaign) -> str:
        names = ("number", "vehicle_count", "sent", "open", "completed", "failed_percent")
        waves = campaign.wave_rows.all()
        return as_json([{name: getattr(wave, name) for name in names} for wave in waves])
