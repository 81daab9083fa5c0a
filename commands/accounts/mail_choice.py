"""The e-mail address of a user, and the choice to be told there when something long has ended."""

from typing import cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views import View

from commands import audit
from commands.models import Action, Webhook

ADDRESS = forms.EmailField(required=False, max_length=254)  # as of Django's users


def is_offered() -> bool:
    return bool(settings.EMAIL_HOST)


def of(user: User) -> Webhook | None:
    found: Webhook | None = Webhook.objects.filter(owner=user, is_mail=True).first()
    return found


class MailChoiceView(LoginRequiredMixin, View):
    """Begin to send e-mails to the user, or end that. What waits is then not sent."""

    http_method_names = ["post"]

    @transaction.atomic
    def post(self, request: HttpRequest) -> HttpResponse:
        if not is_offered() or not getattr(request.user, "email", ""):
            raise Http404
        is_wanted = "wanted" in request.POST
        (_begin if is_wanted else _end)(cast(User, request.user))
        audit.record(request, Action.CHANGE_ACCOUNT, mail=is_wanted)
        messages.success(
            request, "You get e-mails now." if is_wanted else "You get no more e-mails."
        )
        return redirect("account")


class AddressView(LoginRequiredMixin, View):
    """Change the e-mail address of the user. Without one, no more e-mails are sent."""

    http_method_names = ["post"]

    @transaction.atomic
    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            address = ADDRESS.clean(request.POST.get("email", ""))
        except ValidationError as error:
            messages.error(request, f"{error.messages[0]} Your address was not changed.")
            return redirect("account")
        user = User.objects.select_for_update().get(pk=cast(User, request.user).pk)
        if user.email != address:
            audit.record(request, Action.CHANGE_ACCOUNT, email=address, email_before=user.email)
            user.email = address
            user.save(update_fields=["email"])
            _use_address(user)
        messages.success(request, "Your e-mail address is saved.")
        return redirect("account")


def _begin(user: User) -> None:
    asked = {"url": "mailto:", "of_batches": True, "of_campaigns": True, "of_scans": True}
    again = {"is_active": True, "disabled_reason": "", "failures": 0}
    now = {"enabled_at": Now(), "paused_until": Now()}
    Webhook.objects.update_or_create(owner=user, is_mail=True, defaults=asked | again | now)


def _use_address(user: User) -> None:
    """Begin again with a new address, which may mend what failed, or end without one."""
    if not user.email:
        _end(user)
    elif (choice := of(user)) and not choice.is_active:
        _begin(user)


def _end(user: User) -> None:
    Webhook.objects.filter(owner=user, is_mail=True).delete()
