"""Dashboard: commands in flight, the outcomes of a period, and frequent trouble codes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from commands import lifecycle
from commands.api.dashboard import period, views
from commands.api.dashboard.period import FAILURES, PERIODS, Outcome, Outcomes, Period
from commands.events import iso
from commands.models import TERMINAL, Command, Status
from commands.tests.query_plans import add_old_commands, plan_of
from commands.tests.vehicle_responses import dtc, ecu, read, scan
from conftest import api, browser, claim_one, make_user, make_vehicle, submit
from vehicles.models import Vehicle

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
HOUR = PERIODS["1h"]


def shown(user: User, query: str = "") -> dict[str, Any]:
    response = api(user).get(f"/api/v1/dashboard/{query}")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def make_command(user: User, vehicle: Vehicle, status: str, ago: float, took: float = 1) -> Command:
    """Make a command that was submitted `ago` seconds ago."""
    at = timezone.now() - timedelta(seconds=ago)
    command: Command = Command.objects.create(
        vehicle=vehicle,
        submitted_by=user,
        command_name="ReadDTC",
        status=status,
        submitted_at=at,
        expires_at=at,
        completed_at=at + timedelta(seconds=took) if status in TERMINAL else None,
        error_code="vehicle_refused" if status == "failed" else "",
    )
    return command


# The outcomes of a period

OUTCOMES = st.lists(
    st.tuples(
        st.sampled_from(Status.values),
        st.integers(0, 3_569),  # seconds ago
        st.integers(0, 90_000),  # milliseconds that it took
    ),
    max_size=60,
)


def outcome(status: str, ago: int, milliseconds: int, of: Period = HOUR) -> Outcome:
    after = NOW - timedelta(seconds=ago) - of.since(NOW)
    took = timedelta(milliseconds=milliseconds) if status in TERMINAL else None
    return Outcome(UUID(int=0), status, "", after, took)


def hour_of(*outcomes: Outcome) -> Outcomes:
    return period.count(HOUR, list(outcomes), NOW)


@given(OUTCOMES)
def test_every_command_is_counted_once(drawn: list[tuple[str, int, int]]) -> None:
    hour = hour_of(*[outcome(*each) for each in drawn])
    statuses = [status for status, *_ in drawn]
    assert (hour.submitted, hour.ended) == (len(drawn), sum(s in TERMINAL for s in statuses))
    assert sum(step.completed for step in hour.steps) == statuses.count("completed")
    assert hour.completed == statuses.count("completed")
    assert sum(step.cancelled for step in hour.steps) == statuses.count("cancelled")
    failed = sum(step.failed for step in hour.steps)
    assert failed == sum(status in FAILURES for status in statuses)
    decided = hour.completed + failed
    assert hour.success_rate == (round(hour.completed / decided, 4) if decided else None)
    assert [step.at for step in hour.steps] == [
        datetime(2026, 3, 1, 11, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(60)
    ]
    for status, ago, _ in drawn:
        step = hour.steps[(NOW - timedelta(seconds=ago) - hour.since) // timedelta(minutes=1)]
        assert status != "completed" or step.completed


@given(st.lists(st.integers(0, 90_000), min_size=1))
def test_the_95th_percentile_is_that_of_the_nearest_rank(milliseconds: list[int]) -> None:
    found = hour_of(*[outcome("completed", 0, took) for took in milliseconds]).seconds
    assert found.p95 is not None
    assert found.median is not None
    seconds = [took / 1000 for took in milliseconds]
    above = sum(took > found.p95 for took in seconds)
    not_below = sum(took >= found.p95 for took in seconds)
    assert above * 20 <= len(seconds) < not_below * 20
    assert sum(took < found.median for took in seconds) * 2 <= len(seconds)
    assert sum(took > found.median for took in seconds) * 2 <= len(seconds)


def test_durations_are_those_of_completed_commands() -> None:
    hour = hour_of(outcome("completed", 0, 100), outcome("timed_out", 0, 30_000))
    assert (hour.seconds.median, hour.seconds.p95) == (0.1, 0.1)
    assert (hour.steps[-1].seconds.median, hour.steps[-1].seconds.p95) == (0.1, 0.1)


def test_a_command_from_a_clock_that_is_ahead_counts_in_the_last_step() -> None:
    assert hour_of(outcome("completed", -90, 0)).steps[-1].completed == 1


def test_an_hour_without_commands_has_no_rates() -> None:
    hour = hour_of()
    assert (hour.success_rate, hour.seconds.median, hour.seconds.p95) == (None, None, None)
    assert (len(hour.steps), hour.is_capped, hour.failures) == (60, False, [])


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("1h", datetime(2026, 3, 1, 11, 1, tzinfo=UTC)),
        ("24h", datetime(2026, 2, 28, 12, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 2, 22, 14, 0, tzinfo=UTC)),
    ],
)
def test_a_period_begins_whole_steps_before_the_end_of_the_present_one(
    name: str, since: datetime
) -> None:
    of = PERIODS[name]
    counted = period.count(of, [outcome("completed", 0, 0, of)], NOW)
    assert counted.since == since
    assert counted.steps[-1].completed == 1
    assert NOW - of.step < counted.steps[-1].at <= NOW


# Through the API


@pytest.mark.embedded
def test_the_dashboard_has_every_figure(operator: User) -> None:
    vehicle = make_vehicle(1, last_seen_at=timezone.now())
    make_vehicle(2, connection_status="error")
    oldest, _ = [submit(operator, vehicle) for _ in range(2)]
    make_command(operator, vehicle, "in_progress", ago=5)
    make_command(operator, vehicle, "completed", ago=60, took=1.5)
    failed = make_command(operator, vehicle, "failed", ago=120, took=2)
    make_command(operator, vehicle, "cancelled", ago=180)
    make_command(operator, vehicle, "failed", ago=7_200)
    alone = api(operator).get(f"/api/v1/commands/{failed.pk}/").json()
    del alone["commands_ahead"]
    body = shown(operator)
    steps = body["outcomes"].pop("steps")
    since = body["outcomes"].pop("since")
    assert body == {
        "pending": 2,
        "in_progress": 1,
        "oldest_pending": {
            "command_id": str(oldest.pk),
            "command_name": "ReadDTC",
            "vin": vehicle.vin,
            "submitted_at": iso(oldest.submitted_at),
        },
        "vehicles": {"connected": 1, "total": 2},
        "outcomes": {
            "period": "1h",
            "step_seconds": 60,
            "submitted": 6,
            "ended": 3,
            "completed": 1,
            "success_rate": 0.5,
            "median_seconds": 1.5,
            "p95_seconds": 1.5,
            "is_capped": False,
            "failures": [{"error_code": "vehicle_refused", "commands": 1}],
        },
        "recent_failures": [alone | {"vin": vehicle.vin}],
    }
    assert len(steps) == 60
    assert steps[0]["at"] == since
    counted = {name: sum(step[name] for step in steps) for name in ("completed", "failed")}
    assert counted == {"completed": 1, "failed": 1}
    durations = [(step["median_seconds"], step["p95_seconds"]) for step in steps]
    assert [each for each in durations if each != (None, None)] == [(1.5, 1.5)]


@pytest.mark.embedded
def test_a_dashboard_without_commands_is_empty(viewer: User) -> None:
    body = shown(viewer)
    assert (body["pending"], body["in_progress"], body["oldest_pending"]) == (0, 0, None)
    assert body["vehicles"] == {"connected": 0, "total": 0}
    assert (body["outcomes"]["success_rate"], body["recent_failures"]) == (None, [])


@pytest.mark.embedded
def test_a_dashboard_counts_the_commands_that_its_user_may_see(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    submit(operator, vehicle)
    submit(operator, vehicle)
    lifecycle.fail(claim_one(), "vehicle_refused", "No.")
    claim_one()
    mine = submit(stranger, vehicle)
    seen = {user.username: shown(user) for user in (operator, stranger, viewer)}
    assert {who: (body["pending"], body["in_progress"]) for who, body in seen.items()} == {
        "operator": (0, 1),
        "stranger": (1, 0),
        "viewer": (1, 1),
    }
    assert {who: body["outcomes"]["submitted"] for who, body in seen.items()} == {
        "operator": 2,
        "stranger": 1,
        "viewer": 3,
    }
    assert [len(body["recent_failures"]) for body in seen.values()] == [1, 0, 1]
    assert seen["operator"]["oldest_pending"] is None
    assert seen["viewer"]["oldest_pending"] == seen["stranger"]["oldest_pending"]
    assert seen["viewer"]["oldest_pending"]["command_id"] == str(mine.pk)
    assert api(None).get("/api/v1/dashboard/").status_code == 401


def test_only_users_who_may_see_vehicles_see_their_number(vehicle: Vehicle) -> None:
    name = "view_vehicle"
    assert shown(make_user("sees", name))["vehicles"] == {"connected": 0, "total": 1}
    assert shown(make_user("sees-none"))["vehicles"] is None
    for user, has_tile in (("sees", True), ("sees-none", False)):
        page = browser(User.objects.get(username=user)).get("/").content.decode()
        assert ('data-tile="vehicles"' in page) == has_tile


def test_the_last_failures_are_listed_newest_first(operator: User, vehicle: Vehicle) -> None:
    statuses = sorted(FAILURES) * 4
    made = [make_command(operator, vehicle, status, ago=n) for n, status in enumerate(statuses)]
    make_command(operator, vehicle, "cancelled", ago=0)
    listed = [each["command_id"] for each in shown(operator)["recent_failures"]]
    assert listed == [str(command.pk) for command in made[:10]]


def test_many_commands_are_counted_up_to_a_limit(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MAX_IN_FLIGHT", 3)
    monkeypatch.setitem(PERIODS, "1h", replace(HOUR, max_commands=3))
    for ago in range(4):
        make_command(operator, vehicle, "pending", ago)
        make_command(operator, vehicle, "failed", ago)
    body = shown(operator)
    assert (body["pending"], body["outcomes"]["submitted"]) == (3, 3)
    assert body["outcomes"]["is_capped"]
    assert len(body["recent_failures"]) < 4


@pytest.mark.embedded
def test_a_longer_period_has_older_commands(operator: User, vehicle: Vehicle) -> None:
    for ago in (60, 7_200, 3 * 86_400, 8 * 86_400):
        make_command(operator, vehicle, "failed", ago)
    found = {name: shown(operator, f"?period={name}")["outcomes"] for name in PERIODS}
    assert {name: outcomes["submitted"] for name, outcomes in found.items()} == {
        "1h": 1,
        "24h": 2,
        "7d": 3,
    }
    assert {name: len(outcomes["steps"]) for name, outcomes in found.items()} == {
        "1h": 60,
        "24h": 48,
        "7d": 84,
    }
    for wrong in ("month", ""):
        refused = api(operator).get(f"/api/v1/dashboard/?period={wrong}")
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["period"])


# Frequent trouble codes


def frequent(user: User, query: str = "") -> list[tuple[str, int, int]]:
    response = api(user).get(f"/api/v1/dashboard/trouble-codes/{query}")
    assert response.status_code == 200, response.content
    page = response.json()
    assert (page["next"], page["previous"]) == (None, None)
    return [(row["dtc_code"], row["vehicles"], row["confirmed"]) for row in page["results"]]


@pytest.mark.embedded
def test_a_frequent_code_counts_once_for_a_vehicle(
    operator: User, stranger: User, viewer: User
) -> None:
    first, second = make_vehicle(1), make_vehicle(2)
    read(operator, first, dtc("P0420", confirmed=True))
    read(operator, first, dtc("P0420"))
    scan(stranger, second, ecu("0x10", dtc("P0420"), dtc("U0100")))
    assert frequent(viewer) == [("P0420", 2, 1), ("U0100", 1, 0)]
    assert frequent(operator) == [("P0420", 1, 1)]
    Command.objects.update(submitted_at=timezone.now() - timedelta(days=2))
    assert frequent(viewer, "?period=24h") == []
    assert len(frequent(viewer, "?period=7d")) == 2
    assert api(viewer).get("/api/v1/dashboard/trouble-codes/?period=month").status_code == 400


# What it costs


def test_the_number_of_queries_of_the_dashboard_does_not_grow(
    operator: User, vehicle: Vehicle, known: Any
) -> None:
    client = known(operator)
    for count in (1, 30):
        for ago in range(count):
            make_command(operator, vehicle, "failed", ago)
            make_command(operator, vehicle, "pending", ago)
        with CaptureQueriesContext(connection) as captured:
            client.get("/api/v1/dashboard/")
        # The hour, pending, running, the oldest, vehicles, failures.
        assert len(captured) == 6


def test_the_dashboard_reads_by_indexes(operator: User, stranger: User, viewer: User) -> None:
    """There are 40,000 commands, half of them another user's, and some 200 of the last hour."""
    for number in range(20):
        vehicle = make_vehicle(number)
        for user in (operator, stranger):
            make_command(user, vehicle, "pending", ago=number)
            make_command(user, vehicle, "failed", ago=number)
    add_old_commands(500)
    used = {}
    for user in (operator, viewer):
        with CaptureQueriesContext(connection) as asked:
            shown(user)
        plans = [plan_of(query["sql"]) for query in asked.captured_queries[-6:]]
        assert not [plan for plan in plans if "Seq Scan on commands_command" in plan]
        used[user] = plans
    hour, pending, running, oldest, _, failures = used[viewer]
    assert "Index Only Scan using command_queue" in pending
    assert "Index Only Scan using command_lapsed" in running
    assert "command_queue" in oldest
    assert "command_latest" in hour
    assert "commands_command_pkey" in failures
    assert "command_latest" in used[operator][0]
