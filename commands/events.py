"""The frames of the protocol, and the messages between processes that carry them.

WebSocket clients and REST get the same frames. A group message carries the text of a frame from the
process that appended the event to the processes with subscribers. It is a hint: the event log is
the truth, so a message may be lost, doubled or late without harm. Close codes and their reasons are
in `commands/stream/protocol.py`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict
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
    """Error frame. With sequence number 0 and without `status` it is about the socket alone."""

    error_code: str
    error_message: str
    status: NotRequired[str]


class CommandEvent(TypedDict):
    """Message to the group `response_<command_id>`."""

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
    """Return the sequence number in `after=N`. Raise ValueError."""
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) > MAX_SEQUENCE_NUMBER:
        raise ValueError(f"not a sequence number: {text[:40]!r}")
    return int(text)


# --- The stored payload of each kind


class Entry(NamedTuple):
    """Content of an event, before it has a command and a number."""

    kind: Kind
    payload: dict[str, Any]


def status(status: Status) -> Entry:
    return Entry(Kind.STATUS, {"status": status})


def response(response: dict[str, Any], is_final: bool) -> Entry:
    return Entry(Kind.RESPONSE, {"response": response, "is_final": is_final})


def error(status: Status, code: str, message: str) -> Entry:
    return Entry(Kind.ERROR, {"error_code": code, "error_message": message, "status": status})


# --- The group message


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
    """Event on its way to the sockets: encoded once, sent to many."""

    sequence_number: int
    text: str
    is_terminal: bool
    created_at: datetime


def line_of(event: Event) -> Line:
    frame = frame_of(event)
    return Line(event.sequence_number, encode(frame), is_terminal(frame), event.created_at)


def read_message(message: Mapping[str, Any]) -> tuple[UUID, Line]:
    """Return the command and the line of a command event.

    Raise ValueError, KeyError or TypeError for any other message.
    """
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
