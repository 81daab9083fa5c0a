"""A worker process that dies, or loses its database, at exactly the worst places."""

import json
import os
import signal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from pytest_django.fixtures import Settings

from commands.models import Command
from conftest import ClearDTC, ReadDTC, row, submit
from sovd.tests.processes import run
from vehicles.models import Vehicle

COMPLETED = ("completed", "")
LOST = ("failed", "worker_lost")


class Case(NamedTuple):
    body: Any
    failpoint: str
    outcome: tuple[str, str]
    asked: int


@pytest.mark.parametrize(
    "case",
    [
        Case(ClearDTC, "after_commit=kill@1", COMPLETED, 1),  # claimed, and not yet sent
        Case(ClearDTC, "before_send=kill@1", LOST, 0),  # it may have been: the row cannot know
        Case(ClearDTC, "after_send=kill@1", LOST, 1),
        Case(ClearDTC, "before_commit=kill@1", LOST, 1),  # done, and the answer never stored
        Case(ClearDTC, "after_commit=kill@2", COMPLETED, 1),  # stored, and nobody was told
        Case(ClearDTC, "after_publish=kill@2", COMPLETED, 1),
        Case(ReadDTC, "before_send=kill@1", COMPLETED, 1),
        Case(ReadDTC, "after_send=kill@1", COMPLETED, 2),
        Case(ReadDTC, "before_commit=kill@2", COMPLETED, 2),
        Case(ReadDTC, "after_commit=kill@3", COMPLETED, 2),
    ],
    ids=lambda case: f"{case.body['command_name']} {case.failpoint}",
)
def test_killed(
    operator: User, vehicle: Vehicle, settings: Settings, tmp_path: Path, case: Case
) -> None:
    command = submit(operator, vehicle, case.body)
    assert worker(FAILPOINTS=case.failpoint, VEHICLE_JOURNAL_DIR=tmp_path) == -signal.SIGKILL
    Command.objects.filter(status="in_progress").update(lease_expires_at=command.submitted_at)
    settings.VEHICLE_JOURNAL_DIR = str(tmp_path)
    call_command("runworker", drain=True)
    ended = row(command)
    assert (ended.status, ended.error_code) == case.outcome
    assert len(journal(tmp_path)) == case.asked


@pytest.mark.parametrize(
    "failpoint", ["before_commit=cut@1", "before_commit=cut@1,before_commit=cut@2"]
)
@pytest.mark.parametrize("body", [ClearDTC, ReadDTC], ids=["ClearDTC", "ReadDTC"])
def test_the_connection_breaks_before_the_commit(
    operator: User, vehicle: Vehicle, tmp_path: Path, body: Any, failpoint: str
) -> None:
    check_done_once(submit(operator, vehicle, body), tmp_path, failpoint)


def test_no_answer_to_the_commit_of_the_claim(
    operator: User, vehicle: Vehicle, settings: Settings, tmp_path: Path
) -> None:
    """Nobody knows the token, and nothing was sent: the lease runs out."""
    command = submit(operator, vehicle, ClearDTC)
    assert worker(FAILPOINTS="after_commit=cut@1", VEHICLE_JOURNAL_DIR=tmp_path) == 0
    assert statuses(command) == ["pending", "in_progress"]
    Command.objects.update(lease_expires_at=command.submitted_at)
    settings.VEHICLE_JOURNAL_DIR = str(tmp_path)
    call_command("runworker", drain=True)
    assert statuses(command)[2:] == ["pending", "in_progress", "response", "completed"]
    assert len(journal(tmp_path)) == 1


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("body", [ClearDTC, ReadDTC], ids=["ClearDTC", "ReadDTC"])
def test_no_answer_to_the_commit(
    operator: User, vehicle: Vehicle, tmp_path: Path, body: Any, n: int
) -> None:
    """It is read again before it is written again."""
    check_done_once(submit(operator, vehicle, body), tmp_path, f"after_commit=cut@{n}")


def check_done_once(command: Command, journal_dir: Path, failpoint: str) -> None:
    assert worker(FAILPOINTS=failpoint, VEHICLE_JOURNAL_DIR=journal_dir) == 0
    told = statuses(command)
    assert told[:2] + told[-1:] == ["pending", "in_progress", "completed"]
    assert told[2:-1] == ["response"] * (len(told) - 3)
    assert len(journal(journal_dir)) == 1


def worker(**given: object) -> int:
    url = urlsplit(os.environ["DATABASE_URL"])
    production = {
        "DATABASE_URL": url._replace(path=f"/{connection.settings_dict['NAME']}").geturl(),
        "REDIS_URL": os.environ["REDIS_URL"],
        "SECRET_KEY": "k" * 40,
        "ALLOWED_HOSTS": "localhost",
        "MOCK_VEHICLE_LATENCY_SECONDS": 0.01,
    }
    return run("manage.py", "runworker", "--drain", **production, **given).exit_code


def statuses(command: Command) -> list[str]:
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status", event.kind) for event in log]


def journal(directory: Path) -> list[Any]:
    """What the vehicles were asked, by whatever process."""
    lines = [line for file in directory.iterdir() for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]
