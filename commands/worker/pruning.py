"""Deletion of old commands and campaigns, in transactions of a bounded number of rows.

The audit is never pruned. Commands that have not ended stay, and so does what an open campaign or
the report of a vehicle needs: its last two scans, and what was changed since the earlier one.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

from commands.catalogue import SAFE_TO_REPEAT
from commands.database.keyset import beyond
from commands.models import Batch, Campaign, CampaignState, CampaignVehicle, Command, Status

AT_ONCE = 500  # rows of one transaction
KINDS = ("campaigns", "commands")
ORDER = ["submitted_at", "command_id"]


def prune(days: int, kinds: Collection[str] = KINDS) -> Iterator[int]:
    """Delete what ended so many days ago. Yield the number of rows after each transaction."""
    before = timezone.now() - timedelta(days=days)
    if "campaigns" in kinds:
        yield from _in_parts(CampaignVehicle.objects.filter(campaign__in=_ended_campaigns(before)))
    if "commands" in kinds:
        for page in _pages(before):
            yield _delete_commands(page, before)
        batches = Batch.objects.filter(submitted_at__lt=before)
        yield from _in_parts(batches.filter(~Exists(_of("batch"))))
    if "campaigns" in kinds:
        empty = ~Exists(_of("campaign")) & ~Exists(
            CampaignVehicle.objects.filter(campaign=OuterRef("pk"))
        )
        yield from _in_parts(_ended_campaigns(before).filter(empty))


def _of(name: str) -> Any:
    return Command.objects.filter(**{name: OuterRef("pk")}).order_by()


def _ended_campaigns(before: datetime) -> Any:
    is_over = Q(is_settled=True) | Q(started_at=None)
    return Campaign.objects.filter(is_over, state=CampaignState.ENDED, ended_at__lt=before)


def _in_parts(rows: Any) -> Iterator[int]:
    while keys := list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE]):
        rows.model.objects.filter(pk__in=keys).delete()
        yield len(keys)


def _pages(before: datetime) -> Iterator[list[Any]]:
    """Yield the IDs of all commands that are old, oldest first."""
    rows = Command.objects.filter(submitted_at__lt=before).order_by(*ORDER).values_list(*ORDER)
    page = list(rows[:AT_ONCE])
    while page:
        yield [pk for _, pk in page]
        last = page[-1]
        page = list(rows.filter(beyond(ORDER, list(last)))[:AT_ONCE])
        if page and page[-1] <= last:  # earlier versions wrote instants in SQLite otherwise
            break


@transaction.atomic
def _delete_commands(ids: list[Any], before: datetime) -> int:
    commands = Command.objects.filter(pk__in=ids, completed_at__lt=before)
    campaigns = Q(campaign=None) | Q(campaign__in=_ended_campaigns(before))
    last_try = Exists(CampaignVehicle.objects.filter(command=OuterRef("pk")))
    unneeded = commands.filter(campaigns, ~last_try).alias(second=_second_scan_after())
    found = unneeded.exclude(Q(second=None) & _is_of_a_report()).order_by()
    keys = list(found.values_list("pk", flat=True))
    Command.objects.filter(pk__in=keys).delete()
    return len(keys)


def _scans() -> Any:
    """Return the completed scans of the vehicle of an outer command."""
    return Command.objects.filter(
        vehicle=OuterRef("vehicle"), command_name="ScanVehicle", status=Status.COMPLETED
    )


def _second_scan_after() -> Subquery:
    later = _scans().filter(submitted_at__gt=OuterRef("submitted_at")).order_by("submitted_at")
    return Subquery(later.values("pk")[1:2])


def _is_of_a_report() -> Q:
    is_change = ~Q(command_name__in=SAFE_TO_REPEAT)
    earlier = Exists(_scans().filter(submitted_at__lt=OuterRef("submitted_at")))
    is_scan = Q(command_name="ScanVehicle", status=Status.COMPLETED)
    return is_scan | (is_change & Q(earlier))
