"""Steps of a campaign: who may take which one, and what the audit keeps."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.models import AuditEntry, Command
from commands.tests.campaigns.requests import CAMPAIGNS, advance, seen, step, written
from conftest import ClearDTC, api
from vehicles.models import Vehicle


@pytest.mark.embedded
def test_another_person_approves_and_every_step_is_in_the_audit(
    admin: User, boss: User, operator: User, fleet: list[Vehicle]
) -> None:
    campaign = written(admin, **ClearDTC, vehicle_count=10)
    assert seen(admin, campaign)["needs_approval"]
    assert step(boss, campaign, "submit") == 403
    assert step(admin, campaign, "submit") == 200
    assert seen(boss, campaign)["state"] == "waiting_for_approval"
    assert step(operator, campaign, "approve") == 403
    assert step(admin, campaign, "approve") == 403  # their own
    advance()
    assert Command.objects.count() == 0
    assert step(boss, campaign, "approve") == 200
    assert [step(admin, campaign, name) for name in ("pause", "resume")] == [200, 200]
    advance()
    assert step(admin, campaign, "cancel") == 200
    assert seen(admin, campaign)["approved_by"] == "boss"
    entries = AuditEntry.objects.filter(subject=campaign).order_by("pk")
    assert list(entries.values_list("username", "action")) == [
        ("admin", "write_campaign"),
        ("admin", "submit"),
        ("boss", "approve"),
        ("admin", "pause"),
        ("admin", "resume"),
        ("manage.py runworker", "begin_wave"),
        ("admin", "cancel"),
    ]


@pytest.mark.embedded
def test_many_vehicles_need_approval(operator: User, fleet: list[Vehicle], settings: Any) -> None:
    settings.CAMPAIGN_APPROVAL_VEHICLES = 9
    assert seen(operator, written(operator))["needs_approval"]
    settings.CAMPAIGN_APPROVAL_VEHICLES = 10
    assert not seen(operator, written(operator))["needs_approval"]
    assert seen(operator, written(operator, needs_approval=True))["needs_approval"]


@pytest.mark.embedded
def test_a_step_that_the_state_does_not_allow_is_refused(
    operator: User, fleet: list[Vehicle]
) -> None:
    campaign = written(operator)
    assert [step(operator, campaign, name) for name in ("pause", "resume")] == [409, 409]
    assert [step(operator, campaign, "submit") for _ in range(2)] == [200, 409]
    assert step(operator, campaign, "resume") == 409
    assert [step(operator, campaign, "cancel") for _ in range(2)] == [200, 409]
    assert AuditEntry.objects.filter(subject=campaign).count() == 3


@pytest.mark.embedded
def test_others_see_nothing_of_a_campaign(
    operator: User, stranger: User, fleet: list[Vehicle]
) -> None:
    campaign = written(operator)
    assert api(stranger).get(f"{CAMPAIGNS}{campaign}/").status_code == 404
    assert step(stranger, campaign, "cancel") == 404
    assert api(stranger).get(CAMPAIGNS).json()["results"] == []
