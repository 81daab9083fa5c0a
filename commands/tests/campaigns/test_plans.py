"""Plans of campaigns: checked, previewed, and written once for one key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.models.functions import Now

from commands.campaigns import plan
from commands.models import Campaign, CampaignKey
from commands.tests.campaigns.requests import CAMPAIGNS, complaints, post, step
from commands.worker.retention import delete_expired
from conftest import ClearDTC, ReadDTC, api, mark_seen
from vehicles.models import Vehicle

# --- Plans and previews


WRONG: dict[str, Any] = {
    "waves": [50, 50, 100],
    "waves ": [50],
    "go_on_below_failed_percent": 101,
    "retries": 11,
    "expires_at": "2020-01-01T00:00:00Z",
    "command_name": "Explode",
    "vehicle_filter": {"colour": "red"},
    "vehicle_count": 3,
    "windows": [{"days": ["mon"], "from": "24:00", "to": "05:00", "time_zone": "UTC"}],
    "windows ": [{"days": ["mon"], "from": "22:00", "to": "05:00", "time_zone": "Mars"}],
    "windows  ": [{"days": [], "from": "22:00", "to": "05:00", "time_zone": "UTC"}],
    "until": 1,
}


@pytest.mark.embedded
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_plan_is_refused_by_its_field(
    operator: User, fleet: list[Vehicle], name: str
) -> None:
    fields = complaints(post(operator, **{name.strip(): WRONG[name]}))
    assert all(field.split(".")[0].split("[")[0] == name.strip() for field in fields), fields
    assert Campaign.objects.count() == 0


@pytest.mark.embedded
def test_a_body_may_name_a_hundred_thousand_vehicles(operator: User) -> None:
    """They do not exist, so that the body is read, and refused for what it says."""
    ids = [str(UUID(int=number)) for number in range(plan.MAX_VEHICLES)]
    assert "vehicle_ids" in complaints(post(operator, vehicle_ids=ids, vehicle_filter=None))


@pytest.mark.embedded
def test_what_is_not_safe_to_repeat_has_a_count_and_no_retries(
    admin: User, operator: User, fleet: list[Vehicle]
) -> None:
    assert post(operator, **ClearDTC, vehicle_count=10).status_code == 403
    assert "vehicle_count" in complaints(post(admin, **ClearDTC))
    assert "retries" in complaints(post(admin, **ClearDTC, vehicle_count=10, retries=1))


@pytest.mark.embedded
def test_a_preview_counts_and_stores_nothing(operator: User, fleet: list[Vehicle]) -> None:
    mark_seen()
    Vehicle.objects.filter(pk=fleet[0].pk).update(connection_status="disconnected")
    body = {"vehicle_filter": {"search": "honda"}, "command_name": "ReadDTC"}
    response = api(operator).post(f"{CAMPAIGNS}preview/", body)
    assert response.json() == {
        "vehicle_count": 10,
        "disconnected_count": 1,
        "needs_approval": False,
        "next_window": None,
    }
    assert Campaign.objects.count() == 0


@pytest.mark.embedded
def test_waves_are_rounded_up() -> None:
    assert plan.wave_ends([1, 10, 50, 100], 25) == [1, 3, 13, 25]
    assert plan.wave_ends([1, 2, 100], 3) == [1, 1, 3]


# --- A key for one submission


KEY = {"Idempotency-Key": "5f1cbdd2-4ee1-4a5e-a9c7-a4e8a3e0c5f5"}


@pytest.mark.embedded
def test_a_repeated_submission_gets_the_first_campaign_again(
    operator: User, stranger: User, fleet: list[Vehicle]
) -> None:
    body = ReadDTC | {"vehicle_filter": {}}
    first = api(operator).post(CAMPAIGNS, body, headers=KEY)
    assert step(operator, first.json()["campaign_id"], "submit") == 200
    again = api(operator).post(CAMPAIGNS, body, headers=KEY)
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert again.json() == first.json()
    other = api(operator).post(CAMPAIGNS, body | {"retries": 1}, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Campaign.objects.count() == 1
    assert api(stranger).post(CAMPAIGNS, body, headers=KEY).status_code == 201
    assert Campaign.objects.count() == 2


@pytest.mark.embedded
def test_a_key_of_yesterday_is_forgotten(operator: User, fleet: list[Vehicle]) -> None:
    body = ReadDTC | {"vehicle_filter": {}}
    assert api(operator).post(CAMPAIGNS, body, headers=KEY).status_code == 201
    CampaignKey.objects.update(created_at=Now() - timedelta(hours=25))
    delete_expired()
    assert api(operator).post(CAMPAIGNS, body, headers=KEY).status_code == 201
    assert Campaign.objects.count() == 2


def test_two_submissions_with_one_key_at_once_write_one_campaign(
    operator: User, fleet: list[Vehicle]
) -> None:
    together = Barrier(2)
    clients = [api(operator) for _ in range(2)]

    def submit_one(client: Any) -> Any:
        together.wait()
        response = client.post(CAMPAIGNS, ReadDTC | {"vehicle_filter": {}}, headers=KEY)
        connections.close_all()
        return response

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(submit_one, clients)
    assert (one.status_code, other.status_code) == (201, 201)
    assert one.json()["campaign_id"] == other.json()["campaign_id"]
    assert Campaign.objects.count() == 1
