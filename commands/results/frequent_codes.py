"""The most frequent trouble codes, from the last completed reads and scans."""

from collections import defaultdict
from itertools import chain
from uuid import UUID

from commands import trouble_codes
from commands.models import CommandQuerySet
from commands.results.summary import CodeCount
from commands.results.values import MAX_TEXT

MAX_READS = 1_000
MAX_CODES = 10


def most_frequent(evidence: CommandQuerySet) -> list[CodeCount]:
    """Count each code once for a vehicle, in the newest 1,000 of these reads and scans."""
    newest = list(evidence[:MAX_READS])
    reads = [command for command in newest if command.command_name == "ReadDTC"]
    scans = [command for command in newest if command.command_name == "ScanVehicle"]
    vehicles = {command.pk: command.vehicle_id for command in newest}
    having: dict[str, set[UUID]] = defaultdict(set)
    confirming: dict[str, set[UUID]] = defaultdict(set)
    descriptions: dict[str, str] = {}
    codes_of_scans, _ = trouble_codes.codes_of_scans(scans)
    for pk, code in chain(trouble_codes.codes_of_reads(reads), codes_of_scans):
        having[code.dtc_code].add(vehicles[pk])
        descriptions.setdefault(code.dtc_code, code.description[:MAX_TEXT])
        if code.confirmed:
            confirming[code.dtc_code].add(vehicles[pk])
    counts = [
        CodeCount(code, descriptions[code], len(found), len(confirming[code]))
        for code, found in having.items()
    ]
    return sorted(counts, key=lambda each: (-each.vehicles, each.dtc_code))[:MAX_CODES]
