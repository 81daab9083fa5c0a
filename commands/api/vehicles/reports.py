"""The report of one scan of a vehicle, or of two side by side."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.vehicles.report_schema import ReportSerializer
from commands.api.views import ApiView
from commands.models import Command
from commands.reports import body, page, report
from commands.search import uuid_of
from vehicles.api import MayViewVehicles
from vehicles.models import Vehicle

HTML = "text/html"
SCAN_ID = {"type": "string", "format": "uuid"}
PARAMETERS = [
    OpenApiParameter("after", SCAN_ID, required=True, description="A completed `ScanVehicle`."),
    OpenApiParameter("before", SCAN_ID, description="An earlier one to compare it with."),
]


class PageRenderer(BaseRenderer):
    """Renderer of errors as a page; the report itself is rendered by its view."""

    media_type = HTML
    format = "html"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        request = renderer_context["request"] if renderer_context else None
        return render_to_string("console/refused_report.html", {"error": data}, request)


class ReportView(ApiView):
    permission_classes = [IsAuthenticated, MayViewVehicles]
    renderer_classes = [PageRenderer, JSONRenderer]

    @extend_schema(
        summary="The report of one or two scans",
        operation_id="v1_vehicles_report",
        parameters=PARAMETERS,
        responses={(200, "application/json"): ReportSerializer, (200, HTML): str},
    )
    def get(self, request: Request, vehicle_id: UUID) -> HttpResponse:
        """The ECUs of a vehicle as they were scanned, their trouble codes before and after, and
        the commands between: a page to print, or JSON by `Accept`."""
        vehicles = Vehicle.objects.prefetch_related("ecus")
        vehicle: Vehicle = get_object_or_404(vehicles, pk=vehicle_id)
        after = self._scan(vehicle, "after")
        before = self._scan(vehicle, "before")
        if after is None:
            raise ValidationError({"after": ["Name a completed ScanVehicle of this vehicle."]})
        if before:
            _check(before, after)
        made = report.make(vehicle, request.user, before, after)
        if request.accepted_renderer.media_type == HTML:
            context = page.context_of(made) | {
                "earlier": report.earlier_scans(request.user, after),
            }
            return render(request._request, "console/report.html", context)
        return Response(body.as_json(made))

    def _scan(self, vehicle: Vehicle, name: str) -> Command | None:
        """Return the scan that a query parameter names. Raise NotFound or ValidationError."""
        text = self.request.query_params.get(name)
        if not text:
            return None
        command_id = uuid_of(text)
        if command_id is None:
            raise ValidationError({name: ["Must be the ID of a command."]})
        try:
            return report.find_scan(vehicle, self.request.user, command_id)
        except report.NotFound as error:
            raise NotFound(f"{name}: {error}") from error
        except report.NotUsable as error:
            raise ValidationError({name: [str(error)]}) from error

    def handle_exception(self, exc: Exception) -> Any:
        """Return the error as a page to browsers, which are led to the log-in, else as JSON."""
        response = super().handle_exception(exc)
        if HTML not in self.request.headers.get("Accept", ""):
            self.request.accepted_renderer = JSONRenderer()
            self.request.accepted_media_type = JSONRenderer.media_type
        elif response.status_code == 401 and "Authorization" not in self.request.headers:
            return redirect_to_login(self.request.get_full_path())
        return response


def _check(before: Command, after: Command) -> None:
    try:
        report.check_order(before, after)
    except report.NotUsable as error:
        raise ValidationError({"before": [str(error)]}) from error
