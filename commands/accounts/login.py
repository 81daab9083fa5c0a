"""The login page, one for the console and the admin, and logging out everywhere."""

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth import views
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views import View
from rest_framework.request import Request

from commands import audit
from commands.accounts.limits import LoginRefused
from commands.accounts.tokens import end_logins
from commands.models import Action


class LoginView(views.LoginView):
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Redirect users who are already logged in, unless another page refused them."""
        if request.user.is_authenticated and not self._was_refused():
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except LoginRefused as refusal:
            return self._try_later(refusal)

    def _try_later(self, refusal: LoginRefused) -> HttpResponse:
        about = {"refusal": refusal, "next": self.request.POST.get("next", "")}
        page = render(self.request, "registration/refused.html", about, status=refusal.status_code)
        page["Retry-After"] = str(refusal.wait)
        return page

    def _was_refused(self) -> bool:
        """Return whether the admin sent them here: it refuses users without staff status."""
        asked_for_admin = self.get_redirect_url().startswith(reverse("admin:index"))
        return asked_for_admin and not getattr(self.request.user, "is_staff", False)


class LogoutEverywhereView(LoginRequiredMixin, View):
    """End every login of the user, with the session of this request."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        end_every_login(request)
        request.session.flush()
        return redirect("login")


def end_every_login(request: HttpRequest | Request) -> None:
    audit.record(request, Action.LOG_OUT, everywhere=True)
    end_logins(cast(User, request.user))


def redirect_to_login(request: HttpRequest) -> HttpResponse:
    """Replace the admin's own login page."""
    target = request.GET.get("next") or reverse("admin:index")
    return redirect(f"{reverse('login')}?{urlencode({'next': target})}")
