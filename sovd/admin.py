"""What every list of the admin does differently, whoever registered it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.http import HttpRequest


class List(ChangeList):
    """Answers what its own links and filters ask, and nothing else that is typed as an address."""

    def get_filters(self, request: HttpRequest) -> Any:
        """Django would look up whatever else there is in the table's columns: by expressions that
        the database refuses only when it runs them, or that it runs on every row."""
        try:
            found = super().get_filters(request)
        except DisallowedModelAdminLookup as error:
            raise IncorrectLookupParameters from error
        _, _, left_over, *_ = found
        if left_over:
            raise IncorrectLookupParameters(f"No filter here is called {', '.join(left_over)}")
        return found

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """As if nothing were asked, if `o` names a column that has no link to sort by."""
        asked = self.params.get(ORDER_VAR)
        if asked and not all(map(self._sorts_by, asked.split("."))):
            del self.params[ORDER_VAR]
        ordering: list[Any] = super().get_ordering(request, queryset)
        return ordering

    def _sorts_by(self, column: str) -> bool:
        try:
            return self.list_display[int(column.removeprefix("-"))] in (self.sortable_by or ())
        except (ValueError, IndexError):
            return False


class AdminSite(admin.AdminSite):
    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        lists = {"get_changelist": lambda *_, **__: List}
        super().register(model_or_iterable, admin_class, **options, **lists)
