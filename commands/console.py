"""The console's page, and the token with which it opens its socket."""

from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, JsonResponse
from django.views.generic import TemplateView, View
from rest_framework_simplejwt.tokens import AccessToken


class ConsoleView(LoginRequiredMixin, TemplateView):
    template_name = "console.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_submit = self.request.user.has_perm("commands.add_command")
        return super().get_context_data(can_submit=may_submit, **kwargs)


class SessionTokenView(View):
    """POST with the session: an access token for the socket, as `{"access", "expires_in"}`."""

    def post(self, request: HttpRequest) -> JsonResponse:
        if not request.user.is_authenticated:
            return JsonResponse(
                {"code": "not_authenticated", "detail": "Log in at /accounts/login/ first."},
                status=401,
            )
        token = str(AccessToken.for_user(request.user))
        return JsonResponse({"access": token, "expires_in": settings.ACCESS_TOKEN_SECONDS})
