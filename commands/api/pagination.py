"""Filters of the REST API's lists, and their pagination by keyset cursors."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils.timezone import is_naive
from django_filters import FilterSet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.utils.urls import replace_query_param

from commands.database.keyset import Listing, beyond
from vehicles import strict_json


class Filters(DjangoFilterBackend):
    """The filters of a view, which cost nothing if the address names none."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        filters = self.get_filterset_class(view, queryset)
        if filters is None or not is_filtered(request, filters):
            return queryset
        return super().filter_queryset(request, queryset, view)


def is_filtered(request: Any, filters: type[FilterSet]) -> bool:
    """Return whether the address names one of the filters."""
    return not filters.base_filters.keys().isdisjoint(request.query_params)


class Pages(CursorPagination):
    """Pages as `{"next", "previous", "results"}`: every row once, whatever arrives meanwhile.

    A view names its `orderings`, each a unique order by fields; the first is the default. A cursor
    has the values of one row in these fields, and its page has the rows beyond that row.
    """

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        """Return the rows of a page of a queryset or a Listing."""
        self._address = request.build_absolute_uri()
        self.ordering = self.get_ordering(request, queryset, view)
        self._model = queryset.model
        size = self.get_page_size(request)
        backwards, position = self._read_cursor(request)
        order = [_reversed(name) if backwards else name for name in self.ordering]
        rows = _rows(queryset, order, position, size + 1)
        has_more, self.page = len(rows) > size, rows[:size]
        self.has_next, self.has_previous = has_more, bool(position)
        if backwards:
            self.page.reverse()
            self.has_next, self.has_previous = self.has_previous, self.has_next
        return self.page

    def get_next_link(self) -> str | None:
        return self._link(False, self.page[-1]) if self.page and self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._link(True, self.page[0]) if self.page and self.has_previous else None

    def get_ordering(self, request: Any, queryset: QuerySet[Any], view: Any) -> Any:
        orderings = {ordering[0]: ordering for ordering in view.orderings}
        asked = request.query_params.get("ordering", view.orderings[0][0])
        if asked not in orderings:
            raise ValidationError({"ordering": [f"Must be one of: {', '.join(orderings)}."]})
        return orderings[asked]

    def get_page_size(self, request: Any) -> int:
        text = request.query_params.get("page_size", str(self.page_size))
        if not re.fullmatch("[1-9][0-9]{0,2}", text) or int(text) > self.max_page_size:
            raise ValidationError({"page_size": [f"Must lie between 1 and {self.max_page_size}."]})
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        names = [ordering[0] for ordering in view.orderings]
        order = {"type": "string", "enum": names, "default": names[0]}
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size}
        return [
            *parameters,
            {"name": "ordering", "in": "query", "required": False, "schema": order},
        ]

    def _link(self, backwards: bool, row: Any) -> str:
        if isinstance(row, dict):
            row = SimpleNamespace(**row)
        position = [field.value_to_string(row) for field in self._fields()]
        cursor = urlsafe_b64encode(json.dumps([backwards, *position]).encode()).decode()
        return replace_query_param(self._address, self.cursor_query_param, cursor)

    def _read_cursor(self, request: Any) -> tuple[bool, list[Any]]:
        text = request.query_params.get(self.cursor_query_param)
        if not text:
            return False, []
        try:
            return self._decode(text)
        except (ValueError, TypeError, RecursionError, DjangoValidationError) as error:
            message = "Not a cursor. Use the addresses in `next` and `previous` unchanged."
            raise ValidationError({"cursor": [message]}) from error

    def _decode(self, text: str) -> tuple[bool, list[Any]]:
        """Decode a cursor, which may be forged: only values of the fields' types are returned."""
        cursor = json.loads(urlsafe_b64decode(text))
        strict_json.check(cursor)
        backwards, *texts = cursor
        if not isinstance(backwards, bool) or not all(isinstance(text, str) for text in texts):
            raise TypeError("a cursor is a boolean and the texts of a row's fields")
        fields = self._fields()
        position = [field.to_python(text) for field, text in zip(fields, texts, strict=True)]
        for value in position:
            check_instant(value)
        return backwards, position

    def _fields(self) -> list[Any]:
        return [self._model._meta.get_field(name.lstrip("-")) for name in self.ordering]


def _rows(found: Any, order: list[str], position: list[Any], limit: int) -> list[Any]:
    if isinstance(found, Listing):
        return found.page(order, position, limit)
    further = found.filter(beyond(order, position)) if position else found
    return list(further.order_by(*order)[:limit])


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def check_instant(value: Any) -> None:
    """Raise ValidationError for an instant that could overflow in UTC, near the calendar's ends."""
    if isinstance(value, datetime) and (is_naive(value) or not 1970 <= value.year <= 9000):
        raise DjangoValidationError("Must lie between the years 1970 and 9000.")
