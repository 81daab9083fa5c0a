"""Answers of the server: their shapes, and errors where an answer has another shape."""

from typing import Any, TypedDict, TypeVar, cast, get_args, get_origin, get_type_hints

Shape = TypeVar("Shape")


class Refused(Exception):
    """The server will not do this, and asking again will not help. `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unavailable(Exception):
    """The server gave no answer, or was not ready, for as long as the client had patience."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Tokens(TypedDict):
    """The part of a log-in's answer that is used."""

    access: str


class Vehicle(TypedDict):
    """A vehicle as the API shows it; the fields that a program needs most."""

    vehicle_id: str
    vin: str
    connection_status: str
    make: str
    model: str
    year: int | None


class Command(TypedDict):
    """A command as the API shows it; the fields that a program needs most."""

    command_id: str
    vehicle_id: str
    command_name: str
    command_params: dict[str, Any]
    status: str
    error_code: str
    error_message: str
    last_sequence_number: int


class _Event(TypedDict):
    event: str
    command_id: str
    sequence_number: int
    timestamp: str


class Event(_Event, total=False):
    """One event of a command. `event` tells which of the further fields it has."""

    status: str
    response: dict[str, Any]
    is_final: bool
    error_code: str
    error_message: str


class _Page(TypedDict):
    results: list[Any]


class Page(_Page, total=False):
    """One page of a list, and the address of the next."""

    next: str | None


def is_terminal(event: Event) -> bool:
    """Tell whether this event ends its command, by the rule in docs/protocol.md."""
    if event["event"] == "error":
        return "status" in event
    return event.get("status") in ("completed", "cancelled")


def checked(shape: type[Shape], answer: Any) -> Shape:
    """Return the answer as this TypedDict. Raise Refused if it has another shape."""
    if not isinstance(answer, dict):
        raise Refused("bad_answer", f"The server sent no {shape.__name__}, but other JSON.")
    required: frozenset[str] = getattr(shape, "__required_keys__", frozenset())
    for name, hint in get_type_hints(shape).items():
        if name not in answer and name not in required:
            continue
        if not isinstance(answer.get(name), _classes(hint)):
            message = f"The server sent a {shape.__name__} with a missing or odd {name!r}."
            raise Refused("bad_answer", message)
    return cast(Shape, answer)


def _classes(hint: Any) -> tuple[type, ...]:
    """Return the classes that isinstance() compares with."""
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, dict | list):
        return (origin,)
    return get_args(hint) or (hint,)
