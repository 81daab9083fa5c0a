"""The result of each command of a list, as one line of text.

A response may be any JSON: only the named fields of the last responses are read, and they are cut.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import F
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left

from commands.models import Event

MAX_CODES = 3
# Codes, the summary behind them, and the terminal event.
MAX_EVENTS = MAX_CODES + 2
FIELDS = {
    "type": 10,
    "dtcCode": 8,
    "dtcCount": 9,
    "value": 40,
    "unit": 20,
    "clearedCount": 9,
    "verified": 5,
    "raw": 40,
    "action": 10,
    "ecuCount": 9,
    "reachableCount": 9,
}

Fields = dict[str, str]


def lines_of(completed: Iterable[UUID]) -> dict[UUID, str]:
    """Return the results of completed commands, by one statement. Many types have no line."""
    responses: dict[UUID, list[Fields]] = defaultdict(list)
    for command_id, *values in _last_responses(list(completed)):
        fields = {name: value or "" for name, value in zip(FIELDS, values, strict=True)}
        responses[command_id].append(fields)
    return {command_id: _line(each) for command_id, each in responses.items()}


def _last_responses(commands: list[UUID]) -> Any:
    response = KeyTransform("response", "payload")
    return (
        Event.objects.filter(
            command__in=commands,
            sequence_number__gt=F("command__last_sequence_number") - MAX_EVENTS,
        )
        .current_responses()
        .order_by("command", "sequence_number")
        .values_list(
            "command",
            *[Left(KeyTextTransform(name, response), length) for name, length in FIELDS.items()],
        )
    )


def _line(responses: list[Fields]) -> str:
    last = responses[-1]
    write = LINES.get(last["type"])
    return write(last, responses) if write else ""


def _codes(last: Fields, responses: list[Fields]) -> str:
    if last["dtcCount"] == "0":
        return "No trouble codes"
    codes = [each["dtcCode"] for each in responses if each["type"] == "dtc"]
    count = _counted(last["dtcCount"], "code")
    more = " …" if last["dtcCount"] != str(len(codes)) else ""
    return f"{count}: {', '.join(codes)}{more}" if codes else count


def _value(last: Fields, responses: list[Fields]) -> str:
    if not last["unit"]:
        return last["value"]
    return f"{_grouped(last['value'])} {last['unit']}"


def _grouped(number: str) -> str:
    """Return a number with commas between its thousands; any other text as it is."""
    whole, point, rest = number.removesuffix(".0").partition(".")
    return f"{int(whole):,}{point}{rest}" if re.fullmatch("-?[0-9]+", whole) else number


def _cleared(last: Fields, responses: list[Fields]) -> str:
    remain = ", but codes remain" if last["verified"] in ("false", "0") else ""
    return f"{_counted(last['clearedCount'], 'code')} cleared{remain}"


def _scan(last: Fields, responses: list[Fields]) -> str:
    reached = f"{last['reachableCount']} of {last['ecuCount']} ECUs"
    return f"{reached}, {_counted(last['dtcCount'], 'code')}"


def _counted(count: str, noun: str) -> str:
    return f"{count} {noun}{'' if count == '1' else 's'}"


LINES = {
    "summary": _codes,
    "data": _value,
    "cleared": _cleared,
    "snapshot": lambda last, _: f"Snapshot of {last['dtcCode']}",
    "written": lambda last, _: f"{last['raw']} written",
    "routine": lambda last, _: f"{last['action']}: {last['raw'] or 'no status record'}",
    "reset": lambda *_: "Reset",
    "scan": _scan,
}
