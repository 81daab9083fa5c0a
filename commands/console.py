"""The console's pages: shells, which their modules fill from the API.

What a page is about must be there for whoever asks; what one may not see is a 404.
"""

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.generic import TemplateView

from commands.batches import MOST_VEHICLES
from commands.catalogue import COMMAND_TYPES
from commands.models import Batch, Command, Status
from commands.search import uuid_of
from vehicles.models import Vehicle


class Page(LoginRequiredMixin, TemplateView):
    """One page of the console."""


class PageAbout(Page):
    """Its address names one row of `rows()`."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        if not self.rows().filter(pk=kwargs["pk"]).exists():
            raise Http404
        return super().get_context_data(**kwargs)

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError


class DashboardPage(Page):
    template_name = "console/dashboard.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if command_id := uuid_of(request.GET.get("command", "")):
            return redirect("command", pk=command_id)  # as links to commands were once
        return super().get(request, *args, **kwargs)


class VehiclesPage(Page):
    template_name = "console/vehicles.html"


class VehiclePage(PageAbout):
    template_name = "console/vehicle.html"

    def rows(self) -> QuerySet[Any]:
        vehicles: QuerySet[Any] = Vehicle.objects.all()
        return vehicles


class CommandsPage(Page):
    template_name = "console/commands.html"
    extra_context = {"command_names": list(COMMAND_TYPES), "statuses": Status.choices}


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
    extra_context = {"most_vehicles": MOST_VEHICLES}


class BatchPage(PageAbout):
    template_name = "console/batch.html"
    extra_context = {"statuses": Status.choices}

    def rows(self) -> QuerySet[Any]:
        batches: QuerySet[Any] = Batch.objects.visible_to(self.request.user)
        return batches
