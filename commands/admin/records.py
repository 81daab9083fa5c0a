"""Events, batches and the audit in the admin, which shows them and changes none."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from commands.admin.lists import (
    AuditTimeFilter,
    CommandNameFilter,
    SubmittedFilter,
)
from commands.admin.tables import (
    LargeTableAdmin,
    ReadOnly,
    as_json,
    with_beginning,
)
from commands.models import (
    Action,
    AuditEntry,
    Batch,
    Command,
    Event,
    ServiceAccount,
    sees_all_commands,
)
from commands.search import MAX_NAMED, belonging_to, uuid_of
from vehicles.models import Vehicle
from vehicles.vin import normal_vin

OF_VEHICLES = (Action.ADD_VEHICLE, Action.CHANGE_VEHICLE, Action.RETIRE_VEHICLE)
BEGINNING = 100  # characters of a payload in a list


@admin.register(Event)
class EventAdmin(LargeTableAdmin):
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

    def search_filter(self, text: str) -> Q:
        return Q(command=uuid_of(text))

    @admin.display(description="payload")
    def beginning(self, event: Any) -> str:
        text: str = event.start
        return text if event.length <= BEGINNING else f"{text}…"

    @admin.display(description="payload")
    def payload_as_json(self, event: Event) -> str:
        return as_json(event.payload)


@admin.register(Batch)
class BatchAdmin(LargeTableAdmin):
    list_display = [
        "submitted_at",
        "name",
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
        "name",
        "reason",
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

    def search_filter(self, text: str) -> Q:
        of_user = belonging_to("submitted_by", User.objects.filter(username=text))
        return Q(pk=uuid_of(text)) | of_user

    def view_on_site(self, obj: Batch) -> str:
        return reverse("batch", args=[obj.pk])

    @admin.display(description="parameters")
    def params(self, batch: Batch) -> str:
        return as_json(batch.command_params)


@admin.register(AuditEntry)
class AuditEntryAdmin(LargeTableAdmin):
    list_display = ["at", "username", "action", "about_what", "about", "address"]
    list_filter = ["action", AuditTimeFilter]
    search_fields = ["username"]
    search_help_text = "A user's whole name, a VIN, or the ID of a command or batch"
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

    def search_filter(self, text: str) -> Q:
        """Search by one of them, so that an index gives the latest first."""
        if subject := uuid_of(text):
            return Q(subject=str(subject))
        vehicle = Vehicle.objects.filter(vin=normal_vin(text)).first()
        return Q(subject__in=subjects_about(vehicle)) if vehicle else Q(username=text)

    @admin.display(description="subject")
    def about_what(self, entry: AuditEntry) -> str:
        page = page_about(entry)
        address = reverse(page, args=[entry.subject]) if page else ""
        return format_html('<a href="{}">{}</a>', address, entry.subject) if page else entry.subject

    @admin.display(description="details")
    def about(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {value}" for name, value in entry.details.items())

    @admin.display(description="details")
    def details_as_json(self, entry: AuditEntry) -> str:
        return as_json(entry.details)


def subjects_about(vehicle: Vehicle) -> list[str]:
    """Return the IDs of a vehicle, its latest commands, and the batches of these."""
    commands = vehicle.commands.order_by("-submitted_at").values_list("pk", "batch_id")
    ids = {pk for each in commands[:MAX_NAMED] for pk in each if pk}
    return [str(pk) for pk in (vehicle.pk, *ids)]


def page_about(entry: AuditEntry) -> str | None:
    """Return the name of the page of what was submitted, or of the vehicle."""
    if not uuid_of(entry.subject):
        return None
    if entry.action in (Action.SUBMIT, Action.CONFIRM):
        return "batch" if "vehicles" in entry.details else "command"
    return "vehicle" if entry.action in OF_VEHICLES else None


@admin.register(ServiceAccount)
class ServiceAccountAdmin(ReadOnly, admin.ModelAdmin):
    """List of service accounts, which the API creates and revokes."""

    list_display = ["name", "client_id", "groups", "is_active", "created_by", "created_at"]
    readonly_fields = ["name", "client_id", "groups", "is_active", "created_by", "created_at"]
    list_select_related = ["user"]
    sortable_by = ()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("auth.add_user")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceAccount]:
        accounts: QuerySet[ServiceAccount] = super().get_queryset(request)
        return accounts.prefetch_related("user__groups")

    @admin.display(description="name")
    def name(self, account: ServiceAccount) -> str:
        return account.user.get_username()

    @admin.display(description="groups")
    def groups(self, account: ServiceAccount) -> str:
        return ", ".join(group.name for group in account.user.groups.all())

    @admin.display(description="active", boolean=True)
    def is_active(self, account: ServiceAccount) -> bool:
        return account.user.is_active
