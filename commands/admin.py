"""Commands, batches, events and the audit in the admin: to look at, within the one rule of who
sees what. Commands can also be cancelled there and exported."""

import json
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast, Left, Length
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.html import format_html

from commands import audit, export, lifecycle, plain_json
from commands.admin_lists import (
    AtFilter,
    BoundedPaginator,
    CommandNameFilter,
    ErrorCodeFilter,
    SubmittedFilter,
    UserFilter,
    VehicleFilter,
)
from commands.models import (
    Action,
    AuditEntry,
    Batch,
    Command,
    CommandQuerySet,
    Event,
    sees_all_commands,
)
from commands.search import belonging_to, matching, uuid_of

EVENTS_SHOWN = 200
CHARACTERS_SHOWN = 10_000  # of one payload
BEGINNING = 100  # characters of it, in a list
MOST_CANCELLED = 1_000  # at once

admin.site.site_header = admin.site.site_title = "SOVD command console"
admin.site.index_title = "Administration"
admin.site.enable_nav_sidebar = False  # its place is the tables'


def as_json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return as_text(text[:CHARACTERS_SHOWN], len(text))


def as_text(beginning: str, length: int) -> str:
    left_off = length - len(beginning)
    more = f"\n… and {left_off:,} more characters: see the API" if left_off > 0 else ""
    return format_html('<pre class="json">{}{}</pre>', beginning, more)


def with_beginning(events: QuerySet[Event], characters: int) -> Any:
    """Each with so much of its payload as text, and how long that is: a vehicle may have sent
    megabytes, which stay in the database."""
    text = Cast("payload", TextField())
    return events.defer("payload").annotate(start=Left(text, characters), length=Length(text))


class ReadOnly:
    """Nobody adds, changes or deletes; whoever may use the console may look."""

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


class BigTable(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Each filter and sorting has its index, but for those that most of the table passes, and
    nothing is counted beyond MOST_COUNTED. Several filters at once read what the narrowest finds.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    list_per_page = 50
    sortable_by: ClassVar[Any] = []  # what has no index would be sorted as a whole

    def found(self, text: str) -> Q:
        raise NotImplementedError

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        return queryset.filter(self.found(text)) if text else queryset, False


class LastEvents(BaseInlineFormSet):  # type: ignore[type-arg]
    def get_queryset(self) -> Any:
        if not hasattr(self, "_last"):
            latest = super().get_queryset().order_by("-sequence_number")[:EVENTS_SHOWN]
            self._last = list(with_beginning(latest, CHARACTERS_SHOWN))[::-1]
        return self._last


class EventInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Event
    formset = LastEvents
    readonly_fields = ["sequence_number", "kind", "payload_as_json", "created_at"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields

    @admin.display(description="payload")
    def payload_as_json(self, event: Any) -> str:
        if event.length <= CHARACTERS_SHOWN:
            return as_json(json.loads(event.start, cls=plain_json.Decoder))
        return as_text(event.start, event.length)


@admin.register(Command)
class CommandAdmin(BigTable):
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
    search_fields = ["command_id"]  # that there is a field to type in: `found` says what it finds
    search_help_text = "A command's ID or its beginning, part of a VIN, or a user's whole name"
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
        """Only who may look at vehicles or users is helped to choose one."""
        chosen = [("vehicles.view_vehicle", VehicleFilter), ("auth.view_user", UserFilter)]
        allowed = [filter_ for permission, filter_ in chosen if request.user.has_perm(permission)]
        return ["status", SubmittedFilter, CommandNameFilter, *allowed, ErrorCodeFilter]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Command]:
        commands: QuerySet[Command] = Command.objects.visible_to(request.user)
        return commands.order_by(*self.get_ordering(request))

    def found(self, text: str) -> Q:
        return matching(text) | belonging_to("submitted_by", User.objects.filter(username=text))

    def view_on_site(self, obj: Command) -> str:
        return f"/commands/{obj.pk}/"

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
        everything = f"/api/v1/commands/{command.pk}/events/"
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
        chosen = list(commands.values_list("pk", flat=True)[: MOST_CANCELLED + 1])
        if len(chosen) > MOST_CANCELLED:
            problem = f"More than {MOST_CANCELLED} commands are selected, so none was cancelled."
            self.message_user(request, problem, messages.ERROR)
            return
        outcomes = _cancel(request, Command.objects.filter(pk__in=chosen))
        told = ", ".join(f"{number} {what}" for what, number in outcomes.items() if number)
        self.message_user(request, f"Of {len(chosen)} commands: {told}.")

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
    """The commands, or that it was all that the search and filters find."""
    if request.POST.get("select_across") == "1":
        return {"filters": dict(request.GET.lists())}
    return {"commands": request.POST.getlist(ACTION_CHECKBOX_NAME)}


def _cancel(request: HttpRequest, commands: CommandQuerySet) -> dict[str, int]:
    with transaction.atomic():
        audit.record_each(request, Action.CANCEL, commands.still_open())
        cancelled, asked_to_stop = lifecycle.cancel_many(commands)
    ended = commands.count() - cancelled - asked_to_stop
    return {"cancelled": cancelled, "asked to stop": asked_to_stop, "had already ended": ended}


@admin.register(Event)
class EventAdmin(BigTable):
    list_display = ["created_at", "command", "sequence_number", "kind", "beginning"]
    list_select_related = ["command"]
    search_fields = ["command"]
    search_help_text = "A command's whole ID"
    readonly_fields = [
        "command",
        "sequence_number",
        "kind",
        "payload_as_json",
        "created_at",
    ]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        events: QuerySet[Event] = with_beginning(super().get_queryset(request), BEGINNING)
        if sees_all_commands(request.user):
            return events
        return events.filter(command__in=Command.objects.visible_to(request.user))

    def found(self, text: str) -> Q:
        return Q(command=uuid_of(text))

    @admin.display(description="payload")
    def beginning(self, event: Any) -> str:
        text: str = event.start
        return text if event.length <= BEGINNING else f"{text}…"

    @admin.display(description="payload")
    def payload_as_json(self, event: Event) -> str:
        return as_json(event.payload)


@admin.register(Batch)
class BatchAdmin(BigTable):
    list_display = [
        "submitted_at",
        "command_name",
        "vehicle_count",
        "submitted_by",
        "stopped_at",
        "stop_reason",
    ]
    list_filter = [SubmittedFilter, CommandNameFilter]
    list_select_related = ["submitted_by"]
    search_fields = ["batch_id"]
    search_help_text = "A batch's ID, or a user's whole name"
    readonly_fields = [
        "batch_id",
        "command_name",
        "params",
        "vehicle_count",
        "submitted_by",
        "submitted_at",
        "stop_above_failed_percent",
        "stopped_at",
        "stop_reason",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        batches: QuerySet[Batch] = Batch.objects.visible_to(request.user)
        return batches.order_by(*self.get_ordering(request))

    def found(self, text: str) -> Q:
        of_user = belonging_to("submitted_by", User.objects.filter(username=text))
        return Q(pk=uuid_of(text)) | of_user

    def view_on_site(self, obj: Batch) -> str:
        return f"/batches/{obj.pk}/"

    @admin.display(description="parameters")
    def params(self, batch: Batch) -> str:
        return as_json(batch.command_params)


@admin.register(AuditEntry)
class AuditEntryAdmin(BigTable):
    list_display = ["at", "username", "action", "subject", "about", "address"]
    list_filter = ["action", AtFilter]
    search_fields = ["username"]
    search_help_text = "A user's whole name, or the ID of a command or batch"
    readonly_fields = [
        "at",
        "username",
        "user_id",
        "action",
        "subject",
        "details_as_json",
        "address",
    ]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("commands.view_auditentry")

    def found(self, text: str) -> Q:
        """One of them, so that an index gives the latest first."""
        subject = uuid_of(text)
        return Q(subject=str(subject)) if subject else Q(username=text)

    @admin.display(description="details")
    def about(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {value}" for name, value in entry.details.items())

    @admin.display(description="details")
    def details_as_json(self, entry: AuditEntry) -> str:
        return as_json(entry.details)
