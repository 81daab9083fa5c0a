import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import IntegrityError, transaction
from django.db.models import F, JSONField
from django.forms.fields import InvalidJSONInput
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from vehicles import changes, connector_settings, strict_json
from vehicles.connector_settings import InvalidSettings
from vehicles.connectors import CONNECTORS
from vehicles.descriptions.choice import wrong_descriptions
from vehicles.ecus import number_of
from vehicles.models import ConnectionStatus, Ecu, Vehicle
from vehicles.search import matching
from vehicles.vin import check_digit_matches, normal_vin

ASIDE = 0x10000  # beyond the number of every address


class ConnectionFilter(admin.SimpleListFilter):
    title = "connection"
    parameter_name = "connection_status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return ConnectionStatus.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        status = self.value()
        known = status in ConnectionStatus.values
        return queryset.with_connection_status(status) if known else queryset


class NamedValuesFilter(admin.AllValuesFieldListFilter):
    """Filter by a text that may be empty: as a link it needs words."""

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice | {"display": choice["display"] or "(none)"}


class StrictJSONField(forms.JSONField):
    """Refuses JSON that Python reads and Postgres or the API cannot hold, which would be a 500."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > strict_json.MAX_BYTES:
            raise forms.ValidationError(f"Enter at most {strict_json.MAX_BYTES} characters.")
        try:
            found = super().to_python(value)
            strict_json.check(found)
        except strict_json.InvalidJSON as error:
            raise forms.ValidationError(f"{error.path or 'The JSON'} {error.problem}.") from error
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError("Enter valid JSON.") from error
        return {} if found is None else found  # the column is never null

    def bound_data(self, data: Any, initial: Any) -> Any:
        return InvalidJSONInput(data)  # shown again as it was typed


class SettingsField(StrictJSONField):
    """Settings of a connector. Secrets can be typed into it, and are never shown again."""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if not isinstance(found, dict):
            raise forms.ValidationError('Enter a JSON object, such as {"host": "192.0.2.10"}.')
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            typed = self.to_python(data)
        except forms.ValidationError:
            return super().bound_data(data, initial)
        secret = set().union(*map(connector_settings.secret_names, CONNECTORS))
        shown = {name: value for name, value in typed.items() if name not in secret}
        return InvalidJSONInput(json.dumps(shown, ensure_ascii=False))


class VehicleForm(forms.ModelForm):
    vin = forms.CharField(
        label="VIN", help_text="17 capital letters and digits. Blanks and dashes are left out."
    )
    connector = forms.ChoiceField(
        choices=lambda: [(name, name) for name in CONNECTORS], initial="mock"
    )
    connector_settings = SettingsField(
        required=False,
        initial=dict,
        help_text="A secret is not shown: left out it stays, and null removes it.",
    )

    def clean_vin(self) -> str:
        return normal_vin(self.cleaned_data["vin"])

    def clean(self) -> None:
        super().clean()
        if not {"connector", "connector_settings"} <= self.cleaned_data.keys():
            return
        connector = self.cleaned_data["connector"]
        kept = self.instance.connector_secrets if connector == self.initial.get("connector") else {}
        try:
            settings, secrets = connector_settings.check(
                connector, self.cleaned_data["connector_settings"], kept
            )
        except InvalidSettings as error:
            for name, explanations in error.errors.items():
                self.add_error("connector_settings", f"{name}: {' '.join(explanations)}")
        else:
            self.cleaned_data["connector_settings"] = settings
            self.instance.connector_secrets = secrets


class EcuFormSet(BaseInlineFormSet):
    """The ECUs of a vehicle, each address once."""

    def clean(self) -> None:
        super().clean()
        forms_kept = [form for form in self.forms if form not in self.deleted_forms]
        known: dict[int, str] = {}
        for row in self._rows_of_others():
            known[row.number] = row.address
        for form in forms_kept:
            address = form.cleaned_data.get("address") if form.is_valid() else None
            if address and number_of(address) in known:
                form.add_error("address", f"{known[number_of(address)]} is the same ECU.")
            elif address:
                known[number_of(address)] = address
                _check_description(form)

    def _rows_of_others(self) -> Any:
        """Return the ECUs that somebody else has added since the page was shown."""
        shown = [form.instance.pk for form in self.initial_forms]
        return self.instance.ecus.exclude(pk__in=shown) if self.instance.pk else []

    def save(self, commit: bool = True) -> Any:
        """Save, also when two ECUs swap their addresses: what changes is moved aside first."""
        changed = [form.instance.pk for form in self.initial_forms if form.has_changed()]
        self.instance.ecus.filter(pk__in=changed).update(number=F("number") + ASIDE)
        return super().save(commit)


def _check_description(form: Any) -> None:
    """Let a form say what is wrong with its description or variant."""
    about = form.cleaned_data
    description = about.get("description")
    ecu = {"description_id": description and description.pk, "variant": about.get("variant", "")}
    for _, problems in wrong_descriptions([ecu]):
        for name, explanations in problems.items():
            form.add_error(name, explanations)


class EcuInline(admin.TabularInline):
    model = Ecu
    formset = EcuFormSet
    extra = 0
    fields = ["address", "name", "logical_address", "component", "description", "variant"]


class VehicleAdmin(admin.ModelAdmin):
    """Maintenance of vehicles. `commands.admin` registers it, with the audit."""

    form = VehicleForm
    inlines = [EcuInline]
    list_display = ["vin", "make", "model", "year", "connector", "connection", "last_seen_at"]
    list_filter = [ConnectionFilter, "connector", ("make", NamedValuesFilter)]
    search_fields = ["vin", "make", "model", "tags"]
    search_help_text = "Words in the VIN, make, model, tags or year, or a VIN in groups"
    fields = ["vin", "make", "model", "year", "tags", "connector", "connector_settings", "metadata"]
    measured = ["connection", "connection_problem", "last_seen_at", "probed_at"]
    readonly_fields = ["known_settings", *measured, "vehicle_id", "created_at"]
    show_full_result_count = False
    formfield_overrides = {JSONField: {"form_class": StrictJSONField}}

    def get_fields(self, request: HttpRequest, obj: Vehicle | None = None) -> Any:
        *first, metadata = self.fields or []
        measured = [*self.measured, "vehicle_id", "created_at"] if obj else []
        return [*first, "known_settings", metadata, *measured]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer no deletion of many: only a vehicle without commands can be deleted."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_search_results(self, request: HttpRequest, queryset: Any, term: str) -> Any:
        return queryset.filter(matching(term)), False

    def view_on_site(self, obj: Vehicle) -> str:
        return reverse("vehicle", args=[obj.pk])

    @admin.display(description="connection")
    def connection(self, vehicle: Vehicle) -> str:
        return vehicle.effective_connection_status

    @admin.display(description="known settings")
    def known_settings(self, vehicle: Vehicle) -> str:
        rows = (
            (name, setting, rules.get("description", ""))
            for name, connector in CONNECTORS.items()
            for setting, rules in connector.settings_schema["properties"].items()
        )
        lines = format_html_join("", "<li>{}: <code>{}</code>: {}</li>", rows)
        return format_html("<ul>{}</ul>", lines)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the vehicle; nobody else changes it until the form is saved."""
        vehicle = super().get_object(request, object_id, from_field)
        if vehicle and transaction.get_connection().in_atomic_block:
            return Vehicle.objects.select_for_update().filter(pk=vehicle.pk).first()
        return vehicle

    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(*args, **kwargs)
        except IntegrityError:  # somebody was faster to take the VIN: now the form says so
            return super().changeform_view(*args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Vehicle, form: Any, change: bool) -> None:
        before = Vehicle.objects.get(pk=obj.pk) if change else None
        form.changed_names = changes.save(obj, before)
        if not check_digit_matches(obj.vin):
            self.message_user(
                request,
                f"The check digit of {obj.vin} is wrong. That is usual outside North America; "
                "elsewhere, look for a typing error.",
                messages.WARNING,
            )
