"""Paging and filters of the admin's lists, for tables of millions of rows."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.functional import cached_property

from commands.catalogue import COMMAND_TYPES
from commands.models import Command, ErrorCode

MAX_COUNTED = 10_000


class BoundedPaginator(Paginator):
    """Paginator that counts MAX_COUNTED rows at most, and lets Postgres estimate a whole table."""

    object_list: Any

    @cached_property
    def _counted(self) -> int:
        found: int = self.object_list.order_by()[: MAX_COUNTED + 1].count()
        return found

    @property
    def count(self) -> int:
        return min(self._counted, MAX_COUNTED)

    def in_words(self) -> str:
        if self._counted <= MAX_COUNTED:
            return str(self._counted)
        estimate = _estimate(self.object_list)
        return f"About {estimate:,}" if estimate > MAX_COUNTED else f"More than {MAX_COUNTED:,}"


def _estimate(rows: Any) -> int:
    """Estimate the rows of a whole table. Return 0 for a part of one, and on SQLite."""
    if rows.query.where or connection.vendor != "postgresql":
        return 0
    table = connection.ops.quote_name(rows.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
        return int(cursor.fetchone()[0])


class TimeFilter(admin.SimpleListFilter):
    """Filter by time. Django's date hierarchy would group the whole table by year each time."""

    column: str
    SPANS = {
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
        "week": timedelta(weeks=1),
        "month": timedelta(days=30),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(name, f"the last {name}") for name in self.SPANS]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        span = self.SPANS.get(self.value() or "")
        return queryset.filter(**{f"{self.column}__gt": Now() - span}) if span else queryset


class SubmittedFilter(TimeFilter):
    title = "time of submission"
    parameter_name = "submitted"
    column = "submitted_at"


class AuditTimeFilter(TimeFilter):
    title = "time"
    parameter_name = "at"
    column = "at"


class CreatedFilter(TimeFilter):
    title = "time"
    parameter_name = "created"
    column = "created_at"


class CommandNameFilter(admin.SimpleListFilter):
    """Filter by the names of the catalogue. Django's would read the whole table."""

    title = "command"
    parameter_name = "command_name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(name, name) for name in COMMAND_TYPES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(command_name=self.value()) if self.value() else queryset


class ErrorCodeFilter(admin.SimpleListFilter):
    """Filter by an error code."""

    title = "error code"
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return ErrorCode.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        code = self.value()
        if not code:
            return queryset
        if code not in ErrorCode.values:
            return queryset.none()
        return queryset.filter(error_code=code)


class AutocompleteFilter(admin.SimpleListFilter):
    """Filter with a field that completes itself, since a list would be too long."""

    template = "admin/chosen_filter.html"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        relation: Any = Command._meta.get_field(self.parameter_name or "")
        self._field = forms.ModelChoiceField(
            relation.related_model._default_manager.all(),
            widget=AutocompleteSelect(relation, model_admin.admin_site),
            required=False,
        )

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return []

    def has_output(self) -> bool:
        return True

    @cached_property
    def _chosen(self) -> Any:
        try:
            return self._field.clean(self.value())
        except ValidationError:
            return None

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        return (
            queryset.filter(**{str(self.parameter_name): self._chosen})
            if self._chosen
            else (queryset.none())
        )

    def choices(self, changelist: Any) -> Any:
        others = [
            (name, value)
            for name, values in changelist.filter_params.items()
            for value in values
            if name != self.parameter_name
        ]
        chosen = self._chosen.pk if self._chosen else ""
        attributes = {"id": f"chosen-{self.parameter_name}", "aria-label": self.title}
        widget = self._field.widget.render(self.parameter_name or "", chosen, attributes)
        yield {"others": others, "widget": widget}


class VehicleFilter(AutocompleteFilter):
    title = "vehicle"
    parameter_name = "vehicle"


class UserFilter(AutocompleteFilter):
    title = "user"
    parameter_name = "submitted_by"
