"""Descriptions in the admin: upload of a file, and the report of its import."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from commands import audit
from commands.models import Action
from vehicles.descriptions import storage
from vehicles.descriptions.models import Description


class UploadForm(forms.ModelForm):
    file = forms.FileField(label="PDX file", help_text="A worker imports it.")

    class Meta:
        model = Description
        fields: list[str] = []

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if problem := storage.too_large(file.size):
            raise forms.ValidationError(problem)
        return file


@admin.register(Description)
class DescriptionAdmin(admin.ModelAdmin):
    """Descriptions; those that no ECU names can be deleted."""

    list_display = ["file_name", "state", "dtc_count", "did_count", "routine_count", "created_at"]
    readonly_fields = [
        "description_id",
        "file_name",
        "revision",
        "state",
        "reason",
        "layers",
        "dtc_count",
        "did_count",
        "routine_count",
        "report",
        "created_at",
    ]
    sortable_by = ()
    actions = None

    def get_fields(self, request: HttpRequest, obj: Description | None = None) -> Any:
        return self.readonly_fields if obj else ["file"]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, change, **kwargs) if obj else UploadForm

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("vehicles.view_vehicle")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_used = obj is not None and obj.ecus.exists()
        return not is_used and super().has_delete_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Description) -> None:
        pk, name = obj.pk, obj.file_name
        storage.delete(obj)
        audit.record(request, Action.DELETE_DESCRIPTION, pk, file_name=name)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Delete it; an ECU may have come to name it since the page was shown."""
        try:
            return super().delete_view(request, *args, **kwargs)
        except storage.InUse as error:
            raise PermissionDenied("An ECU names it now.") from error

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the description alone: its entries may be a million."""
        return [str(each) for each in objs], {}, set(), []

    def save_model(self, request: HttpRequest, obj: Description, form: Any, change: bool) -> None:
        file = form.cleaned_data["file"]
        obj.pk = storage.add(file.name, file.chunks()).pk
        obj.refresh_from_db()
        audit.record(request, Action.ADD_DESCRIPTION, obj.pk, file_name=obj.file_name)

    @admin.display(description="left out")
    def report(self, description: Description) -> str:
        rows = ((each["name"], each["reason"]) for each in description.left_out)
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", rows))
