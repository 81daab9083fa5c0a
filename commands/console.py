"""The console's pages: empty shells, which their JavaScript modules fill from the API.

A page about one row is a 404 if the row does not exist, or if the user may not see it.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import TemplateView

from commands.batches import MAX_VEHICLES
from commands.campaigns.windows import DAYS
from commands.catalogue import COMMAND_TYPES
from commands.models import Batch, Campaign, CampaignState, Command, ErrorCode, Status
from commands.models.webhook import COLUMNS
from commands.reports import report
from commands.search import uuid_of
from vehicles.descriptions.models import Description
from vehicles.models import Vehicle

NO_SCAN = "There is no completed scan of this vehicle that you may see. Scan it first."


class Page(LoginRequiredMixin, TemplateView):
    """One page of the console."""


class PageAbout(Page):
    """Page about one row of `rows()`, which its address names."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        if not self.rows().filter(pk=kwargs["pk"]).exists():
            raise Http404
        return super().get_context_data(**kwargs)

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError


class DashboardPage(Page):
    template_name = "console/dashboard.html"
    extra_context = {"periods": {"1h": "1 hour", "24h": "24 hours", "7d": "7 days"}}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if command_id := uuid_of(request.GET.get("command", "")):
            return redirect("command", pk=command_id)  # links of earlier versions
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        asked = self.request.GET.get("period")
        chosen = asked if asked in self.extra_context["periods"] else "1h"
        return super().get_context_data(**kwargs, period=chosen)


class VehiclesPage(PermissionRequiredMixin, Page):
    template_name = "console/vehicles.html"
    permission_required = "vehicles.view_vehicle"


class VehiclePage(PermissionRequiredMixin, PageAbout):
    template_name = "console/vehicle.html"
    permission_required: str | list[str] = "vehicles.view_vehicle"

    def rows(self) -> QuerySet[Any]:
        vehicles: QuerySet[Any] = Vehicle.objects.all()
        return vehicles


class LastWeekPage(VehiclePage):
    """Redirection to the report of the last scan, beside the scan of about a week before."""

    template_name = "console/refused_report.html"
    extra_context = {"error": {"detail": NO_SCAN}}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        after = report.latest_scan(request.user, kwargs["pk"])
        if after is None:
            return super().get(request, *args, **kwargs)
        before = report.scan_of_last_week(request.user, after)
        scans = f"after={after.pk}" + (f"&before={before.pk}" if before else "")
        return redirect(f"{reverse('report', args=[kwargs['pk']])}?{scans}")


class NewVehiclePage(PermissionRequiredMixin, Page):
    template_name = "console/vehicle_form.html"
    permission_required = ["vehicles.view_vehicle", "vehicles.add_vehicle"]


class EditVehiclePage(VehiclePage):
    template_name = "console/vehicle_form.html"
    permission_required = ["vehicles.view_vehicle", "vehicles.change_vehicle"]


class DescriptionsPage(PermissionRequiredMixin, Page):
    template_name = "console/descriptions.html"
    permission_required = "vehicles.view_vehicle"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, max_megabytes=settings.DESCRIPTION_MAX_MB)


class DescriptionPage(PermissionRequiredMixin, PageAbout):
    template_name = "console/description.html"
    permission_required = "vehicles.view_vehicle"

    def rows(self) -> QuerySet[Any]:
        descriptions: QuerySet[Any] = Description.objects.all()
        return descriptions


class CommandsPage(Page):
    template_name = "console/commands.html"
    extra_context = {
        "command_names": list(COMMAND_TYPES),
        "statuses": Status.choices,
        "error_codes": ErrorCode.choices,
    }


class NewCommandPage(Page):
    template_name = "console/workbench.html"


class CommandPage(PageAbout):
    template_name = "console/workbench.html"

    def rows(self) -> QuerySet[Any]:
        commands: QuerySet[Any] = Command.objects.visible_to(self.request.user)
        return commands


class BatchesPage(Page):
    template_name = "console/batches.html"


class NewBatchPage(Page):
    template_name = "console/new_batch.html"
    extra_context = {"max_vehicles": MAX_VEHICLES}


class BatchPage(PageAbout):
    template_name = "console/batch.html"
    extra_context = {"statuses": Status.choices}

    def rows(self) -> QuerySet[Any]:
        batches: QuerySet[Any] = Batch.objects.visible_to(self.request.user)
        return batches


class WebhooksPage(PermissionRequiredMixin, Page):
    template_name = "console/webhooks.html"
    permission_required = "commands.add_webhook"
    extra_context = {"events": {str(event): event.label for event in COLUMNS}}


class CampaignsPage(Page):
    template_name = "console/campaigns.html"
    extra_context = {"states": CampaignState.choices}


class NewCampaignPage(Page):
    template_name = "console/new_campaign.html"
    extra_context = {"days": [(day, day.title()) for day in DAYS]}


class CampaignPage(PageAbout):
    template_name = "console/campaign.html"
    extra_context = {"statuses": Status.choices}

    def rows(self) -> QuerySet[Any]:
        campaigns: QuerySet[Any] = Campaign.objects.visible_to(self.request.user)
        return campaigns
