"""The protocol, written once: what a subscriber receives, and what rings between processes.

The frames go to WebSocket clients and REST alike. The group message carries a frame's text from
the process that appended an event to those with subscribers. It is a doorbell: the event log is
the truth, so a message may be lost, doubled or late without harm.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from django.utils import timezone

from commands.models import TERMINAL, Event, Kind, Status

MAX_SEQUENCE_NUMBER = 2**31 - 1


class Frame(TypedDict):
    """The fields of every frame. `timestamp` is ISO 8601 in UTC, by the database's clock."""

    event: str
    command_id: str
    sequence_number: int
    timestamp: str


class StatusFrame(Frame):
    status: str


class ResponseFrame(Frame):
    response: dict[str, Any]
    is_final: bool


class ErrorFrame(Frame):
    """With sequence number 0 and without `status`: about the socket, no part of the log."""

    error_code: str
    error_message: str
    status: NotRequired[str]


class CommandEvent(TypedDict):
    """The message to the group `response_<command_id>`."""

    type: Literal["command.event"]
    command_id: str
    sequence_number: int
    frame: str


def frame_of(event: Event) -> Frame:
    frame: Frame = {
        "event": event.kind,
        "command_id": str(event.command_id),
        "sequence_number": event.sequence_number,
        "timestamp": iso(event.created_at),
        **event.payload,
    }
    return frame


def socket_error(command_id: str, error_code: str, error_message: str) -> ErrorFrame:
    return {
        "event": Kind.ERROR,
        "command_id": command_id,
        "sequence_number": 0,
        "timestamp": iso(timezone.now()),
        "error_code": error_code,
        "error_message": error_message,
    }


def encode(frame: Frame) -> str:
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def read_after(text: str) -> int:
    """The sequence number after which a client wants to go on. Raises ValueError."""
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) > MAX_SEQUENCE_NUMBER:
        raise ValueError(f"not a sequence number: {text[:40]!r}")
    return int(text)


# --- The payload of each kind, as it is stored


def status(status: Status) -> tuple[Kind, dict[str, Any]]:
    return Kind.STATUS, {"status": status}


def response(response: dict[str, Any], is_final: bool) -> tuple[Kind, dict[str, Any]]:
    return Kind.RESPONSE, {"response": response, "is_final": is_final}


def error(status: Status, code: str, message: str) -> tuple[Kind, dict[str, Any]]:
    return Kind.ERROR, {"error_code": code, "error_message": message, "status": status}


# --- The doorbell's message


def group_of(command_id: UUID | str) -> str:
    return f"response_{command_id}"


def message_of(event: Event) -> CommandEvent:
    return {
        "type": "command.event",
        "command_id": str(event.command_id),
        "sequence_number": event.sequence_number,
        "frame": encode(frame_of(event)),
    }


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a command's log on its way to a socket: encoded once, sent to many."""

    sequence_number: int
    text: str
    is_terminal: bool
    created_at: datetime


def line_of(event: Event) -> Line:
    frame = frame_of(event)
    return Line(event.sequence_number, encode(frame), is_terminal(frame), event.created_at)


def read_message(message: Mapping[str, Any]) -> tuple[UUID, Line]:
    """Raises ValueError, KeyError or TypeError for what is no `CommandEvent`."""
    frame = json.loads(message["frame"])
    number = message["sequence_number"]
    same = (frame["command_id"], frame["sequence_number"]) == (message["command_id"], number)
    if message["type"] != "command.event" or type(number) is not int or not same:
        raise ValueError("not a command event")
    created_at = datetime.fromisoformat(frame["timestamp"])
    line = Line(number, message["frame"], is_terminal(frame), created_at)
    return UUID(message["command_id"]), line


def is_terminal(frame: Mapping[str, Any]) -> bool:
    return frame.get("status") in TERMINAL
