"""Workers that are killed, or lose their database, at the worst moments."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User

from commands.models import Command
from commands.tests.draining import drain_here
from conftest import ClearDTC, ReadDTC, row, submit
from dev.chaos.gather import read_journals
from sovd.tests.processes import drain_worker
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
        Case(ClearDTC, "before_commit=kill@1", COMPLETED, 1),  # not even claimed
        Case(ClearDTC, "after_commit=kill@1", COMPLETED, 1),  # claimed, and not yet sent
        Case(ClearDTC, "before_send=kill@1", LOST, 0),  # it may have been: the row cannot know
        Case(ClearDTC, "after_send=kill@1", LOST, 1),
        Case(ClearDTC, "before_commit=kill@2", LOST, 1),  # done, and the response never stored
        Case(ClearDTC, "after_commit=kill@2", COMPLETED, 1),  # stored, and never published
        Case(ClearDTC, "after_publish=kill@2", COMPLETED, 1),
        Case(ReadDTC, "before_send=kill@1", COMPLETED, 1),
        Case(ReadDTC, "after_send=kill@1", COMPLETED, 2),
        Case(ReadDTC, "before_commit=kill@3", COMPLETED, 2),
        Case(ReadDTC, "after_commit=kill@3", COMPLETED, 2),
    ],
    ids=lambda case: f"{case.body['command_name']} {case.failpoint}",
)
def test_a_command_whose_worker_is_killed_is_sent_again_only_if_that_is_safe(
    operator: User, vehicle: Vehicle, tmp_path: Path, case: Case
) -> None:
    command = submit(operator, vehicle, case.body)
    assert drain_worker(case.failpoint, tmp_path) == -signal.SIGKILL
    Command.objects.filter(status="in_progress").update(lease_expires_at=command.submitted_at)
    drain_here(journal=tmp_path)
    ended = row(command)
    assert (ended.status, ended.error_code) == case.outcome
    assert len([*read_journals(tmp_path)]) == case.asked


@pytest.mark.parametrize(
    "failpoint",
    ["before_commit=cut@1", "before_commit=cut@2", "before_commit=cut@2,before_commit=cut@3"],
)
@pytest.mark.parametrize("body", [ClearDTC, ReadDTC], ids=["ClearDTC", "ReadDTC"])
def test_a_move_is_written_again_if_the_connection_breaks_before_its_commit(
    operator: User, vehicle: Vehicle, tmp_path: Path, body: Any, failpoint: str
) -> None:
    check_done_once(submit(operator, vehicle, body), tmp_path, failpoint)


def test_a_claim_without_an_answer_to_its_commit_lapses_before_anything_is_sent(
    operator: User, vehicle: Vehicle, tmp_path: Path
) -> None:
    command = submit(operator, vehicle, ClearDTC)
    drain_here("after_commit=cut@1", tmp_path)
    assert statuses(command) == ["pending", "in_progress"]
    Command.objects.update(lease_expires_at=command.submitted_at)
    drain_here(journal=tmp_path)
    assert statuses(command)[2:] == ["pending", "in_progress", "response", "completed"]
    assert len([*read_journals(tmp_path)]) == 1


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("body", [ClearDTC, ReadDTC], ids=["ClearDTC", "ReadDTC"])
def test_a_move_without_an_answer_to_its_commit_is_read_before_it_is_written_again(
    operator: User, vehicle: Vehicle, tmp_path: Path, body: Any, n: int
) -> None:
    check_done_once(submit(operator, vehicle, body), tmp_path, f"after_commit=cut@{n}")


def check_done_once(command: Command, journal: Path, failpoint: str) -> None:
    drain_here(failpoint, journal)
    first, second, *responses, last = statuses(command)
    assert [first, second, last] == ["pending", "in_progress", "completed"]
    assert responses == ["response"] * len(responses)
    assert len([*read_journals(journal)]) == 1


def statuses(command: Command) -> list[str]:
    log = command.events.order_by("sequence_number")
    return [event.payload.get("status", event.kind) for event in log]
