from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path

from commands.accounts.login import (
    AccountView,
    EndLoginView,
    EndOtherSessionsView,
    EndSessionView,
    LoginView,
    LogoutEverywhereView,
    redirect_to_login,
)
from commands.accounts.mail_choice import AddressView, MailChoiceView
from commands.api.schema.views import DocsView, SchemaView


def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect browsers that ask for an icon where a page names none."""
    return redirect(static("console/favicon.svg"))


urlpatterns = [
    path("api/v1/", include("commands.api.urls")),  # first: each pattern costs each request time
    path("", include("commands.urls")),
    path("favicon.ico", favicon),
    path("accounts/", AccountView.as_view(), name="account"),
    path("accounts/logins/<uuid:pk>/end/", EndLoginView.as_view(), name="end-login"),
    path("accounts/address/", AddressView.as_view(), name="mail-address"),
    path("accounts/mail/", MailChoiceView.as_view(), name="mail-choice"),
    path("accounts/sessions/<uuid:pk>/end/", EndSessionView.as_view(), name="end-session"),
    path(
        "accounts/sessions/end-others/",
        EndOtherSessionsView.as_view(),
        name="end-other-sessions",
    ),
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/logout-everywhere/", LogoutEverywhereView.as_view(), name="logout-everywhere"),
    path("admin/login/", redirect_to_login),
    path("admin/", admin.site.urls),
    path("sovd/", include("commands.sovd_facade.urls")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(), name="docs"),
    # /healthz, /readyz and /metrics: see sovd.middleware.probes
]
