"""The admin site, whose lists and searches make only queries that the database answers quickly."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import (
    ORDER_VAR,
    SEARCH_VAR,
    ChangeList,
    ChangeListSearchForm,
)
from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpRequest, HttpResponse

from vehicles.search import check_words


class SearchForm(ChangeListSearchForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[SEARCH_VAR] = forms.CharField(
            required=False, strip=False, max_length=150, validators=[check_words]
        )


class StrictChangeList(ChangeList):
    """List that accepts the lookups of its own links and filters, and no others in its address."""

    search_form_class = SearchForm

    def get_filters(self, request: HttpRequest) -> Any:
        """Refuse lookups that no filter offers, and rows to act on that have no ID.

        Django would run them, also those that read every row or that the database refuses.
        """
        try:
            for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.model._meta.pk.to_python(chosen)
            found = super().get_filters(request)
        except (DisallowedModelAdminLookup, ValidationError) as error:
            raise IncorrectLookupParameters from error
        _, _, left_over, *_ = found
        if left_over:
            raise IncorrectLookupParameters(f"No filter here is called {', '.join(left_over)}")
        return found

    def get_queryset(self, *args: Any, **kwargs: Any) -> Any:
        """Find nothing by a search that was refused: an action on all rows would act on all."""
        rows = super().get_queryset(*args, **kwargs)
        is_valid = self.search_form_class(args[0].GET).is_valid()
        return rows if is_valid else rows.none()

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """Ignore `o` if it names a column that has no link to sort by."""
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
        """Give every list this change list, also those of users and groups, which are Django's."""
        lists = {"get_changelist": lambda *_, **__: StrictChangeList}
        super().register(model_or_iterable, admin_class, **options, **lists)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        try:
            check_words(request.GET.get("term", ""))
        except ValidationError as error:
            raise BadRequest(error.message) from error
        return super().autocomplete_view(request)
