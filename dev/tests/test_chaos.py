"""A short campaign, and the proof that a campaign fails on every mutant."""

import subprocess
import sys

import pytest

from dev.chaos import nemesis
from dev.processes import ROOT

WEB, WORKERS = ("web-1", "web-2"), ("worker-1", "worker-2", "worker-3")
MAX_SECONDS = 400

# The promise that each mutant is first to break.
BROKEN = {
    "forwards_without_replay": "streams that",
    "claims_without_guard": "illegal transitions",
    "writes_without_fence": "after the claim was lost",
    "repeats_unsafe_commands": "unsafe commands",  # sent twice, or denied
    "never_renews": "leases taken from live workers",
    "publishes_before_the_commit": "streams that differ from their event log",
    "clears_the_wake_up_after_reading": "streams that stood still",
}

SEED = "89"  # pauses three workers beyond their leases
SEEDS = {"never_renews": "3111"}  # leaves the slow worker alone, so that nothing else excuses it


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dev.chaos", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )


@pytest.mark.faults
def test_a_short_campaign() -> None:
    """Use a seed whose schedule has one of every fault; `make chaos` draws another each time."""
    ended = campaign("--commands", "150", "--seconds", "20", "--seed", "12")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("mutant", BROKEN)
def test_the_campaign_fails_on_a_mutant(mutant: str) -> None:
    arguments = ("--commands", "400", "--seconds", "40", "--seed", SEEDS.get(mutant, SEED))
    ended = campaign(*arguments, "--mutant", mutant)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    *_, found = ended.stdout.partition("\n\n")
    assert any(BROKEN[mutant] in line and line.endswith(":") for line in found.splitlines()), (
        found + ended.stderr
    )


def test_the_same_seed_makes_the_same_schedule() -> None:
    first, again, other = (nemesis.schedule(seed, 90, WEB, WORKERS) for seed in (1, 1, 2))
    assert first == again != other


def test_a_long_campaign_has_enough_of_every_fault() -> None:
    steps = nemesis.schedule(1, 900, WEB, WORKERS)
    count = {
        (action, server): sum(s.action == action and s.target.startswith(server) for s in steps)
        for action in ("kill", "pause", "drain", "flush", "forge")
        for server in ("worker", "web", "valkey", "postgres", "notifications")
    }
    assert count["kill", "worker"] >= 20
    assert count["kill", "valkey"] >= 10
    assert count["flush", "valkey"] >= 2
    assert count["kill", "postgres"] >= 5
    assert count["kill", "web"] >= 5
    assert min(count["pause", "worker"], count["drain", "worker"]) >= 2
    assert count["forge", "notifications"] >= 2


@pytest.mark.parametrize("seed", range(20))
def test_a_fault_hits_only_running_targets_and_every_target_comes_back(seed: int) -> None:
    away: set[str] = set()
    for step in nemesis.schedule(seed, 300, WEB, WORKERS):
        if step.action in nemesis.END_OF:
            assert step.target not in away
            away.add(step.target)
        elif step.action in nemesis.END_OF.values():
            away.remove(step.target)
        else:
            assert step.target not in away
    assert not away
