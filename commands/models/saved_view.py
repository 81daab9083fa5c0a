from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class ViewPage(models.TextChoices):
    """The list that a view filters; its page has this name."""

    COMMANDS = "commands"
    VEHICLES = "vehicles"


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, user: User | AnonymousUser) -> SavedViewQuerySet:
        """Return the user's own views, and those that active users share."""
        visible = self.filter(Q(owner_id=user.pk) | Q(is_shared=True, owner__is_active=True))
        may_see = user.has_perm("vehicles.view_vehicle")
        return visible if may_see else visible.exclude(page=ViewPage.VEHICLES)


class SavedView(models.Model):
    """Filters of a list, to which a user has given a name."""

    view_id = models.UUIDField("view ID", primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    page = models.CharField(max_length=16, choices=ViewPage)
    name = models.CharField(max_length=60)
    query = models.TextField()  # as in the page's address, without the question mark
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(name="one_view_per_name", fields=["owner", "page", "name"])
        ]

    def __str__(self) -> str:
        return f"{self.page}: {self.name}"
