"""Who fails to log in on the pages too often has to wait: what django-axes, which counts, asks us.

As many wrong passwords are looked at as by the API (`commands/limits.py`, THROTTLE_LOGIN).
"""

import math
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from commands.limits import client_address


class Handler(AxesDatabaseHandler):  # type: ignore[misc]
    def user_login_failed(
        self, sender: Any, credentials: Any, request: Any = None, **more: Any
    ) -> None:
        """The last one that is allowed was looked at, and is told that it was wrong. Axes would
        say already that the next one will not be."""
        super().user_login_failed(sender, credentials, request, **more)
        was_looked_at = getattr(request, "axes_failures_since_start", None) is not None
        if was_looked_at:
            request.axes_locked_out = False


def is_of_the_api(request: HttpRequest, credentials: Any) -> bool:
    """There LogInThrottle counts."""
    return request.path.startswith("/api/")


def answer(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    seconds = _still_to_wait(request)
    about = {"seconds": seconds, "next": request.POST.get("next", "")}
    page = render(request, "429.html", about, status=429)
    page["Retry-After"] = str(seconds)
    return page


def _still_to_wait(request: HttpRequest) -> int:
    attempts = AccessAttempt.objects.filter(
        username=get_client_username(request, getattr(request, "axes_credentials", None)),
        ip_address=client_address(request),
    )
    last = attempts.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    left = last + settings.AXES_COOLOFF_TIME - timezone.now()
    return max(1, math.ceil(left.total_seconds()))
