"""The values in the responses to ReadDataByID: several, if the identifier has several.

A response may be any JSON, so its texts are cut, and a long one is left out.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import Case, F, TextField, When
from django.db.models.functions import Cast, Length

from commands.models import Event

MAX_VALUES = 20  # in one response
MAX_SIZE = 4 * 1024  # characters of a response with values
MAX_TEXT = 100
MAX_NUMBER = 1e15  # its differences are exact enough for a histogram and a plot


def data_responses(completed: Any) -> Any:
    """Return the final responses, which are next to the last events; `short` is None for a long
    one."""
    length = Length(Cast("payload", TextField()))
    short = Case(When(length__lte=MAX_SIZE, then="payload"))
    found = Event.objects.filter(
        command__in=completed,
        payload__response__type="data",
        sequence_number=F("command__last_sequence_number") - 1,
    )
    return found.alias(length=length).annotate(short=short)


def parts_of(response: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield name, unit and value of each value in a response: several by name, since Postgres keeps
    no other order of them.
    """
    value, unit, units = map(response.get, ("value", "unit", "units"))
    name = str(response.get("name") or response.get("dataId") or "")[:MAX_TEXT]
    if isinstance(value, dict):
        for part, each in sorted(value.items())[:MAX_VALUES]:
            of_part = units.get(part) if isinstance(units, dict) else ""
            yield f"{name} {part}"[:MAX_TEXT], str(of_part or "")[:20], each
    elif value is not None:
        yield name, str(unit or "")[:20], value


def is_number(value: Any) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and abs(value) < MAX_NUMBER
