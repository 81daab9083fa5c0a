"""The command that runs on a vehicle and those in its line, in the REST API."""

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from rest_framework import serializers

from commands.models import Command, Status, running_on, sees_all_commands
from vehicles.models import Vehicle

MAX_WAITING = 10
NOT_VISIBLE = "null: a command of another user, which you may not see"


class QueuedSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(Status.choices)
    submitted_at = serializers.DateTimeField()
    command_id = serializers.UUIDField(allow_null=True, help_text=NOT_VISIBLE)
    command_name = serializers.CharField(allow_null=True, help_text=NOT_VISIBLE)
    submitted_by = serializers.CharField(allow_null=True, help_text=NOT_VISIBLE)


def queue_of(vehicle: Vehicle, user: User | AnonymousUser) -> list[dict[str, Any]]:
    """Return the running command and the first ten in line, as the vehicle carries them out."""
    waiting = Command.objects.eligible().filter(vehicle=vehicle)
    line = waiting.select_related("submitted_by").order_by("submitted_at", "command_id")
    running = running_on(vehicle).select_related("submitted_by")
    sees_all = sees_all_commands(user)
    return [
        _body(each, sees_all or each.submitted_by_id == user.pk)
        for each in [*running, *line[:MAX_WAITING]]
    ]


def _body(command: Command, is_visible: bool) -> dict[str, Any]:
    return {
        "status": command.status,
        "submitted_at": command.submitted_at,
        "command_id": command.pk if is_visible else None,
        "command_name": command.command_name if is_visible else None,
        "submitted_by": command.submitted_by.username if is_visible else None,
    }
