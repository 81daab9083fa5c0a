"""Reads and clears of trouble codes, from the event log.

A response may be any JSON: one that names no trouble code is left out, its texts are cut, and a
read that was not understood completely lets no code disappear.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, Sum, TextField, Window
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Least, Left, Length

from commands.models import Command, CommandQuerySet, Kind, Status, sees_all_commands
from commands.trouble_codes.history import Clear, History, Read, Source, TroubleCode, history_of
from vehicles.connectors import dtc
from vehicles.ecus import ECU_ADDRESS_PATTERN, normal_address
from vehicles.models import Vehicle

MAX_COMMANDS = 200
MAX_RESPONSES = 250  # of one ReadDTC
MAX_LONG_RESPONSES = 5_000  # of all ClearDTC and ScanVehicle together
MAX_LISTS = 8 * 1024 * 1024  # characters of the lists in them, together
MAX_LIST = 96 * 1024
MAX_CHANGES = 1_000
MAX_BITS = 8

# The fields that are read, and how many characters of each: the rest stays in the database.
OF_CODES = {
    "type": 4,
    "ecuAddress": 7,
    "dtcCode": 9,
    "description": 200,
    "status": 16,
    "statusBits": 500,
    "confirmed": 5,
}
OF_LONG_RESPONSES = {
    "type": 8,
    "ecuAddress": 7,
    "verified": 5,
    "before": MAX_LIST,
    "remaining": MAX_LIST,
    "reachable": 5,
    "problem": 1,
    "dtcs": MAX_LIST,
}

Fields = dict[str, Any]
Responses = dict[UUID, list[Fields]]


def of_vehicle(vehicle: Vehicle, user: User | AnonymousUser) -> tuple[History, bool]:
    """Return the history from the last commands, and whether it is all there is."""
    latest = list(evidence(vehicle=vehicle).select_related("submitted_by")[: MAX_COMMANDS + 1])
    commands = latest[:MAX_COMMANDS]
    reader = _reader(commands, vehicle, user)
    found, are_all = _operations(commands, reader)
    operations = [operation for _, operation in found]
    history = history_of(operations)
    history.scans = [reader.source(each) for each in commands if each.command_name == "ScanVehicle"]
    is_complete = (
        are_all
        and len(latest) <= MAX_COMMANDS
        and len(history.timeline) <= MAX_CHANGES
        and all(operation.is_understood for operation in operations if isinstance(operation, Read))
    )
    del history.timeline[:-MAX_CHANGES]
    return history, is_complete


def reads_of(
    commands: list[Command], vehicle: Vehicle, user: User | AnonymousUser
) -> list[tuple[UUID, Read]]:
    """Return the reads in commands of a vehicle, by their time, each with its command's ID."""
    operations, _ = _operations(commands, _reader(commands, vehicle, user))
    return [(pk, operation) for pk, operation in operations if isinstance(operation, Read)]


def _reader(commands: list[Command], vehicle: Vehicle, user: User | AnonymousUser) -> "_Reader":
    sees_all = sees_all_commands(user)
    visible = {command.pk for command in commands if sees_all or command.submitted_by_id == user.pk}
    return _Reader([ecu.address for ecu in vehicle.configured_ecus], visible)


def evidence(**vehicle: Any) -> CommandQuerySet:
    """Return the commands that the trouble codes of a vehicle are derived from, latest first."""
    return Command.objects.filter(
        status=Status.COMPLETED,
        command_name__in=["ReadDTC", "ClearDTC", "ScanVehicle"],  # the condition of the index
        **vehicle,
    ).order_by("-submitted_at")


def _operations(
    commands: list[Command], reader: "_Reader"
) -> tuple[list[tuple[UUID, Read | Clear]], bool]:
    """Return the operations by their time, each with the ID of its command, and whether all
    responses were looked at."""
    reads = [command for command in commands if command.command_name == "ReadDTC"]
    others = [command for command in commands if command.command_name != "ReadDTC"]
    responses = _code_responses(reads) | _long_responses(others)
    operations = [
        (command.pk, operation)
        for command in sorted(commands, key=_end_of)
        for operation in reader.operations_of(command, responses.get(command.pk, []))
    ]
    are_all = all(len(responses.get(each.pk, [])) == _response_count(each) for each in others)
    return operations, are_all


def _end_of(command: Command) -> datetime:
    return command.completed_at or command.submitted_at


def codes_of_scans(scans: list[Command]) -> tuple[list[tuple[UUID, TroubleCode]], bool]:
    """Return the stored codes of completed scans, and whether all responses were looked at."""
    responses = _long_responses(scans)
    codes = [
        (command_id, _code(_as_fields(code)))
        for command_id, of_ecus in responses.items()
        for of_ecu in of_ecus
        for code in (_list(of_ecu["dtcs"]) or [])[:MAX_RESPONSES]
    ]
    are_all = all(len(responses.get(each.pk, [])) == _response_count(each) for each in scans)
    return [(pk, code) for pk, code in codes if _is_known(code)], are_all


def codes_of_reads(reads: list[Command]) -> list[tuple[UUID, TroubleCode]]:
    """Return the stored codes of completed ReadDTC commands."""
    codes = [
        (command_id, _code(response))
        for command_id, responses in _code_responses(reads).items()
        for response in responses
        if response["type"] == "dtc"
    ]
    return [(pk, code) for pk, code in codes if _is_known(code)]


def _is_known(code: TroubleCode) -> bool:
    is_code = isinstance(code.dtc_code, str) and re.match(dtc.PATTERN, code.dtc_code)
    return bool(is_code) and is_stored(code.status)


# --- The meaning of responses


class _Reader:
    """Makes operations of commands and their responses."""

    def __init__(self, ecu_addresses: list[str], visible: set[UUID]) -> None:
        """`ecu_addresses`: as they are spelled; `visible`: the commands that the user may see."""
        self._ecu_addresses = ecu_addresses
        self._visible = visible

    def operations_of(self, command: Command, responses: list[Fields]) -> Iterator[Read | Clear]:
        source = self.source(command)
        if command.command_name == "ScanVehicle":
            yield from self._scan(source, responses)
            return
        ecu = self._address(command.command_params.get("ecuAddress"))
        if ecu and command.command_name == "ReadDTC":
            mask = command.command_params.get("statusMask")
            yield self._read(source, ecu, responses, _fits(command), _is_mask(mask))
        elif ecu:
            yield from _clear(source, ecu, command.command_params.get("dtcCode"), responses)

    def source(self, command: Command) -> Source:
        if command.pk in self._visible:
            return Source(command.pk, command.submitted_by.username, _end_of(command))
        return Source(None, None, _end_of(command))

    def _address(self, text: Any) -> str | None:
        is_address = isinstance(text, str) and re.match(ECU_ADDRESS_PATTERN, text)
        return normal_address(text, self._ecu_addresses) if is_address else None

    def _read(
        self, source: Source, ecu: str, responses: list[Fields], fits: bool, is_masked: bool = False
    ) -> Read:
        reported = [each for each in responses[-MAX_RESPONSES:] if each["type"] == "dtc"]
        understood = [each for each in reported if self._is_of(ecu, each)]
        codes = {code.dtc_code: code for code in map(_code, understood) if is_stored(code.status)}
        return Read(source, ecu, codes, fits and len(understood) == len(reported), is_masked)

    def _is_of(self, ecu: str, response: Fields) -> bool:
        """Return whether it names a trouble code, and no other ECU than the one that was asked."""
        is_code = isinstance(response["dtcCode"], str) and re.match(
            dtc.PATTERN, response["dtcCode"]
        )
        return bool(is_code) and self._address(response["ecuAddress"]) in (None, ecu)

    def _scan(self, source: Source, responses: list[Fields]) -> Iterator[Read]:
        """Yield a read of each ECU whose codes were read."""
        for response in responses:
            ecu = self._address(response["ecuAddress"])
            codes = _list(response["dtcs"])
            is_read = response["reachable"] == "true" and (codes or not response["problem"])
            if response["type"] == "ecu" and ecu and is_read:
                fields = [_as_fields(code) for code in codes or []]
                fits = codes is not None and not response["problem"]
                yield self._read(source, ecu, fields, fits and len(fields) <= MAX_RESPONSES)


def _clear(source: Source, ecu: str, code: str | None, responses: list[Fields]) -> Iterator[Clear]:
    """Yield a clear, unless the vehicle says that codes remain, and not which."""
    cleared = next((each for each in responses if each["type"] == "cleared"), {})
    before, remaining = (_codes(cleared.get(name)) for name in ("before", "remaining"))
    if remaining is not None or cleared.get("verified") != "false":
        yield Clear(source, ecu, code, before, remaining)


def _is_mask(mask: Any) -> bool:
    """Return whether a status mask may leave out codes that are stored."""
    is_byte = isinstance(mask, str) and re.fullmatch("0x[0-9A-Fa-f]{2}", mask)
    return bool(is_byte) and int(mask, 16) & dtc.STORED != dtc.STORED


def is_stored(status: str) -> bool:
    """Return False for a code of which the ECU only says that it was not tested since a clear."""
    is_byte = re.fullmatch("0x[0-9A-Fa-f]{2}", status)
    return not is_byte or bool(int(status, 16) & dtc.STORED)


def _code(response: Fields) -> TroubleCode:
    return TroubleCode(
        response["dtcCode"],
        _text(response["description"]),
        _text(response["status"]),
        _bits(response["statusBits"]),
        {"true": True, "false": False}.get(response["confirmed"]),
    )


def _text(field: str | None) -> str:
    """Return the text of a field, empty if it is JSON of another kind."""
    is_text = field and field != "null" and field[0] not in "[{"  # "null": as SQLite says it
    return field if field and is_text else ""


def _bits(field: str | None) -> tuple[str, ...]:
    return tuple(name for name in _list(field) or [] if isinstance(name, str))[:MAX_BITS]


def _codes(field: str | None) -> frozenset[str] | None:
    """Return the trouble codes of a list, or None if it is no such list."""
    codes = _list(field)
    are_codes = codes is not None and all(
        isinstance(code, str) and re.match(dtc.PATTERN, code) for code in codes
    )
    return frozenset(codes or []) if are_codes else None


def _list(field: str | None) -> list[Any] | None:
    """Return a list that was stored as JSON, or None if it is none, or was cut."""
    try:
        found = json.loads(field or "")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _as_fields(code: Any) -> Fields:
    """Return an object of a list as the database returns the fields of a response."""
    known = code if isinstance(code, dict) else {}
    texts = {
        name: value if isinstance(value, str) or value is None else json.dumps(value)
        for name, value in ((name, known.get(name)) for name in OF_CODES)
    }
    fields = {name: text and text[: OF_CODES[name]] for name, text in texts.items()}
    return fields | {"type": "dtc"}  # it is nothing else in a list of trouble codes


# --- Responses in the database


def _fits(command: Command) -> bool:
    """Return whether all responses of a completed command are among the last that are read."""
    return _response_count(command) <= MAX_RESPONSES


def _response_count(command: Command) -> int:
    """Return the number of responses that count of a completed command."""
    return command.last_sequence_number - command.claim_sequence_number - 1


def _code_responses(reads: list[Command]) -> Responses:
    """Return the last responses that count, by command."""
    first = F("last_sequence_number") - MAX_RESPONSES
    rows = _rows(reads, OF_CODES, events__sequence_number__gte=first)
    return _by_command(rows.order_by("pk", "events__sequence_number"), OF_CODES)


def _long_responses(commands: list[Command]) -> Responses:
    """Return responses with lists in them, by command, as many of the latest as fit together."""
    order: Any = [F("submitted_at").desc(), F("events__sequence_number")]
    size = Length(Cast("events__payload", TextField()))
    rows = (
        _rows(commands, OF_LONG_RESPONSES)
        .alias(together=Window(Sum(Least(size, MAX_LIST)), order_by=order))
        .filter(together__lte=MAX_LISTS)
        .order_by(*order)
    )
    return _by_command(rows[:MAX_LONG_RESPONSES], OF_LONG_RESPONSES)


def _by_command(rows: Any, fields: dict[str, int]) -> Responses:
    responses: Responses = defaultdict(list)
    for command_id, *values in rows:
        responses[command_id].append(dict(zip(fields, values, strict=True)))
    return responses


def _rows(commands: list[Command], fields: dict[str, int], **of_event: Any) -> Any:
    """Return these fields of the responses that count. A second `filter` would join all again."""
    response = KeyTransform("response", "events__payload")
    values = [Left(KeyTextTransform(name, response), length) for name, length in fields.items()]
    return Command.objects.filter(
        pk__in=[command.pk for command in commands],
        events__kind=Kind.RESPONSE,
        events__sequence_number__gt=F("claim_sequence_number"),
        **of_event,
    ).values_list("pk", *values)
