"""Addresses with the ids of rows that exist, and bodies that are sent to them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from commands import lifecycle
from commands.accounts import service_accounts
from commands.campaigns import plan
from commands.models import (
    Action,
    AuditEntry,
    Campaign,
    Command,
    Note,
    SavedView,
    ServiceAccount,
    TokenFamily,
    Webhook,
)
from commands.tests.rights.rules import COMPONENT, OPERATION
from conftest import ReadDTC
from vehicles.descriptions import storage
from vehicles.descriptions.models import Description
from vehicles.models import Vehicle


def campaign_of(command: Command) -> Campaign:
    """Return the draft of the command's user for its vehicle."""
    drafts = Campaign.objects.filter(submitted_by=command.submitted_by)
    found: Campaign | None = drafts.filter(vehicle_rows__vehicle=command.vehicle_id).first()
    if found is None:
        expires_at = timezone.now() + timedelta(days=1)
        found = Campaign(submitted_by=command.submitted_by, expires_at=expires_at, **ReadDTC)
        plan.write(found, Vehicle.objects.filter(pk=command.vehicle_id))
    return found


def webhook_of(user: User) -> Webhook:
    """Return a webhook of this user, with a delivery."""
    found: Webhook | None = Webhook.objects.first()
    if found is None:
        found = Webhook.objects.create(owner=user, url="https://example.com/", is_active=False)
    if not found.deliveries.exists():
        found.deliveries.create(event="webhook.test")
    return found


def address_of(route: str, command: Command) -> str:
    """Return the address of a route, with ids of rows that exist."""
    group, _ = Group.objects.get_or_create(name="A group")
    user, _ = User.objects.get_or_create(username="somebody")
    name = f"program-{command.pk}"
    account = ServiceAccount.objects.first() or service_accounts.create(name, [], user)
    description = Description.objects.first() or storage.add("a.pdx", [b"x"])
    note, _ = Note.objects.get_or_create(vehicle_id=command.vehicle_id, author=user)
    view, _ = SavedView.objects.get_or_create(owner=user, page="commands", is_shared=True)
    entry = AuditEntry.objects.first() or AuditEntry.objects.create(action=Action.LOG_IN)
    webhook = webhook_of(command.submitted_by)
    ids = {
        "admin/commands/auditentry": entry.pk,
        "admin/commands/batch": command.batch_id,
        "admin/commands/campaign": campaign_of(command).pk,
        "admin/commands/command": command.pk,
        "admin/commands/serviceaccount": account.pk,
        "admin/commands/savedview": view.pk,
        "admin/commands/webhook": webhook.pk,
        "admin/commands/webhookdelivery": webhook.deliveries.latest("created_at").pk,
        "admin/commands/event": command.events.values_list("pk", flat=True)[0],
        "admin/vehicles/description": description.pk,
        "admin/vehicles/vehicle": command.vehicle_id,
        "admin/auth/group": group.pk,
        "admin/auth/user": user.pk,
    }
    login = TokenFamily.objects.first() or TokenFamily.objects.create(
        user=user, expires_at=timezone.now()
    )
    about = {
        "accounts": login.pk,  # of another user
        "batches": command.batch_id,
        "campaigns": campaign_of(command).pk,
        "commands": command.pk,
        "descriptions": description.pk,
        "vehicles": command.vehicle_id,
    }
    execution = command
    if "{execution_id}" in route:
        params = {"ecuAddress": "0x10", "routineId": "0x0203", "action": "start"}
        submitted = (command.submitted_by, command.vehicle, "RoutineControl", params)
        execution = lifecycle.submit(*submitted)
    address = "/" + route.format(
        client_id=account.pk,
        note_id=note.pk,
        view_id=view.pk,
        description_id=description.pk,
        webhook_id=webhook.pk,
        command_id=command.pk,
        batch_id=command.batch_id,
        campaign_id=campaign_of(command).pk,
        vehicle_id=command.vehicle_id,
        id=ids.get("/".join(route.split("/")[:3])),
        pk=about.get(route.split("/", maxsplit=1)[0]),
        app_label="commands",
        content_type_id=1,
        object_id=command.pk,
        url="nothing",
        vin=command.vehicle.vin,
        below="components",
        collection="areas",
        component_id="0x10",
        relation="hosts",
        code="P0420",
        data_id="0xF190",
        operation_id="0x0203",
        execution_id=execution.pk,
        lock_id=command.pk,
    )
    # No worker is there: who waits for the vehicle gets a 504.
    return f"{address}?timeout=0.01" if route.startswith("sovd/") else address


def campaign_body(command: Command) -> dict[str, Any]:
    return {"vehicle_ids": [str(command.vehicle_id)], "command_name": "ScanVehicle"}


BODIES: dict[str, Callable[[Command], dict[str, Any]]] = {
    "api/v1/commands/": lambda command: {"vehicle_id": str(command.vehicle_id), **ReadDTC},
    "api/v1/commands/cancel/": lambda command: {"command_ids": [str(command.pk)]},
    "api/v1/batches/preview/": lambda command: {"vehicle_ids": [str(command.vehicle_id)]},
    "api/v1/batches/": lambda command: {"vehicle_ids": [str(command.vehicle_id)], **ReadDTC},
    "api/v1/campaigns/preview/": campaign_body,
    "api/v1/campaigns/": campaign_body,
    "api/v1/stream-tickets/": lambda command: {"command_id": str(command.pk)},
    f"{COMPONENT}/locks": lambda _: {"lock_expiration": 60},
    f"{COMPONENT}/data/{{data_id}}": lambda _: {"data": "01"},
    f"{OPERATION}/executions/{{execution_id}}": lambda _: {"capability": "stop"},
}
