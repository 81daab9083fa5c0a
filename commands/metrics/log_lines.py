"""Log lines for each move of a command, which show its way through web and worker processes."""

import structlog

from commands.models import TERMINAL, Event, Status

logger = structlog.get_logger(__name__)


def log(event: Event) -> None:
    """Log an event that was committed, unless it is a response of a vehicle."""
    if "status" not in event.payload:
        return
    command = event.command
    logger.info(
        _name_of(event),
        command_id=str(command.pk),
        vehicle_id=str(command.vehicle_id),
        user_id=command.submitted_by_id,
        command_name=command.command_name,
        **event.payload,
    )


def _name_of(event: Event) -> str:
    status = event.payload["status"]
    if status in TERMINAL:
        return "command_ended"
    if status == Status.IN_PROGRESS:
        return "command_claimed"
    return "command_submitted" if event.sequence_number == 1 else "command_given_back"
