"""Two workers at one campaign, and one that is killed at any statement."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.models.functions import Now

from commands.campaigns import progress
from commands.models import Campaign, CampaignVehicle, Command, Status
from commands.tests.campaigns.requests import (
    advance,
    end,
    forward,
    make_fleet,
    seen,
    started,
    waiting,
)
from vehicles.models import Vehicle


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
