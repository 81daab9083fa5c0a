"""A report of one scan of a vehicle, or of two side by side, with the evidence for each figure."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User

from commands import evidence
from commands.models import Command, CommandQuerySet, Status, sees_all_commands
from commands.reports.comparison import Compared, compare
from commands.reports.scans import Scan, read_scans
from vehicles.models import Vehicle

SCAN = "ScanVehicle"
MAX_BETWEEN = 100  # commands
WEEK = timedelta(days=7)
MAX_EARLIER = 20  # scans that are offered for a comparison
MAX_CHARACTERS_BETWEEN = 1_000_000  # of their exchanges, together


class NotFound(Exception):
    """There is no such command that the user may see."""


class NotUsable(Exception):
    """The command is no scan that can be reported; the message says why."""


@dataclass(frozen=True)
class Evidence:
    """The exchanges of all commands of a report, numbered from 1."""

    exchanges: list[dict[str, Any]]
    left_off: dict[UUID, int]  # exchanges of a command that are too many or too long

    @cached_property
    def numbers(self) -> dict[tuple[UUID, int | None], list[int]]:
        """Return the numbers of the exchanges that led to an event, by command and event."""
        numbers: dict[tuple[UUID, int | None], list[int]] = defaultdict(list)
        for each in self.exchanges:
            numbers[each["command_id"], each["sequence_number"]].append(each["number"])
        return numbers


@dataclass(frozen=True)
class Report:
    vehicle: Vehicle
    before: Scan | None
    after: Scan
    ecus: list[Compared]
    between: list[Command]  # of those that the user may see
    has_more_between: bool
    sees_all: bool
    evidence: Evidence


def find_scan(vehicle: Vehicle, user: User | AnonymousUser, command_id: UUID) -> Command:
    """Return a completed scan of the vehicle. Raise NotFound or NotUsable."""
    visible = Command.objects.visible_to(user).filter(vehicle=vehicle, pk=command_id)
    command = visible.select_related("submitted_by").first()
    if command is None:
        raise NotFound("There is no such command of this vehicle that you may see.")
    if command.command_name != SCAN:
        raise NotUsable(f"This is a {command.command_name}. Choose a completed {SCAN}.")
    if command.status != Status.COMPLETED:
        raise NotUsable(f"This scan is {command.status}. Choose a completed {SCAN}.")
    return command


def latest_scan(user: User | AnonymousUser, vehicle_id: UUID) -> Command | None:
    """Return the last completed scan of the vehicle that the user may see."""
    return _scans(user, vehicle_id).order_by("-submitted_at").first()


def scan_of_last_week(user: User | AnonymousUser, after: Command) -> Command | None:
    """Return the earlier scan that is nearest to seven days before this one."""
    week = after.submitted_at - WEEK
    earlier = _earlier_scans(user, after)
    nearest = [
        earlier.filter(submitted_at__lte=week).order_by("-submitted_at").first(),
        earlier.filter(submitted_at__gt=week).order_by("submitted_at").first(),
    ]
    found = filter(None, nearest)
    return min(found, key=lambda scan: abs(scan.submitted_at - week), default=None)


def earlier_scans(user: User | AnonymousUser, after: Command) -> list[Command]:
    """Return the completed scans to compare with, the latest first."""
    scans = _earlier_scans(user, after).select_related("submitted_by")
    return list(scans.order_by("-submitted_at")[:MAX_EARLIER])


def _earlier_scans(user: User | AnonymousUser, after: Command) -> CommandQuerySet:
    scans = _scans(user, after.vehicle_id)
    found: CommandQuerySet = scans.filter(
        submitted_at__lt=after.submitted_at, started_at__lt=_moment(after)
    )
    return found


def _scans(user: User | AnonymousUser, vehicle_id: UUID) -> CommandQuerySet:
    visible = Command.objects.visible_to(user)
    scans: CommandQuerySet = visible.filter(
        vehicle=vehicle_id, command_name=SCAN, status=Status.COMPLETED
    )
    return scans


def check_order(before: Command, after: Command) -> None:
    """Raise NotUsable unless one scan came before the other."""
    if before.pk == after.pk:
        raise NotUsable("This is the same scan as `after`. Choose an earlier one.")
    if _moment(before) >= _moment(after):
        raise NotUsable("This scan is later than `after`. Exchange the two.")


def make(
    vehicle: Vehicle, user: User | AnonymousUser, before: Command | None, after: Command
) -> Report:
    commands = [before, after] if before else [after]
    scans = read_scans(commands, [ecu.address for ecu in vehicle.configured_ecus])
    earlier = scans[before.pk] if before else None
    between = list(_between(vehicle, user, before, after)[: MAX_BETWEEN + 1]) if before else []
    has_more = len(between) > MAX_BETWEEN
    del between[MAX_BETWEEN:]
    return Report(
        vehicle=vehicle,
        before=earlier,
        after=scans[after.pk],
        ecus=compare(earlier, scans[after.pk]),
        between=between,
        has_more_between=has_more,
        sees_all=sees_all_commands(user),
        evidence=_evidence(before, between, after),
    )


def _between(
    vehicle: Vehicle, user: User | AnonymousUser, before: Command, after: Command
) -> CommandQuerySet:
    """Return the commands that the vehicle began between the scans, the oldest first."""
    begun = Command.objects.visible_to(user).filter(
        vehicle=vehicle,
        submitted_at__lt=_moment(after),  # the range of the index
        started_at__gt=_moment(before),
        started_at__lt=_moment(after),
    )
    others: CommandQuerySet = begun.exclude(pk__in=[before.pk, after.pk])
    return others.select_related("submitted_by").order_by("started_at", "pk")


def _moment(scan: Command) -> Any:
    return scan.started_at or scan.submitted_at


def _evidence(before: Command | None, between: list[Command], after: Command) -> Evidence:
    scans = [before, after] if before else [after]
    kept = evidence.of_commands(scans)
    if between:
        kept |= evidence.of_commands(between, MAX_CHARACTERS_BETWEEN // len(between))
    exchanges = [
        {"command_id": command.pk, **each}
        for command in [*scans[:-1], *between, after]
        for each in kept[command.pk]["exchanges"]
    ]
    return Evidence(
        [{"number": number, **each} for number, each in enumerate(exchanges, 1)],
        {pk: each["exchanges_left_off"] for pk, each in kept.items() if each["exchanges_left_off"]},
    )
