"""The login page, one for the console and the admin, and the page of one's own account."""

from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, views
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.views import View
from rest_framework.request import Request

from commands import audit
from commands.accounts import mail_choice, sessions
from commands.accounts.login_limit import LoginRefused, forget_attempts
from commands.accounts.tokens import end, end_logins, session_keys_of
from commands.models import Action, BrowserSession, TokenFamily


class RefusingMixin:
    """Say how long to wait, if a password was not checked."""

    request: HttpRequest

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return cast(HttpResponse, super().post(request, *args, **kwargs))  # type: ignore[misc]
        except LoginRefused as refusal:
            return self._try_later(refusal)

    def _try_later(self, refusal: LoginRefused) -> HttpResponse:
        about = {"refusal": refusal, "next": self.request.POST.get("next", "")}
        page = render(self.request, "registration/refused.html", about, status=refusal.status_code)
        page["Retry-After"] = str(refusal.wait)
        return page


class LoginView(RefusingMixin, views.LoginView):
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Redirect users who are already logged in, unless another page refused them."""
        if request.user.is_authenticated and not self._was_refused():
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def _was_refused(self) -> bool:
        """Return whether the admin sent them here: it refuses users without staff status."""
        asked_for_admin = self.get_redirect_url().startswith(reverse("admin:index"))
        return asked_for_admin and not getattr(self.request.user, "is_staff", False)


class PasswordForm(PasswordChangeForm):
    """Form for a new password. Guesses of the old one count as attempts to log in."""

    def __init__(self, user: User, request: HttpRequest, **options: Any) -> None:
        super().__init__(user, **options)
        self._request = request

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        if not authenticate(self._request, username=self.user.get_username(), password=old):
            raise ValidationError(self.error_messages["password_incorrect"])
        forget_attempts(self._request, self.user)
        return old


class AccountView(RefusingMixin, views.PasswordChangeView):
    """Page of the user's own account: a new password, and the logins by the API."""

    template_name = "registration/account.html"
    form_class = PasswordForm
    success_url = reverse_lazy("account")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        logins = TokenFamily.objects.filter(user=self.request.user.pk, expires_at__gt=Now())
        about = {"logins": logins.order_by("-started_at"), "sessions": self._sessions()}
        return super().get_context_data(**kwargs, **about, **self._about_mail())

    def _sessions(self) -> list[dict[str, Any]]:
        own = self.request.session.session_key
        return [
            {"row": row, "device": sessions.device(row.user_agent), "is_this": row.key == own}
            for row in sessions.of(cast(User, self.request.user))
        ]

    def _about_mail(self) -> dict[str, Any]:
        if not mail_choice.is_offered():
            return {}
        chosen = mail_choice.of(cast(User, self.request.user))
        return {"offers_mail": True, "mail": chosen, "after": settings.MAIL_AFTER_SECONDS}

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Change the password, which ends all other logins."""
        response = super().form_valid(form)
        audit.record(self.request, Action.CHANGE_PASSWORD)
        messages.success(self.request, "Your password is changed. All other logins have ended.")
        return response


class EndLoginView(LoginRequiredMixin, View):
    """End one of the user's own logins by the API."""

    http_method_names = ["post"]

    @transaction.atomic
    def post(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        end(get_object_or_404(TokenFamily, pk=pk, user=request.user.pk))
        audit.record(request, Action.LOG_OUT)
        return redirect("account")


class EndSessionView(LoginRequiredMixin, View):
    """End one of the user's own sessions of the console."""

    http_method_names = ["post"]

    @transaction.atomic
    def post(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        ended = get_object_or_404(BrowserSession, pk=pk, user=request.user.pk)
        sessions.end([ended.key])
        audit.record(request, Action.LOG_OUT, device=sessions.device(ended.user_agent))
        return redirect("account")


class EndOtherSessionsView(LoginRequiredMixin, View):
    """End all sessions of the user but that of this request."""

    http_method_names = ["post"]

    @transaction.atomic
    def post(self, request: HttpRequest) -> HttpResponse:
        ended = _end_other_sessions(request)
        audit.record(request, Action.LOG_OUT, other_sessions=ended)
        messages.success(request, "All your other sessions have ended.")
        return redirect("account")


def _end_other_sessions(request: HttpRequest) -> int:
    """End the sessions of the user but that of this request. Return how many there were."""
    keys = set(session_keys_of(cast(User, request.user))) - {request.session.session_key}
    sessions.end(sorted(keys))
    return len(keys)


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
