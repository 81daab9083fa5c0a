"""Exchanges with real vehicles, as they are shown: pages, a transcript, and a part of an export."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Length
from django.urls import reverse

from commands.events import iso
from commands.models import Command, Exchange
from vehicles.connectors import nrc

PAGE = 500  # exchanges
MAX_CHARACTERS = 1_000_000  # of the requests and responses of a page, but for a single exchange
MAX_EXPORTED = 256_000  # the same for each command of an export
MAX_TRANSCRIPT = 4_000_000
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


def page(command: Command, after: int, characters: int = MAX_CHARACTERS) -> list[Exchange]:
    """Return the exchanges after the one with this ID, as many as a page holds."""
    rows = command.exchanges.filter(pk__gt=after)
    sizes = with_size(rows).values_list("pk", "size")[:PAGE]
    ids: list[int] = []
    total = 0
    for pk, size in sizes:
        total += size
        if ids and total > characters:
            break
        ids.append(pk)
    return list(rows.filter(pk__in=ids))


def has_more(command: Command, after: int) -> bool:
    return command.exchanges.filter(pk__gt=after).exists()


def with_size(rows: QuerySet[Exchange]) -> Any:
    size = Length("request") + Coalesce(Length("response"), 0)
    return rows.order_by("pk").annotate(size=size)


def as_json(exchange: Exchange) -> dict[str, Any]:
    return {
        "ecuAddress": exchange.ecu_address,
        "service": exchange.service,
        "request": exchange.request,
        "response": exchange.response,
        "nrc": exchange.nrc,
        "nrc_name": exchange.nrc_name,
        "pending_count": exchange.pending_count,
        "started_at": iso(exchange.started_at),
        "duration_ms": exchange.duration_ms,
        "sequence_number": exchange.sequence_number,
    }


def of_commands(
    commands: Collection[Command], characters: int = MAX_EXPORTED
) -> dict[UUID, dict[str, Any]]:
    """Return the exchanges of each command, and how many are left off because it has too much."""
    rows = with_size(Exchange.objects.filter(command__in=commands))
    totals: Counter[UUID] = Counter()
    left_off: Counter[UUID] = Counter()
    ids = []
    for pk, command_id, size in rows.values_list("pk", "command_id", "size"):
        totals[command_id] += size
        if totals[command_id] <= characters:
            ids.append(pk)
        else:
            left_off[command_id] += 1
    kept: defaultdict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for exchange in Exchange.objects.filter(pk__in=ids).order_by("pk"):
        kept[exchange.command_id].append(as_json(exchange))
    return {
        command.pk: {"exchanges": kept[command.pk], "exchanges_left_off": left_off[command.pk]}
        for command in commands
    }


# --- The transcript


def transcript(command: Command) -> str:
    """Return the exchanges as text to read. A terminal obeys nothing in it."""
    lines = [*_head(command)]
    after, characters = 0, 0
    while characters < MAX_TRANSCRIPT and (exchanges := page(command, after)):
        for exchange in exchanges:
            entry = [*_entry(exchange)]
            lines += entry
            characters += sum(map(len, entry))
        after = exchanges[-1].pk
    if after == 0:
        lines.append("No exchange with the vehicle was kept.")
    elif has_more(command, after):
        address = f"{reverse('exchanges', args=[command.pk])}?after={after}"
        lines.append(f"More exchanges follow: see {address}")
    return "".join(f"{_printable(line)}\n" for line in lines)


def _head(command: Command) -> Iterator[str]:
    yield f"Command    {command.command_name} {command.pk}"
    yield f"Vehicle    {command.vehicle.vin}"
    yield f"Submitted  {iso(command.submitted_at)} by {command.submitted_by.get_username()}"
    yield f"Status     {command.status} {command.error_code}".rstrip()
    if command.error_message:
        yield f"           {command.error_message}"
    yield ""


def _entry(exchange: Exchange) -> Iterator[str]:
    took = f"{exchange.duration_ms:.1f} ms"
    yield f"{iso(exchange.started_at)}  {exchange.ecu_address}  {exchange.service}  {took}"
    yield from _indented("> ", exchange.request)
    if exchange.pending_count:
        yield f"  response pending (0x78): {exchange.pending_count}"
    yield from _indented("< ", "(no response)" if exchange.response is None else exchange.response)
    if exchange.nrc:
        yield f"  {explained(exchange)}"
    yield ""


def explained(exchange: Exchange) -> str:
    """Return a sentence about a negative response, with the way out of it."""
    refused = f"ECU {exchange.ecu_address} refused {exchange.service}"
    return nrc.explain(int(exchange.nrc or "0x10", 16), refused)


def _indented(mark: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines() or [""]):
        yield f"  {mark if number == 0 else '  '}{line}"


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else UNPRINTABLE for character in line)
