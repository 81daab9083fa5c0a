"""What is deleted when it is old, and what stays."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from commands.campaigns import plan, progress, steps
from commands.models import AuditEntry, Batch, Campaign, CampaignVehicle, Command, Event, Status
from commands.worker import pruning
from conftest import ClearDTC, ReadDTC, make_vehicle, submit
from vehicles.models import Vehicle

DAY = timedelta(days=1)
Scan: dict[str, Any] = {"command_name": "ScanVehicle", "command_params": {}}


def ended(user: User, vehicle: Vehicle, days: int, body: dict[str, Any] = ReadDTC) -> Command:
    """Submit a command and let it have ended so many days ago."""
    command = submit(user, vehicle, body)
    at = timezone.now() - days * DAY  # SQLite would write timezone.now() - DAY in another spelling
    Command.objects.filter(pk=command.pk).update(
        submitted_at=at, completed_at=at, status=Status.COMPLETED, is_ready=False
    )
    return command


def pruned(days: int = 30, *kinds: str) -> int:
    return sum(pruning.prune(days, kinds or pruning.KINDS))


def left() -> set[Any]:
    return set(Command.objects.values_list("pk", flat=True))


@pytest.mark.embedded
def test_what_is_old_and_has_ended_goes_with_its_events(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    for _ in range(5):
        ended(operator, vehicle, 31)
    still_open, fresh = submit(operator, vehicle), ended(operator, vehicle, 29)
    Command.objects.filter(pk=still_open.pk).update(submitted_at=timezone.now() - 31 * DAY)
    Batch.objects.create(submitted_by=operator, vehicle_count=1, **ReadDTC)
    Batch.objects.update(submitted_at=timezone.now() - 31 * DAY)
    audit = AuditEntry.objects.count()
    assert pruned() == 6
    assert left() == {still_open.pk, fresh.pk}
    assert set(Event.objects.values_list("command", flat=True)) == left()
    assert not Batch.objects.exists()
    assert AuditEntry.objects.count() == audit


@pytest.mark.embedded
def test_the_last_two_scans_and_the_changes_since_stay(operator: User, vehicle: Vehicle) -> None:
    ended(operator, vehicle, 60, Scan)
    ended(operator, vehicle, 55, ClearDTC)
    before = ended(operator, vehicle, 50, Scan)
    change = ended(operator, vehicle, 45, ClearDTC)
    ended(operator, vehicle, 44, ReadDTC)
    after = ended(operator, vehicle, 40, Scan)
    ended(operator, make_vehicle(500), 45, ClearDTC)  # of a vehicle without scans
    assert pruned() == 4
    assert left() == {before.pk, change.pk, after.pk}


@pytest.mark.embedded
def test_an_instant_in_another_spelling_does_not_keep_it_from_ending(
    operator: User, vehicle: Vehicle
) -> None:
    """SQLite writes `Now() - DAY` with six digits, and compares instants as texts."""
    scan = ended(operator, vehicle, 40, Scan)
    Command.objects.update(submitted_at=Now() - 40 * DAY)
    assert pruned() == 0
    assert left() == {scan.pk}


@pytest.mark.embedded
def test_a_campaign_goes_when_it_has_ended_long_ago(operator: User, vehicle: Vehicle) -> None:
    campaign = Campaign(
        submitted_by=operator, waves=[100], expires_at=timezone.now() + DAY, **ReadDTC
    )
    plan.write(campaign, Vehicle.objects.all())
    steps.submit(campaign)
    for _ in range(3):
        progress.step(campaign.pk)
    past = timezone.now() - 31 * DAY
    Command.objects.update(submitted_at=past, completed_at=past, status=Status.COMPLETED)
    assert pruned() == 0
    for _ in range(5):
        Campaign.objects.update(due_at=Now())
        progress.step(campaign.pk)
    assert Campaign.objects.get().is_settled
    assert pruned() == 0
    Campaign.objects.update(ended_at=F("ended_at") - 31 * DAY)
    assert pruned(30, "commands") == 0
    assert pruned() == 3
    assert not Campaign.objects.exists()
    assert not CampaignVehicle.objects.exists()


@pytest.mark.embedded
def test_prune_says_how_much_it_deleted(operator: User, vehicle: Vehicle) -> None:
    ended(operator, vehicle, 2)
    out = StringIO()
    call_command("prune", days=1, stdout=out)
    assert out.getvalue().startswith("Deleted 1 ")
    with pytest.raises(CommandError, match="at least 1"):
        call_command("prune", days=0)
