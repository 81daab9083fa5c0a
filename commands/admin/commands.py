"""Commands in the admin, which shows, cancels and exports those that the user may see."""

import json
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html

from commands import audit, export, lifecycle
from commands.admin.lists import (
    CommandNameFilter,
    ErrorCodeFilter,
    SubmittedFilter,
    UserFilter,
    VehicleFilter,
)
from commands.admin.tables import (
    CHARACTERS_SHOWN,
    LargeTableAdmin,
    ReadOnly,
    as_json,
    as_text,
    with_beginning,
)
from commands.models import (
    Action,
    Command,
    CommandQuerySet,
    Event,
)
from commands.search import belonging_to, matching
from vehicles import strict_json

EVENTS_SHOWN = 200
MAX_CANCELLED = 1_000  # at once


class LastEvents(BaseInlineFormSet):
    def get_queryset(self) -> Any:
        if not hasattr(self, "_last"):
            latest = super().get_queryset().order_by("-sequence_number")[:EVENTS_SHOWN]
            self._last = list(with_beginning(latest, CHARACTERS_SHOWN))[::-1]
        return self._last


class EventInline(ReadOnly, admin.TabularInline):
    model = Event
    formset = LastEvents
    readonly_fields = ["sequence_number", "kind", "payload_as_json", "created_at"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields

    @admin.display(description="payload")
    def payload_as_json(self, event: Any) -> str:
        if event.length <= CHARACTERS_SHOWN:
            return as_json(json.loads(event.start, cls=strict_json.Decoder))
        return as_text(event.start, event.length)


@admin.register(Command)
class CommandAdmin(LargeTableAdmin):
    list_display = [
        "submitted_at",
        "command_name",
        "vehicle",
        "status",
        "error_code",
        "submitted_by",
        "live",
    ]
    sortable_by = ["submitted_at"]
    list_select_related = ["vehicle", "submitted_by"]
    search_fields = ["command_id"]  # shows the field to type in; see `search_filter`
    search_help_text = "A command's ID or its beginning, the vehicle, or a user's whole name"
    readonly_fields = [
        "command_id",
        "vehicle",
        "command_name",
        "params",
        "status",
        "error_code",
        "error_message",
        "submitted_by",
        "batch",
        "submitted_at",
        "started_at",
        "completed_at",
        "expires_at",
        "cancel_requested_at",
        "lost_workers",
        "log",
    ]
    inlines = [EventInline]
    actions = ["cancel", "export_csv"]

    @property
    def media(self) -> forms.Media:
        completing = AutocompleteSelect(Command._meta.get_field("vehicle"), self.admin_site)
        return super().media + completing.media

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Offer vehicles and users only to those who may see them."""
        chosen = [("vehicles.view_vehicle", VehicleFilter), ("auth.view_user", UserFilter)]
        allowed = [filter_ for permission, filter_ in chosen if request.user.has_perm(permission)]
        return ["status", SubmittedFilter, CommandNameFilter, *allowed, ErrorCodeFilter]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Command]:
        commands: QuerySet[Command] = Command.objects.visible_to(request.user)
        return commands.order_by(*self.get_ordering(request))

    def search_filter(self, text: str) -> Q:
        return matching(text) | belonging_to("submitted_by", User.objects.filter(username=text))

    def view_on_site(self, obj: Command) -> str:
        return reverse("command", args=[obj.pk])

    @admin.display(description="live")
    def live(self, command: Command) -> str:
        return format_html('<a href="{}">Watch</a>', self.view_on_site(command))

    @admin.display(description="parameters")
    def params(self, command: Command) -> str:
        return as_json(command.command_params)

    @admin.display(description="events")
    def log(self, command: Command) -> str:
        events = command.last_sequence_number
        if events <= EVENTS_SHOWN:
            return f"All {events} are below."
        everything = reverse("command-events", args=[command.pk])
        return format_html(
            'The last {} of {} are below; <a href="{}">all of them as JSON</a>.',
            EVENTS_SHOWN,
            events,
            everything,
        )

    # Actions

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("commands.add_command")

    @admin.action(description="Cancel the selected commands", permissions=["cancel"])
    def cancel(self, request: HttpRequest, commands: QuerySet[Command]) -> None:
        chosen = list(commands.values_list("pk", flat=True)[: MAX_CANCELLED + 1])
        if len(chosen) > MAX_CANCELLED:
            problem = (
                f"More than {MAX_CANCELLED} commands are selected, so none was cancelled. "
                "Narrow the filters."
            )
            self.message_user(request, problem, messages.ERROR)
            return
        outcomes = _cancel(request, Command.objects.filter(pk__in=chosen))
        counts = ", ".join(f"{number} {what}" for what, number in outcomes.items() if number)
        self.message_user(request, f"Of {len(chosen)} commands: {counts}.")

    @admin.action(description="Export the selected commands as CSV")
    def export_csv(
        self, request: HttpRequest, commands: QuerySet[Command]
    ) -> StreamingHttpResponse | None:
        try:
            rows = export.count(cast(CommandQuerySet, commands))
            file = export.file_of(cast(CommandQuerySet, commands), "csv")
        except (export.TooMany, export.Busy) as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        audit.record(request, Action.EXPORT, format="csv", rows=rows, **_chosen(request))
        return file


def _chosen(request: HttpRequest) -> dict[str, Any]:
    """Return the chosen commands, or the search and the filters if all that they find is chosen."""
    if request.POST.get("select_across") == "1":
        return {"filters": dict(request.GET.lists())}
    return {"commands": request.POST.getlist(ACTION_CHECKBOX_NAME)}


def _cancel(request: HttpRequest, commands: CommandQuerySet) -> dict[str, int]:
    with transaction.atomic():
        audit.record_each(request, Action.CANCEL, commands.still_open())
        cancelled, asked_to_stop = lifecycle.cancel_many(commands)
    ended = commands.count() - cancelled - asked_to_stop
    return {"cancelled": cancelled, "asked to stop": asked_to_stop, "had already ended": ended}
