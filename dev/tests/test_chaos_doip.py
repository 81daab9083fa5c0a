"""A short campaign with DoIP vehicles, and the proof that it fails on every mutant."""

import subprocess
import sys

import pytest

from dev.processes import ROOT

MAX_SECONDS = 300
BROKEN = {
    "sends_again_after_taking_over": "unsafe services sent twice for one command",
    "sends_without_marking": "unsafe commands told failed for certain and done",
}


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dev.chaos.doip", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )


@pytest.mark.faults
def test_a_short_campaign_with_doip_vehicles() -> None:
    ended = campaign("--commands", "50", "--seconds", "10", "--seed", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("mutant", BROKEN)
def test_the_campaign_with_doip_vehicles_fails_on_a_mutant(mutant: str) -> None:
    ended = campaign("--commands", "150", "--seconds", "30", "--seed", "1", "--mutant", mutant)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"\n{BROKEN[mutant]}:\n" in ended.stdout, ended.stdout
