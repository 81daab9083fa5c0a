"""Limit on submissions, counted in the database: it needs no Redis, and holds for all web processes
together."""

import math
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from commands.models import Batch, Command


class CommandThrottle(SimpleRateThrottle):
    """THROTTLE_COMMANDS: submissions of one user, commands and batches, of which each is one.

    The rows themselves are the count. Two submissions at once may both pass as the last one.
    """

    num_requests: int
    duration: int
    _wait = 0

    def get_rate(self) -> str | None:
        return settings.THROTTLE_COMMANDS or None

    def allow_request(self, request: Request, view: Any) -> bool:
        if self.rate is None:
            return True
        since = Now() - timedelta(seconds=self.duration)
        ages = [
            rows.filter(submitted_by=request.user.pk, submitted_at__gt=since)
            .annotate(age=Now() - F("submitted_at"))
            .values_list("age", flat=True)
            for rows in (Command.objects.filter(batch=None).order_by(), Batch.objects.order_by())
        ]
        latest = ages[0].union(ages[1], all=True).order_by("age")
        for age in latest[self.num_requests - 1 : self.num_requests]:
            self._wait = max(1, math.ceil(self.duration - age.total_seconds()))
            return False
        return True

    def wait(self) -> int:
        return self._wait
