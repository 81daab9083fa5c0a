from commands.models.accounts import (
    BrowserSession,
    LogInCount,
    ServiceAccount,
    StreamTicket,
    TokenFamily,
)
from commands.models.audit import Action, AuditEntry
from commands.models.batch import Batch, BatchQuerySet, StopReason
from commands.models.campaign import (
    Campaign,
    CampaignQuerySet,
    CampaignState,
    CampaignStop,
    CampaignVehicle,
    CampaignWave,
)
from commands.models.command import (
    IN_LINE,
    IS_DUE,
    MAX_LOST_WORKERS,
    TO_READ_BACK,
    Command,
    CommandQuerySet,
    first_in_line,
    running_on,
    sees_all_commands,
    still,
)
from commands.models.event import Event, EventQuerySet, Kind
from commands.models.exchange import Exchange
from commands.models.idempotency import CampaignKey, IdempotencyKey, SubmissionKey
from commands.models.lock import VehicleLock
from commands.models.note import Note
from commands.models.removed_execution import RemovedExecution
from commands.models.saved_view import SavedView, ViewPage
from commands.models.status import OPEN, TERMINAL, ErrorCode, Priority, Status
from commands.models.webhook import (
    DeliveredBy,
    DeliveryState,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookQuerySet,
)

__all__ = [
    "IN_LINE",
    "IS_DUE",
    "MAX_LOST_WORKERS",
    "OPEN",
    "TERMINAL",
    "TO_READ_BACK",
    "Action",
    "AuditEntry",
    "Batch",
    "BatchQuerySet",
    "BrowserSession",
    "Campaign",
    "CampaignKey",
    "CampaignQuerySet",
    "CampaignState",
    "CampaignStop",
    "CampaignVehicle",
    "CampaignWave",
    "Command",
    "CommandQuerySet",
    "DeliveredBy",
    "DeliveryState",
    "ErrorCode",
    "Event",
    "EventQuerySet",
    "Exchange",
    "IdempotencyKey",
    "Kind",
    "LogInCount",
    "Note",
    "Priority",
    "RemovedExecution",
    "SavedView",
    "ServiceAccount",
    "Status",
    "StopReason",
    "StreamTicket",
    "SubmissionKey",
    "TokenFamily",
    "VehicleLock",
    "ViewPage",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookQuerySet",
    "first_in_line",
    "running_on",
    "sees_all_commands",
    "still",
]
