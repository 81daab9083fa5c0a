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
from commands.console import ConsoleView
from commands.log_in import LogInPage, to_log_in
from commands.tokens import LogInView, LogOutView, RefreshView
from sovd.errors import no_such_address
from vehicles.api import VehicleViewSet

router = SimpleRouter()
router.register("vehicles", VehicleViewSet)
router.register("commands", CommandViewSet, basename="command")

api: list[URLPattern | URLResolver] = [
    path("token/", LogInView.as_view(), name="token"),
    path("token/refresh/", RefreshView.as_view(), name="token-refresh"),
    path("token/logout/", LogOutView.as_view(), name="token-logout"),
    path("stream-tickets/", StreamTicketsView.as_view(), name="stream-tickets"),
    path("command-types/", CommandTypesView.as_view(), name="command-types"),
    path("", include(router.urls)),
    re_path("", no_such_address),
]


def favicon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for beside pages that name no icon."""
    return redirect(static("console/favicon.svg"))


urlpatterns = [
    path("", ConsoleView.as_view(), name="console"),
    path("favicon.ico", favicon),
    path("accounts/login/", LogInPage.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("admin/login/", to_log_in),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("api/schema/", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    path(
        "api/docs/", SpectacularSwaggerSplitView.as_view(permission_classes=[AllowAny]), name="docs"
    ),
    # /healthz, /readyz and /metrics: see sovd.middleware.probes
]
