"""Campaigns: waves of ordinary commands, and who may take which step."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from commands import lifecycle
from commands.campaigns import estimate, plan, progress
from commands.campaigns.windows import DAYS, open_hours
from commands.lifecycle.submission import TURN
from commands.models import (
    AuditEntry,
    Campaign,
    CampaignKey,
    CampaignVehicle,
    Command,
    Status,
    VehicleLock,
)
from commands.worker.retention import delete_expired
from conftest import ClearDTC, ReadDTC, api, make_user, make_vehicle, mark_seen, submit
from vehicles.models import ConnectionStatus, Vehicle

CAMPAIGNS = "/api/v1/campaigns/"
HOUR = timedelta(hours=1)


@pytest.fixture
def fleet(transactional_db: None) -> list[Vehicle]:
    return make_fleet(10)


def make_fleet(count: int) -> list[Vehicle]:
    vehicles = [
        Vehicle(vin=f"1HGCM82623A{n:06}", make="Honda", connection_status="connected")
        for n in range(count)
    ]
    return Vehicle.objects.bulk_create(vehicles)


@pytest.fixture
def boss(transactional_db: None) -> User:
    return make_user("boss", "add_command", "approve_campaign", "send_unsafe_to_many")


@pytest.fixture
def admin(transactional_db: None) -> User:
    rights = ("add_command", "view_vehicle", "approve_campaign", "send_unsafe_to_many")
    return make_user("admin", *rights)


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


# --- Waves


@pytest.mark.embedded
def test_each_wave_begins_when_the_last_one_has_ended(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator, waves=[5, 50, 100])
    sizes = []
    for _ in range(3):
        advance()
        sizes.append(waiting().count())
        end(waiting(), Status.COMPLETED)
    advance()
    assert sizes == [1, 4, 5]
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "")
    assert [wave["completed"] for wave in body["progress"]] == sizes
    assert Counter(Command.objects.values_list("vehicle_id", flat=True)) == Counter(
        vehicle.pk for vehicle in fleet
    )
    found = api(operator).get("/api/v1/commands/", {"campaign_id": campaign}).json()["results"]
    assert {command["campaign_id"] for command in found} == {campaign}
    assert {command["priority"] for command in found} == {"background"}
    assert len(found) == 10


@pytest.mark.embedded
def test_vehicles_that_are_away_hold_up_no_wave_and_count_when_they_end(
    operator: User, fleet: list[Vehicle]
) -> None:
    away = Vehicle.objects.filter(pk=fleet[0].pk)
    away.update(connection_status=ConnectionStatus.DISCONNECTED)
    campaign = started(operator, waves=[20, 100], go_on_below_failed_percent=40)
    advance()
    assert waiting().count() == 2
    end(waiting(), Status.COMPLETED)
    advance()
    assert waiting().count() == 9  # the second wave, and the one that is away
    end(waiting(), Status.COMPLETED)
    advance()
    assert seen(operator, campaign)["state"] == "running"
    away.update(connection_status=ConnectionStatus.CONNECTED)
    end(waiting(), Status.FAILED)
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "failures")
    assert body["failures"] == {"vehicle_unreachable": 1}


@pytest.mark.embedded
def test_a_wave_with_too_many_failures_is_the_last(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator, waves=[50, 100], go_on_below_failed_percent=20)
    advance()
    mark_seen()
    first, second, third, *_ = lifecycle.claim(5)
    lifecycle.fail(first, "vehicle_refused", "No.")
    advance()
    assert seen(operator, campaign)["state"] == "running"  # 20 % are not above 20 %
    lifecycle.fail(second, "vehicle_refused", "No.")
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "failures")
    assert Command.objects.get(pk=third.pk).cancel_requested_at
    assert Command.objects.count() == 5


@pytest.mark.embedded
def test_a_large_wave_is_sent_in_parts_and_ends_by_its_cancellation(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "AT_ONCE", 4)
    fleet = make_fleet(10)
    campaign = started(operator)
    for sent in (0, 4, 8, 10, 10):
        progress.step(campaign)
        assert Command.objects.count() == sent
    assert step(operator, campaign, "cancel") == 200
    assert lifecycle.claim(10) == []
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"]) == ("ended", "cancelled")
    assert body["progress"][0]["cancelled"] == len(fleet)
    assert not Campaign.objects.to_advance().exists()


# --- Tries


def forward(minutes: int) -> None:
    """Let time pass for the commands that wait for theirs."""
    Command.objects.update(not_before=F("not_before") - timedelta(minutes=minutes))


@pytest.mark.embedded
def test_a_safe_command_is_tried_again_after_a_while(operator: User, fleet: list[Vehicle]) -> None:
    body = {"vehicle_ids": [str(fleet[0].pk)], "vehicle_filter": None, "retries": 2}
    campaign = started(operator, **body)
    for minutes in (1, 2):
        advance()
        end(waiting(), Status.FAILED)
        advance()
        end(waiting(), Status.FAILED)  # nothing: it waits for its time
        (again,) = waiting()
        assert again.not_before - again.submitted_at > timedelta(seconds=60 * minutes - 30)
        forward(minutes + 1)
    end(waiting(), Status.FAILED)
    advance()
    assert seen(operator, campaign)["state"] == "ended"
    assert (Command.objects.count(), CampaignVehicle.objects.get().tries) == (3, 3)


@pytest.mark.embedded
@pytest.mark.parametrize("code", ["vehicle_refused", "wrong_vehicle"])
def test_a_refusal_is_not_tried_again(operator: User, fleet: list[Vehicle], code: str) -> None:
    campaign = started(operator, retries=3)
    advance()
    end(waiting(), Status.FAILED, code)
    advance()
    assert seen(operator, campaign)["failures"] == {code: 10}
    assert Command.objects.count() == 10


# --- Windows, pauses and ends


@pytest.mark.embedded
def test_nothing_is_sent_outside_the_window(operator: User, fleet: list[Vehicle]) -> None:
    later = timezone.now() + 2 * HOUR
    day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][later.weekday()]
    hours = {"from": f"{later:%H}:00", "to": f"{later + HOUR:%H}:00", "time_zone": "UTC"}
    campaign = started(operator, windows=[{"days": [day], **hours}])
    opens = later.replace(minute=0, second=0, microsecond=0)
    assert seen(operator, campaign)["next_window"] == f"{opens:%Y-%m-%dT%H:%M:%SZ}"
    advance()
    assert Command.objects.count() == 0
    Campaign.objects.update(opens_at=Now() - HOUR)
    advance()
    assert Command.objects.count() == 10
    Campaign.objects.update(closes_at=Now())
    mark_seen()
    assert lifecycle.claim(10) == []
    Campaign.objects.update(closes_at=Now() + HOUR)
    mark_seen()
    assert len(lifecycle.claim(10)) == 10


@pytest.mark.embedded
def test_a_paused_campaign_sends_nothing_and_holds_up_no_other_command(
    operator: User, fleet: list[Vehicle]
) -> None:
    campaign = started(operator)
    advance()
    assert step(operator, campaign, "pause") == 200
    own = submit(operator, fleet[0])
    mark_seen()
    (claimed,) = lifecycle.claim(20)
    assert claimed == own
    lifecycle.complete(claimed, {})
    assert step(operator, campaign, "resume") == 200
    mark_seen()
    assert len(lifecycle.claim(20)) == 10


@pytest.mark.embedded
def test_a_campaign_that_expires_ends(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator, waves=[50, 100])
    advance()
    command = waiting().first()
    expires_at = Campaign.objects.get().expires_at
    assert abs(command.expires_at - expires_at) < timedelta(seconds=1)
    Campaign.objects.update(expires_at=Now())
    advance()
    body = seen(operator, campaign)
    assert (body["state"], body["stop_reason"], body["next_window"]) == ("ended", "expired", None)


@pytest.mark.embedded
def test_a_command_that_is_not_safe_waits_for_the_lock_of_another(
    admin: User, boss: User, operator: User, fleet: list[Vehicle]
) -> None:
    campaign = written(admin, **ClearDTC, vehicle_count=10)
    VehicleLock.objects.create(vehicle=fleet[3], holder=operator, expires_at=Now() + HOUR)
    assert (step(admin, campaign, "submit"), step(boss, campaign, "approve")) == (200, 200)
    advance()
    mark_seen()
    assert fleet[3].pk not in {command.vehicle_id for command in lifecycle.claim(20)}
    assert waiting().get().vehicle_id == fleet[3].pk


# --- Users and the limit


@pytest.mark.embedded
def test_a_campaign_does_not_use_up_the_limit_or_the_turns_of_its_author(
    operator: User, fleet: list[Vehicle], settings: Any
) -> None:
    settings.PENDING_COMMANDS_PER_USER = 1
    started(operator)
    advance()
    single = submit(operator, make_vehicle(500))
    assert single.turn - single.submitted_at == timedelta()
    last = waiting().filter(campaign__isnull=False).latest("turn")
    assert last.turn - last.submitted_at == timedelta(days=10_000) + 10 * TURN


# --- Two workers, and one that is killed


def test_two_workers_at_once_send_each_vehicle_one_command(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "AT_ONCE", 5)
    make_fleet(100)
    campaign = started(operator, waves=[30, 100])
    together = Barrier(2)

    def work() -> None:
        together.wait()
        for _ in range(60):
            Campaign.objects.update(due_at=Now())
            progress.step(campaign)
        connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        for each in [threads.submit(work) for _ in range(2)]:
            each.result()
    advance()
    assert waiting().count() == 30
    assert waiting().values("vehicle_id").distinct().count() == 30
    assert CampaignVehicle.objects.filter(tries=1, command__isnull=False).count() == 30


class Killed(Exception):
    """Stands for the end of a process."""


@pytest.mark.embedded
@pytest.mark.parametrize("statement", range(1, 12))
def test_a_worker_that_dies_at_any_statement_has_done_all_of_a_step_or_nothing(
    operator: User, fleet: list[Vehicle], statement: int
) -> None:
    campaign = started(operator, waves=[50, 100], retries=1)
    advance()
    end(waiting(), Status.FAILED)
    before = Command.objects.count()
    left = statement

    def die(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return execute(sql, *arguments)

    with connections["default"].execute_wrapper(die):
        try:
            progress.step(campaign)
        except Killed:
            assert Command.objects.count() == before
    advance()
    forward(10)
    end(waiting(), Status.COMPLETED)
    advance()
    end(waiting(), Status.COMPLETED)
    advance()
    body = seen(operator, campaign)
    assert [wave["completed"] for wave in body["progress"]] == [5, 5]
    assert Counter(Command.objects.values_list("vehicle_id", flat=True)) == Counter(
        {vehicle.pk: 1 + (n < 5) for n, vehicle in enumerate(fleet)}
    )


# --- Approval and steps


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


# --- Again, to those that failed


@pytest.mark.embedded
def test_those_that_failed_are_the_vehicles_of_another_campaign(
    operator: User, fleet: list[Vehicle]
) -> None:
    first = started(operator)
    advance()
    mark_seen()
    one, other, *rest = sorted(lifecycle.claim(10), key=lambda command: command.vehicle.vin)
    lifecycle.fail(one, "vehicle_unreachable", "No.")
    lifecycle.time_out(other, "Silence.")
    for command in rest:
        lifecycle.complete(command, {})
    advance()
    Vehicle.objects.filter(pk=fleet[1].pk).update(retired_at=Now())
    body = {"vehicle_filter": None, "failed_of_campaign": first}
    preview = api(operator).post(f"{CAMPAIGNS}preview/", {"command_name": "ReadDTC", **body})
    assert preview.json()["vehicle_count"] == 1
    again = written(operator, **body)
    rows = CampaignVehicle.objects.filter(campaign_id=again)
    assert [row.vehicle_id for row in rows] == [fleet[0].pk]
    found = api(operator).get("/api/v1/commands/", {"failed_of_campaign": first}).json()["results"]
    assert {each["vehicle_id"] for each in found} == {str(one.pk) for one in fleet[:2]}


@pytest.mark.embedded
def test_a_vehicle_whose_further_try_succeeded_has_not_failed(
    operator: User, fleet: list[Vehicle]
) -> None:
    campaign = started(operator, retries=1)
    advance()
    end(waiting(), Status.FAILED)
    advance()
    forward(10)
    end(waiting(), Status.COMPLETED)
    advance()
    found = api(operator).get("/api/v1/commands/", {"failed_of_campaign": campaign})
    assert found.json()["results"] == []
    refused = post(operator, vehicle_filter=None, failed_of_campaign=campaign)
    assert "failed_of_campaign" in complaints(refused)


@pytest.mark.embedded
def test_the_failures_of_another_users_campaign_are_not_to_be_had(
    operator: User, stranger: User, fleet: list[Vehicle]
) -> None:
    campaign = started(operator)
    advance()
    end(waiting(), Status.FAILED)
    advance()
    refused = post(stranger, vehicle_filter=None, failed_of_campaign=campaign)
    assert "failed_of_campaign" in complaints(refused)
    found = api(stranger).get("/api/v1/commands/", {"failed_of_campaign": campaign})
    assert found.json()["results"] == []


# --- The estimated end


@pytest.mark.embedded
def test_the_end_is_estimated_once_some_have_ended(operator: User, fleet: list[Vehicle]) -> None:
    campaign = started(operator)
    advance()
    assert seen(operator, campaign)["estimated_end"] is None
    mark_seen()
    for command in lifecycle.claim(5):
        lifecycle.complete(command, {})
    advance()
    assert seen(operator, campaign)["estimated_end"]
    found = Campaign.objects.get()
    assert found.started_at
    now = found.started_at + HOUR
    assert estimate.end_of(found, now) == now + HOUR  # a half in an hour
    found.windows = [{"days": [*DAYS], "from": "00:00", "to": "00:30", "time_zone": "UTC"}]
    found.started_at = datetime(2026, 3, 2, tzinfo=UTC)
    found.expires_at = datetime(2026, 3, 20, tzinfo=UTC)
    now = datetime(2026, 3, 3, 0, 15, tzinfo=UTC)  # a half in 45 minutes of two windows
    assert estimate.end_of(found, now) == datetime(2026, 3, 4, 0, 30, tzinfo=UTC)
    found.expires_at = datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert estimate.end_of(found, now) == found.expires_at
    assert step(operator, campaign, "pause") == 200
    assert seen(operator, campaign)["estimated_end"] is None


@pytest.mark.embedded
def test_hours_of_several_windows_count_once() -> None:
    windows = [
        {"days": [*DAYS], "from": "22:00", "to": "02:00", "time_zone": "UTC"},
        {"days": [*DAYS], "from": "23:00", "to": "03:00", "time_zone": "UTC"},
    ]
    begin = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    hours = open_hours(windows, begin, begin + timedelta(days=1))
    assert sum((b - a for a, b in hours), timedelta()) == timedelta(hours=5)
    assert hours == sorted(hours)
