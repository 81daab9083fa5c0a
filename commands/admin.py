"""Commands and events in the admin: to look at, within the one rule of who sees what."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from commands.models import Command, Event


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


class EventInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Event
    fields = ["sequence_number", "kind", "payload", "created_at"]
    ordering = ["sequence_number"]


@admin.register(Command)
class CommandAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = [
        "submitted_at",
        "command_name",
        "vehicle",
        "status",
        "error_code",
        "submitted_by",
    ]
    list_filter = ["status", "command_name", "error_code"]
    list_select_related = ["vehicle", "submitted_by"]
    search_fields = ["command_id", "vehicle__vin", "submitted_by__username"]
    exclude = ["claim_token"]
    show_full_result_count = False
    inlines = [EventInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Command]:
        commands: QuerySet[Command] = Command.objects.visible_to(request.user)
        return commands.order_by(*self.get_ordering(request))


@admin.register(Event)
class EventAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["created_at", "command", "sequence_number", "kind", "payload"]
    list_filter = ["kind"]
    list_select_related = ["command"]
    search_fields = ["command__command_id"]
    ordering = ["-id"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        visible = Command.objects.visible_to(request.user)
        return super().get_queryset(request).filter(command__in=visible)
