from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter

from commands.api import CommandTypesView, CommandViewSet, StreamTicketsView
from commands.batches_api import BatchViewSet
from commands.console import (
    BatchesPage,
    BatchPage,
    CommandPage,
    CommandsPage,
    DashboardPage,
    NewBatchPage,
    NewCommandPage,
    VehiclePage,
    VehiclesPage,
)
from commands.dashboard import DashboardView
from commands.log_in import LogInPage, to_log_in
from commands.tokens import LogInView, LogOutView, RefreshView
from commands.vehicles_api import VehiclesWithCommands
from sovd.errors import no_such_address


class DocsView(SpectacularSwaggerSplitView):
    """For everybody: a wrong token, of which the template would ask, does no harm."""

    authentication_classes = []
    permission_classes = [AllowAny]


router = SimpleRouter()
router.register("vehicles", VehiclesWithCommands)
router.register("commands", CommandViewSet, basename="command")
router.register("batches", BatchViewSet, basename="batch")

api: list[URLPattern | URLResolver] = [
    path("token/", LogInView.as_view(), name="token"),
    path("token/refresh/", RefreshView.as_view(), name="token-refresh"),
    path("token/logout/", LogOutView.as_view(), name="token-logout"),
    path("stream-tickets/", StreamTicketsView.as_view(), name="stream-tickets"),
    path("dashboard/", DashboardView.as_view(), name="api-dashboard"),
    path("command-types/", CommandTypesView.as_view(), name="command-types"),
    path("", include(router.urls)),
    re_path("", no_such_address),
]


def favicon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for beside pages that name no icon."""
    return redirect(static("console/favicon.svg"))


console: list[URLPattern | URLResolver] = [
    path("", DashboardPage.as_view(), name="dashboard"),
    path("vehicles/", VehiclesPage.as_view(), name="vehicles"),
    path("vehicles/<uuid:pk>/", VehiclePage.as_view(), name="vehicle"),
    path("commands/", CommandsPage.as_view(), name="commands"),
    path("commands/new/", NewCommandPage.as_view(), name="new-command"),
    path("commands/<uuid:pk>/", CommandPage.as_view(), name="command"),
    path("batches/", BatchesPage.as_view(), name="batches"),
    path("batches/new/", NewBatchPage.as_view(), name="new-batch"),
    path("batches/<uuid:pk>/", BatchPage.as_view(), name="batch"),
]
urlpatterns = [
    path("", include(console)),
    path("favicon.ico", favicon),
    path("accounts/login/", LogInPage.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("admin/login/", to_log_in),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("api/schema/", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    path("api/docs/", DocsView.as_view(), name="docs"),
    # /healthz, /readyz and /metrics: see sovd.middleware.probes
]
