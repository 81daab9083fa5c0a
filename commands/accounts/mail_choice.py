"""The choice of a user to be told by e-mail when something long has ended."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views import View

from commands import audit
from commands.models import Action, Webhook


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


def _begin(user: User) -> None:
    asked = {"url": "mailto:", "of_batches": True, "of_campaigns": True, "of_scans": True}
    again = {"is_active": True, "disabled_reason": "", "failures": 0}
    now = {"enabled_at": Now(), "paused_until": Now()}
    Webhook.objects.update_or_create(owner=user, is_mail=True, defaults=asked | again | now)


def _end(user: User) -> None:
    Webhook.objects.filter(owner=user, is_mail=True).delete()
