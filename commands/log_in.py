"""The log-in page: one for the console and the admin."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse


class LogInPage(LoginView):
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Who is logged in has no business here, unless a page has sent them away."""
        if request.user.is_authenticated and not self._was_refused():
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def _was_refused(self) -> bool:
        """Only the admin sends somebody here who is logged in: who is no staff."""
        asked_for_admin = self.get_redirect_url().startswith(reverse("admin:index"))
        return asked_for_admin and not getattr(self.request.user, "is_staff", False)


def to_log_in(request: HttpRequest) -> HttpResponse:
    """In place of the admin's own page."""
    target = request.GET.get("next") or reverse("admin:index")
    return redirect(f"{reverse('login')}?{urlencode({'next': target})}")
