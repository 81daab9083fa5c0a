"""Requests about campaigns, and the work of a worker on them."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now

from commands import lifecycle
from commands.campaigns import progress
from commands.models import Campaign, Command, Status
from conftest import ReadDTC, api, mark_seen
from vehicles.models import Vehicle

CAMPAIGNS = "/api/v1/campaigns/"
HOUR = timedelta(hours=1)


def make_fleet(count: int) -> list[Vehicle]:
    vehicles = [
        Vehicle(vin=f"1HGCM82623A{n:06}", make="Honda", connection_status="connected")
        for n in range(count)
    ]
    return Vehicle.objects.bulk_create(vehicles)


def post(user: User, **body: Any) -> Any:
    return api(user).post(CAMPAIGNS, ReadDTC | {"vehicle_filter": {}} | body)


def written(user: User, **body: Any) -> str:
    response = post(user, **body)
    assert response.status_code == 201, response.content
    return str(response.json()["campaign_id"])


def step(user: User, campaign: str, name: str) -> int:
    return int(api(user).post(f"{CAMPAIGNS}{campaign}/{name}/").status_code)


def started(user: User, **body: Any) -> str:
    campaign = written(user, **body)
    assert step(user, campaign, "submit") == 200
    return campaign


def seen(user: User, campaign: str) -> Any:
    response = api(user).get(f"{CAMPAIGNS}{campaign}/")
    assert response.status_code == 200, response.content
    return response.json()


def advance() -> None:
    """Let a worker do all that can be done now."""
    while True:
        Campaign.objects.update(due_at=Now())
        found = list(Campaign.objects.to_advance().values_list("pk", flat=True))
        if sum(progress.step(pk) for pk in found) == 0:
            break


def end(commands: Any, status: str, code: str = "") -> None:
    """End commands as a worker would."""
    mark_seen()
    ids = set(commands.values_list("pk", flat=True))
    for claimed in lifecycle.claim(100):
        assert claimed.pk in ids
        if status == Status.COMPLETED:
            lifecycle.complete(claimed, {})
        else:
            lifecycle.fail(claimed, code or "vehicle_unreachable", "No.")


def waiting() -> Any:
    return Command.objects.filter(status=Status.PENDING)


def complaints(response: Any) -> Any:
    assert response.status_code == 400, response.content
    return response.json()["fields"]


def forward(minutes: int) -> None:
    """Let time pass for the commands that wait for theirs."""
    Command.objects.update(not_before=F("not_before") - timedelta(minutes=minutes))
