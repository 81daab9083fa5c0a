"""Commands of the façade, submitted and cancelled by the same views as those of the REST API.

So they have the same checks, rights, throttles, limits, idempotency and audit.
"""

import json
from datetime import timedelta
from io import BytesIO
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.db import transaction
from django.db.models import F
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from commands import audit, lifecycle
from commands.api.commands.views import CommandViewSet
from commands.api.submission import MaySubmit
from commands.models import Action, Command, Status
from commands.sovd_facade.call import Call
from commands.sovd_facade.errors import not_found, of_refusal

_submit = CommandViewSet.as_view({"post": "create"})
_cancel = CommandViewSet.as_view({"post": "cancel"})


def submit(
    call: Call, command_name: str, params: dict[str, Any], seconds: float | None = None
) -> Command:
    """Submit a command for the caller, which may wait so long for a worker. Raise SovdError."""
    body = {
        "vehicle_id": str(call.vehicle.pk),
        "command_name": command_name,
        "command_params": params,
    }
    answer = _checked(_submit(_request(call, "/api/v1/commands/", body)))
    command = Command.objects.get(pk=answer.data["command_id"])
    if seconds:
        pending = Command.objects.filter(pk=command.pk, status=Status.PENDING)
        pending.update(expires_at=F("submitted_at") + timedelta(seconds=seconds))
    return command


def check_may_submit(call: Call) -> None:
    if not call.user.has_perm("commands.add_command"):
        raise PermissionDenied(MaySubmit.message)


def latest(call: Call, count: int) -> list[Command]:
    """Return the latest operations that the caller may see, but removed ones, oldest first."""
    visible = Command.objects.visible_to(call.user).filter(
        vehicle=call.vehicle,
        command_name__in=["RoutineControl", "ECUReset"],
        removedexecution=None,
    )
    return [*visible.order_by("-submitted_at")[:count]][::-1]


def cancel(call: Call, command: Command) -> None:
    """Cancel a pending command, or ask a running one to stop. Raise SovdError."""
    address = f"/api/v1/commands/{command.pk}/cancel/"
    _checked(_cancel(_request(call, address, {}), command_id=str(command.pk)))


def withdraw(call: Call, command: Command) -> bool:
    """Cancel the command of a caller who no longer waits, unless a worker has it already."""
    command.refresh_from_db()  # it may have been claimed and given back
    with transaction.atomic():
        withdrawn = lifecycle.withdraw(command)
        if withdrawn:
            audit.record_of(call.user, call.request, Action.CANCEL, command.pk, waited=True)
    return withdrawn


def find(call: Call, command_id: Any) -> Command:
    """Return a command of the vehicle that the caller may see. Raise SovdError."""
    visible = Command.objects.visible_to(call.user).filter(
        vehicle=call.vehicle, removedexecution=None
    )
    command = visible.filter(pk=command_id).first()
    if command is None:
        raise not_found(f"There is no execution {command_id}.")
    return command


def _request(call: Call, address: str, body: dict[str, Any]) -> WSGIRequest:
    raw = json.dumps(body).encode()
    return WSGIRequest(
        {
            **call.request.META,
            "REQUEST_METHOD": "POST",
            "PATH_INFO": address,
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(raw)),
            "HTTP_ACCEPT": "application/json",
            "wsgi.input": BytesIO(raw),
        }
    )


def _checked(response: Any) -> Response:
    if response.status_code >= 400:
        raise of_refusal(response.status_code, response.data, dict(response.headers))
    answer: Response = response
    return answer
