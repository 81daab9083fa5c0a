"""Saved views of all users in the admin, which deletes those that nobody needs."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from commands.admin.tables import LargeTableAdmin
from commands.models import SavedView


@admin.register(SavedView)
class SavedViewAdmin(LargeTableAdmin):
    list_display = ["name", "page", "owner", "is_shared", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["name"]
    search_help_text = "The beginning of a name, or the owner's whole name"
    readonly_fields = ["view_id", "name", "page", "query", "owner", "is_shared", "created_at"]

    def search_filter(self, text: str) -> Q:
        return Q(name__istartswith=text) | Q(owner__username=text)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def view_on_site(self, obj: SavedView) -> str:
        return f"/{obj.page}/?{obj.query}"
