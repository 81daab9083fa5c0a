"""Base of the admin's pages of large tables."""

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast, Left, Length
from django.http import HttpRequest
from django.utils.html import format_html

from commands.admin.lists import (
    BoundedPaginator,
)
from commands.models import (
    Event,
)

CHARACTERS_SHOWN = 10_000  # of one payload


def as_json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return as_text(text[:CHARACTERS_SHOWN], len(text))


def as_text(beginning: str, length: int) -> str:
    left_off = length - len(beginning)
    more = f"\n… and {left_off:,} more characters: see the API" if left_off > 0 else ""
    return format_html('<pre class="json">{}{}</pre>', beginning, more)


def with_beginning(events: QuerySet[Event], characters: int) -> Any:
    """Read so many characters of each payload, and its length.

    A vehicle may have sent megabytes, which stay in the database.
    """
    text = Cast("payload", TextField())
    return events.defer("payload").annotate(start=Left(text, characters), length=Length(text))


class ReadOnly:
    """Mixin of read-only lists, which every user of the console may view."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user = request.user
        return user.has_perm("commands.view_command") or user.has_perm("commands.add_command")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LargeTableAdmin(ReadOnly, admin.ModelAdmin):
    """List whose filters and sortings have an index each, unless most of the table passes them.

    Nothing is counted beyond MAX_COUNTED. Several filters at once read the rows that the narrowest
    one finds.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    list_per_page = 50
    sortable_by: ClassVar[Any] = []  # without an index the whole table would be sorted

    def search_filter(self, text: str) -> Q:
        raise NotImplementedError

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        return queryset.filter(self.search_filter(text)) if text else queryset, False
